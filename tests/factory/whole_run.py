"""One run of the whole factory line, by the real commands, with all that it left behind.

Owns the factory's folders, the cloud (which knows the group's keys, as DPS does, and lies apart),
the two virtual boards, and what every process told of itself (witness/). What must hold of it is
test_whole_line.py's.
"""

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from host_tools.keys import derive_device_key, encode_key
from host_tools.virtual_board import farm
from host_tools.virtual_board.farm import BoardSetting, VirtualBoard
from tests.factory.key_forms import found

HERE = Path(__file__).parent
SCOPE, GROUP, HUB = "0ne00002193", "canaries", "test-docs-hub.azure-devices.net"
KINDS = ("primary", "secondary")
# 40 bytes: their Base64 has padding, and + and / as well
GROUP_KEYS = {kind: hashlib.shake_256(f"canary {kind} 7".encode()).digest(40) for kind in KINDS}
MACS = {
    "pump-07": bytes.fromhex("a0b1c2d3e4f5"),
    "pump-08": bytes.fromhex("a0b1c2d3e4f6"),
}
NEW, OLD = MACS  # a bare board is flashed, one with MicroPython retrofitted
NAMES = {serial: f"sn-{serial}-mac-{mac.hex('-')}" for serial, mac in MACS.items()}
KEYS = {f"group {kind}": key for kind, key in GROUP_KEYS.items()} | {
    f"{serial} {kind}": derive_device_key(key, name)
    for serial, name in NAMES.items()
    for kind, key in GROUP_KEYS.items()
}
CSV = f"\ufeffSerial;MAC;order\r\n{NEW};{MACS[NEW].hex(':')};4711\r\n{OLD};;4711\r\npump-09;;\r\n"
CONFIG = {"wifi": [{"ssid": "bench", "password": "no secret"}], "spread": 0}
BATCH = ("--batch", "pilot")
FILES = ("--config", "config.json", "--ca", "ca.pem")
SECOND = ("--secondary-key-source", "env:SECOND_KEY")


