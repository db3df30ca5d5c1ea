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
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from host_tools.images.stand_in import stand_in_image
from host_tools.keys import derive_device_key, encode_key
from host_tools.virtual_board import farm
from host_tools.virtual_board.farm import BoardSetting, VirtualBoard
from tests.factory.key_forms import found

HERE = Path(__file__).parent
SCOPE, GROUP, HUB = "0ne00002193", "canaries", "test-docs-hub.azure-devices.net"
KINDS = ("primary", "secondary")


def _canary(kind: str) -> bytes:
    """Return 40 bytes: their Base64 has padding, and + and / as well.

    Another run of these tests on this machine has other ones, which it shows as this one does.
    """
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    keys = (hashlib.shake_256(f"{kind} {run} {n}".encode()).digest(40) for n in count())
    return next(key for key in keys if {"+", "/"} <= set(encode_key(key)))


GROUP_KEYS = {kind: _canary(kind) for kind in KINDS}
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
LIMIT = 30  # seconds that a process may take from its parent's likeness to its own program
_FORKED = 0x40  # Linux's PF_FORKNOEXEC


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
        bare, old = (
            BoardSetting(
                mac=mac, flash=root / "boards" / serial, hosts={"*": place},
                micropython=serial == OLD,
            )
            for serial, mac in MACS.items()
        )  # fmt: skip
        with _held_open(work / "ledger.db", run):
            with _powered(run, NEW, replace(bare, paced=True)) as board:
                _begin(run, board)
            with _powered(run, NEW, bare) as board:
                _flash(run, board)
            with _powered(run, OLD, old) as board:
                _retrofit(run, board)
            _look(run)
    return run


def _begin(run: Run, board: VirtualBoard) -> None:
    """Flash a board, and kill the command in the midst: its image would take two minutes."""
    long = run.factory / "desk" / "long.bin"
    long.write_bytes(stand_in_image("esp32c3", 4 << 20, 1_900_000))
    digest = hashlib.sha256(long.read_bytes()).hexdigest()
    slowly = ("--micropython", "long.bin", "--sha256", digest, "--baud", "115200")
    image = ("--board", "ESP32_GENERIC_C3", "--stand-in", *FILES, "--output", "image")
    _type(run, "image", "image", *image, "--json")
    _type(run, "dry run", *_flashing(board, "--stand-in"), "--dry-run")
    _type(run, "killed", *_flashing(board, *slowly), "--register", kill_at='"write"')
    _type(run, "half-way", "ledger", "list", "--json")


def _flash(run: Run, board: VirtualBoard) -> None:
    _type(run, "flash", *_flashing(board, "--stand-in"), "--register")
    _type(run, "again", *_flashing(board, "--stand-in"))


def _flashing(board: VirtualBoard, *image: str) -> tuple[str, ...]:
    return ("flash", *BATCH, "--port", board.urls[0], *image, *FILES, "--json", *SECOND)


def _retrofit(run: Run, board: VirtualBoard) -> None:
    words = ("retrofit", *BATCH, "--port", board.urls[0], *FILES, "--json", *SECOND)
    _type(run, "retrofit", *words, "--register", "--backup", "old")


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
            if kill_at and kill_at in line:
                process.send_signal(signal.SIGKILL)
            run.seen += _sightings()
        err = process.stderr.read()
    run.commands[name] = Command(list(words), process.returncode, out, err)


def _sightings() -> Iterator[tuple[int, str, str]]:
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                for whose in _shown(process, name):
                    yield int(process.name), name, whose
            except OSError:  # it ended, or is not ours to look into
                continue


def _shown(process: Path, name: str) -> set[str]:
    """Whose keys a process shows, when it is the program that it was started for.

    Until then it is its parent's likeness, and shows what that one shows.
    """
    if not found(KEYS, (process / name).read_bytes()):
        return set()
    until = time.monotonic() + LIMIT
    while _is_likeness(process) and time.monotonic() < until:
        os.sched_yield()
    return found(KEYS, (process / name).read_bytes())


def _is_likeness(process: Path) -> bool:
    flags = int((process / "stat").read_text().rpartition(")")[2].split()[6])
    return bool(flags & _FORKED)


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


@contextmanager
def _powered(run: Run, serial: str, setting: BoardSetting) -> Iterator[VirtualBoard]:
    """Lend a board, and keep what its console says."""

    def heard(data: bytes) -> None:
        run.consoles[serial] = run.consoles.get(serial, "") + data.decode("latin-1")

    with farm.started([setting]) as (board,):
        board.console(heard)
        yield board