@dataclass
class Command:
    """A command that was typed, and what came of it."""

    words: list[str]
    code: int
    out: str
    err: str

    def documents(self) -> list[Any]:
        """Return what it printed, an object a line."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Run:
    """What a run left: folders, commands by name, what the boards' consoles said.

    typed: the commands' process ids. seen: who had a key where while they ran, of all processes
    of this machine: process id, "cmdline" or "environ", whose key.
    """

    root: Path
    commands: dict[str, Command] = field(default_factory=dict)
    consoles: dict[str, str] = field(default_factory=dict)
    typed: list[int] = field(default_factory=list)
    seen: list[tuple[int, str, str]] = field(default_factory=list)
    policy: str = field(default="", repr=False)

    @property
    def factory(self) -> Path:
        """Where the commands run, and all that they may write: work, home, temporary."""
        return self.root / "factory"

    @property
    def witness(self) -> Path:
        """What every process told, and what it removed again."""
        return self.root / "witness"

    def flash(self, serial: str) -> bytes:
        """Return the whole flash of a board."""
        return (self.root / "boards" / serial).read_bytes()

    def told(self) -> list[dict[str, Any]]:
        """Return what the processes told of themselves, with their process ids."""
        return [
            {**json.loads(line), "pid": int(file.stem)}
            for file in self.witness.glob("*.jsonl")
            for line in file.read_text().splitlines()
        ]


def whole_run(root: Path) -> Run:
    """Go through the line once."""
    run = Run(root)
    for name in ("factory/desk", "factory/home", "factory/temporary", "witness", "boards", "dps"):
        (root / name).mkdir(parents=True)
    work = run.factory / "desk"
    (work / "units.csv").write_text(CSV, newline="")
    (work / "config.json").write_text(json.dumps(CONFIG))
    with _cloud(root / "dps") as facts:
        run.policy = facts["dps"]["connection_string"]
        (work / "ca.pem").write_bytes(Path(facts["ca"]).read_bytes())
        place = ("127.0.0.1", facts["port"])
        settings = [
            BoardSetting(
                mac=mac, flash=root / "boards" / serial, hosts={"*": place},
                micropython=serial == OLD,
            )
            for serial, mac in MACS.items()
        ]  # fmt: skip
        with farm.started(settings) as lent, _held_open(work / "ledger.db", run):
            for serial, board in zip(MACS, lent, strict=True):
                _listen(run, serial, board)
            _make(run, *lent)
            _look(run)
    return run


def _make(run: Run, bare: VirtualBoard, old: VirtualBoard) -> None:
    """Flash one, with a kill in the midst, and retrofit the other."""
    image = ("--board", "ESP32_GENERIC_C3", "--stand-in", *FILES, "--output", "image")
    _type(run, "image", "image", *image, "--json")
    flash = ("flash", *BATCH, "--port", bare.urls[0], "--stand-in", *FILES, "--json", *SECOND)
    _type(run, "dry run", *flash, "--dry-run")
    _type(run, "killed", *flash, "--register", kill_at='"write"')
    _type(run, "half-way", "ledger", "list", "--json")
    _type(run, "flash", *flash, "--register")
    _type(run, "again", *flash)
    retrofit = ("retrofit", *BATCH, "--port", old.urls[0], *FILES, "--json", *SECOND)
    _type(run, "retrofit", *retrofit, "--register", "--backup", "old")


def _look(run: Run) -> None:
    """Label, check, report; and all that the ledger can tell."""
    for form in ("pdf", "html", "zpl", "csv"):
        _type(run, f"label {form}", "label", *BATCH, "--output", f"labels.{form}")
    _type(run, "label", "label", "pump-08")
    scanned = run.commands["label"].out.splitlines()[-1]
    _type(run, "check", "check", "--json", scanned)
    _type(run, "check twice", "check", "--json", scanned)
    _type(run, "report", "report", "pilot", "--output", "report.html")
    _type(run, "figures", "report", "pilot", "--json")
    for form in ("csv", "json", "events"):
        words = ("export", "--format", form, "--output", f"boards.{form}")
        _type(run, f"export {form}", "ledger", *words)
    _type(run, "show", "ledger", "show", "pump-07", "--json")
    _type(run, "head", "ledger", "head")
    head = run.commands["head"].out.strip()
    _type(run, "verify", "ledger", "verify", "--json", "--head", head)
    _type(run, "reconcile", "ledger", "reconcile", "--ca", "ca.pem", "--json")


def _type(run: Run, name: str, *words: str, kill_at: str = "") -> None:
    """Run a command to its end, or kill it at the line that holds these words."""
    with subprocess.Popen(
        [sys.executable, "-m", "host_tools", *words], cwd=run.factory / "desk", text=True,
        env=_environment(run), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout
        assert process.stderr
        run.typed.append(process.pid)
        out = ""
        for line in process.stdout:
            out += line
            run.seen += _sightings()
            if kill_at and kill_at in line:
                process.send_signal(signal.SIGKILL)
        err = process.stderr.read()
    run.commands[name] = Command(list(words), process.returncode, out, err)


def _sightings() -> Iterator[tuple[int, str, str]]:
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                content = (process / name).read_bytes()
            except OSError:  # it ended, or is not ours to look into
                continue
            for whose in found(KEYS, content):
                yield int(process.name), name, whose


def _environment(run: Run) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(HERE / "witness"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "KEYSTEAD_WITNESS": str(run.witness),
        "HOME": str(run.factory / "home"),
        "TMPDIR": str(run.factory / "temporary"),
        "KEYSTEAD_LEDGER": "ledger.db",
        "KEYSTEAD_GROUP_KEY": encode_key(GROUP_KEYS["primary"]),
        "SECOND_KEY": encode_key(GROUP_KEYS["secondary"]),
        "KEYSTEAD_DPS_CONNECTION_STRING": run.policy,
    }


@contextmanager
def _cloud(folder: Path) -> Iterator[dict[str, Any]]:
    """Lend what a cloud with this group says of itself."""
    named = [f'{kind}_key = "{encode_key(key)}"' for kind, key in GROUP_KEYS.items()]
    group = [f'name = "{GROUP}"', f'hub = "{HUB}"', *named]
    text = "\n".join([f'[dps]\nid_scope = "{SCOPE}"', "[[enrollment_group]]", *group])
    (folder / "cloud.toml").write_text(text)
    words = ("--config", "cloud.toml", "--port", "0", "--state-dir", ".", "--show-keys", "--json")
    with subprocess.Popen(
        [sys.executable, "-m", "host_tools", "cloud", *words], cwd=folder,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdout
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
            process.communicate()


@contextmanager
def _held_open(ledger: Path, run: Run) -> Iterator[None]:
    """Plan the batch; then read the ledger all the time, so that its WAL is not tidied away."""
    board = ("--board", "ESP32_GENERIC_C3", "--id-scope", SCOPE)
    _type(run, "batch", "batch", "create", "pilot", *board, "--csv", "units.csv", "--json")
    with closing(sqlite3.connect(ledger)) as reader:
        reader.execute("SELECT count(*) FROM event").fetchone()
        yield
        (ledger.with_name("ledger.db-wal.kept")).write_bytes(
            ledger.with_name("ledger.db-wal").read_bytes()
        )


def _listen(run: Run, serial: str, board: VirtualBoard) -> None:
    run.consoles[serial] = ""

    def heard(data: bytes) -> None:
        run.consoles[serial] += data.decode("latin-1")

    board.console(heard)
