"""A board that runs MicroPython becomes one that runs Keystead, or stays what it was."""

import argparse
import json
import os
import re
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import serial  # type: ignore[import-untyped]

from host_tools import boards, cli, retrofit_command
from host_tools.batch import Batch, Unit, units_from_range
from host_tools.device_keys import DeviceKeys
from host_tools.errors import CommandError
from host_tools.flash.failure import FlashFailure
from host_tools.images import board_files
from host_tools.key_sources import HeldKey
from host_tools.keys import derive_device_key, encode_key
from host_tools.ledger import open_ledger
from host_tools.repl import Entry, LineLost, NoAnswer, Repl, ReplError
from host_tools.retrofit import board_facts, on_board, plan
from host_tools.retrofit.failure import RetrofitFailure
from host_tools.retrofit.owner import LedgerOwner
from host_tools.retrofit.record import Found
from host_tools.retrofit.record import write as write_record
from host_tools.toolchain import micropython
from host_tools.virtual_board.farm import VirtualBoard
from keystead.record import unpack
from tests.board.repl_bench import VFS, Console, running
from tests.board.retrofit_bench import (
    GROUP_KEY,
    MAC,
    NAME,
    OWN,
    TICKING,
    Quiet,
    files_of,
    flash,
    nvs_of,
    plugged,
    record,
    retrofit,
    run,
)
from tests.ports import unheard

ROOT = Path(__file__).parents[2]


@pytest.fixture
def board(tmp_path: Path) -> Iterator[VirtualBoard]:
    with running(micropython=False, flash=flash(tmp_path)) as board:
        yield board


@pytest.fixture(scope="module")
def content() -> dict[str, bytes]:
    return board_files.content(boards.get("ESP32_GENERIC_C3"))


# - - - the command


def test_a_board_in_the_field_becomes_a_good_one_of_the_ledger(
    board: VirtualBoard, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setenv("KEYSTEAD_GROUP_KEY", encode_key(GROUP_KEY))
    place, saved = tmp_path / "ledger.db", tmp_path / "{mac}.tar"
    with open_ledger(str(place), create=True) as book:
        batch = Batch("field", "ESP32_GENERIC_C3", "0ne1")
        book.create_batch(batch, units_from_range("7..9"))
    words = ["--port", board.urls[0], "--ledger", str(place), "--batch", "field"]
    assert cli.main(["retrofit", *words, "--backup", str(saved)]) == 0
    told = capsys.readouterr().out
    assert f"good: {NAME}, MAC a0:b1:c2:d3:e4:f5; " in told
    assert "  kept in /before-keystead: /boot.py, /main.py\n" in told
    Console(board).wait_for(b"network-unset")  # it goes on by itself

    files = files_of(board)
    assert files["before-keystead/main.py"] == TICKING
    assert files["data/log.txt"] == OWN["data/log.txt"]
    assert "lib/rim/start.mpy" in files
    assert not [path for path in files if path.startswith("keystead.")]
    kept = nvs_of(board)
    assert unpack(kept[("keystead", "record")], MAC).pack() == record().pack()
    assert ("keystead", "retrofit") not in kept
    with tarfile.open(tmp_path / "a0b1c2d3e4f5.tar") as tar:
        names = {info.name: info for info in tar}
        assert set(names) == {*OWN, "data"}
        assert tar.extractfile("main.py").read() == TICKING  # type: ignore[union-attr]
        assert names["main.py"].mode == 0o600
    with open_ledger(str(place)) as book:
        assert book.identity(NAME).state == "good"
        kinds = [event.kind for event in book.events(NAME)]
        assert list(book.events(NAME))[1].facts["port"] == board.urls[0]
        assert kinds == [
            "reserved", "retrofitting", "retrofitted", "verified", "booted", "proven", "good",
        ]  # fmt: skip
    key = derive_device_key(GROUP_KEY, NAME)
    for secret in (key, GROUP_KEY):
        for form in (secret, secret.hex().encode(), encode_key(secret).encode()):
            everything = [path for path in tmp_path.iterdir() if path.name != "flash.bin"]
            assert not [path for path in everything if form in path.read_bytes()]
            assert form.decode("latin-1") not in told


def test_a_board_that_is_refused_goes_on_and_is_in_the_ledger_as_refused(
    board: VirtualBoard, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    place = str(tmp_path / "ledger.db")
    with open_ledger(place, create=True) as book:
        book.create_batch(Batch("field", "ESP32_GENERIC", "0ne1"), units_from_range("7..9"))
    words = ["retrofit", "--port", board.urls[0], "--ledger", place, "--batch", "field"]
    for more in (["--dry-run"], []):
        monkeypatch.setenv("KEYSTEAD_GROUP_KEY", encode_key(GROUP_KEY))
        assert cli.main([*words, "--backup", str(tmp_path / "saved"), *more]) == 1
    assert "the board is an esp32c3, ESP32_GENERIC is an esp32" in capsys.readouterr().err
    Console(board).wait_for(b"tick")
    with open_ledger(place) as book:
        (event,) = book.refusals("field")
        assert event.registration_id is None
        facts = {name: event.facts[name] for name in ("mac", "chip", "port", "reason", "step")}
        assert facts == {
            "mac": MAC.hex(":"), "chip": "esp32c3", "port": board.urls[0],
            "reason": "wrong-chip", "step": "identify",
        }  # fmt: skip
        assert book.count("field").free == 3


def test_a_dry_run_changes_nothing_and_the_board_goes_on(
    board: VirtualBoard, monkeypatch: Any, capsys: Any
) -> None:
    before = board.flash.read(VFS, board.flash.size - VFS)
    words = ["--port", board.urls[0], "--id-scope", "0ne1", "--serial", "7", "--dry-run"]
    assert cli.main(["retrofit", *words, "--json"]) == 0
    [*_, told] = capsys.readouterr().out.splitlines()
    assert json.loads(told)["result"] == "would"
    assert json.loads(told)["registrationId"] == NAME
    assert json.loads(told)["files"]["replaced"] == 2
    Console(board).wait_for(b"tick")
    assert board.flash.read(VFS, board.flash.size - VFS) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give --ledger and --batch, or for one board --id-scope and --serial"),
        (["--id-scope", "0ne1"], "give --serial or --registration-id"),
        (["--batch", "b", "--serial", "7"], "--serial is the batch's: leave it out"),
        (["--id-scope", "0ne1", "--serial", "7", "--mac", "a0b1c2d3e4f6", "--dry-run"],
         "the board has MAC a0:b1:c2:d3:e4:f5, not a0:b1:c2:d3:e4:f6"),
        (["--id-scope", "0ne1", "--serial", "7", "--board", "ESP32_GENERIC", "--dry-run"],
         "the board is an esp32c3, ESP32_GENERIC is an esp32"),
    ],
)  # fmt: skip
def test_what_can_not_be_meant_is_said_so_before_anything_is_changed(
    board: VirtualBoard, capsys: Any, words: list[str], said: str
) -> None:
    assert cli.main(["retrofit", "--port", board.urls[0], *words]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert said in line
    Console(board).wait_for(b"tick")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--config", "nope.json"], "can not read nope.json"),
        (["--app", "broken.py"], "broken.py is no program"),
        (["--ca", "broken.py"], "broken.py"),
        (["--backup", ""], "name the folder, or the .tar"),
        (["--backup", "none/old.tar"], "there is no folder none"),
        (["--board", "ESP8266"], "there are ESP32_"),
        (["--serial", "a b"], "character ' '"),
        (["--mac", "x"], "write six bytes in hex"),
    ],
)
def test_what_is_wrong_on_this_machine_is_said_before_a_board_is_stopped(
    tmp_path: Path, monkeypatch: Any, capsys: Any, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.py").write_text("def run(device:\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = f"socket://127.0.0.1:{server.getsockname()[1]}"
        place = ["--port", port, "--id-scope", "0ne1", "--serial", "7", "--dry-run"]
        assert cli.main(["retrofit", *place, *words]) == 1
        server.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody came
            server.accept()
    [line] = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_wait_that_is_too_short_for_a_first_boot_is_warned_of(
    tmp_path: Path, capsys: Any
) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"wifi": [{"ssid": "hall", "password": "its password"}], "spread": 50}')
    words = ["retrofit", "--id-scope", "0ne1", "--serial", "7", "--dry-run"]
    words += ["--config", str(config), "--port"]
    for seconds, warned in (("79", True), ("80", False)):
        with unheard() as port:
            assert cli.main([*words, f"socket://127.0.0.1:{port}", "--register", seconds]) == 1
        told = capsys.readouterr().err
        assert ("warning: --register 79: a first boot waits up to 50 s" in told) == warned


@pytest.mark.parametrize("more", [[], ["--individual"], ["--dry-run"]])
def test_no_key_is_in_the_environment_once_the_board_is_dealt_with(
    monkeypatch: Any, more: list[str]
) -> None:
    for name in ("KEYSTEAD_GROUP_KEY", "KEYSTEAD_DEVICE_KEY"):
        monkeypatch.setenv(name, encode_key(GROUP_KEY))
    parser = argparse.ArgumentParser()
    retrofit_command.add_arguments(parser)
    words = ["--port", "x", "--id-scope", "0ne1", "--serial", "7", *more]
    with retrofit_command._owner(parser.parse_args(words)):
        assert not [name for name in os.environ if name.endswith("_KEY")]


# - - - there and back


def test_a_second_time_there_is_nothing_to_do(
    board: VirtualBoard, content: dict[str, bytes]
) -> None:
    assert run(board, content).new == len(content)
    before = files_of(board)
    again = run(board, content)
    assert (again.new, again.aside, again.backup) == (0, 0, "")
    assert files_of(board) == before


@pytest.mark.parametrize(
    ("step", "after"), [("copy", 20_000), ("install", 12_000), ("verify", 0), ("prove", 0)]
)
def test_a_board_that_is_unplugged_is_put_back_by_the_next_run_or_made_good(
    board: VirtualBoard, content: dict[str, bytes], step: str, after: int
) -> None:
    with plugged(board) as port, pytest.raises(CommandError, match="run the same command again"):
        retrofit(board, port, content, Quiet(board, step, after)).run()
    board.power_on()
    if step in ("install", "verify"):
        with plugged(board) as port:
            assert retrofit(board, port, content, Quiet(board)).roll_back()
        assert files_of(board) == OWN
        assert ("keystead", "record") not in nvs_of(board)
        Console(board).wait_for(b"tick")
    else:
        assert run(board, content).registration_id == NAME
        assert not [path for path in files_of(board) if path.startswith("keystead.")]


def test_a_firmware_that_does_not_boot_is_taken_back(
    tmp_path: Path, content: dict[str, bytes]
) -> None:
    was = record("another").pack()
    less = {path: data for path, data in content.items() if path != "lib/rim/guest.mpy"}
    mine = {**OWN, "json.py": b"mine = True\n"}
    with running(micropython=False, flash=flash(tmp_path, mine, was)) as board:
        with pytest.raises(CommandError, match="a file of the firmware is missing"):
            run(board, less, replace=True)
        assert files_of(board) == mine
        assert nvs_of(board) == {("keystead", "record"): was}
        Console(board).wait_for(b"tick")


def test_who_does_not_reach_its_hub_in_time_is_told_that_it_may_not_have_tried(
    board: VirtualBoard, content: dict[str, bytes]
) -> None:
    config = {"config.json": b'{"wifi": [{"ssid": "hall", "password": "its password"}]}'}
    with pytest.raises(FlashFailure, match=r"in time of 1 s, but a first boot waits up to 60 s"):
        run(board, content | config, register=1, spread=60)
    assert files_of(board) == OWN


def test_an_identity_is_replaced_only_when_told_so(
    tmp_path: Path, content: dict[str, bytes]
) -> None:
    was = record("another").pack()
    with running(micropython=False, flash=flash(tmp_path, OWN, was)) as board:
        with pytest.raises(RetrofitFailure, match="the board is another already, not sn-7-mac"):
            run(board, content)
        assert nvs_of(board) == {("keystead", "record"): was}
        run(board, content, replace=True)
        kept = nvs_of(board)
        assert kept.pop(("keystead", "record")) == record().pack()
        assert was not in kept.values()


def test_a_fault_of_ours_is_told_by_its_name_alone_and_the_board_put_back(
    board: VirtualBoard, content: dict[str, bytes]
) -> None:
    def fault() -> str:
        raise KeyError("words that may hold a key")

    with plugged(board) as port:
        faulty = retrofit(board, port, content, Quiet(board))
        faulty.nonce = fault
        with pytest.raises(RetrofitFailure, match="a fault in Keystead, KeyError:") as told:
            faulty.run()
    assert "words" not in str(told.value)
    assert files_of(board) == OWN
    assert ("keystead", "record") not in nvs_of(board)
    Console(board).wait_for(b"tick")


class Echo:
    """The line of a board that takes all code, and repeats that which has the key."""

    def __init__(self, lost: bool) -> None:
        self.timeout: float | None = None
        self._lost, self._code, self._out = lost, b"", b""

    @property
    def in_waiting(self) -> int:
        return len(self._out)

    def read(self, size: int = 1) -> bytes:
        data, self._out = self._out[:size], self._out[size:]
        return data

    def write(self, data: bytes) -> int:
        self._code += data
        if data == b"\x04":
            keyed = b'_nvs.set_blob("record", binascii' in self._code
            if keyed and self._lost:
                raise serial.SerialException(f"closed, it said {self._code!r}")
            said = self._code[:-1] if keyed else b""
            self._code, self._out = b"", b"OK" + said + b"\x04" + said + b"\x04>" + said
        return len(data)


@pytest.mark.parametrize("lost", [True, False])
def test_what_a_board_says_once_it_had_the_key_is_repeated_nowhere(lost: bool) -> None:
    repl = Repl(Echo(lost))
    repl._pastes = False
    with pytest.raises(LineLost if lost else ReplError) as told:
        write_record(repl, record())
    assert "given its record" in str(told.value) or "not take its record" in str(told.value)
    assert told.value.__suppress_context__
    with pytest.raises(NoAnswer, match=r"no line in time$"):
        repl._reader.until(b"never said", 0, "line")


def test_no_code_for_the_repl_and_no_firmware_imports_what_may_be_shadowed() -> None:
    texts = [path.read_text() for path in (ROOT / "firmware").glob("*/*.py")]
    texts += [text for text in vars(on_board).values() if isinstance(text, str)]
    imported = {
        name.partition(".")[0]
        for text in texts
        for line in re.findall(r"^ *(?:from|import) ([\w., ]+?)(?: import .*)?$", text, re.M)
        for name in re.split(", *", line)
    }
    assert len(imported) > 15
    mine = {path.stem for path in (ROOT / "firmware/examples").glob("*.py")} | {"app", "status"}
    assert imported - plan.BUILT_IN - mine == set()


def test_what_shadows_the_firmware_is_moved_aside(
    tmp_path: Path, content: dict[str, bytes]
) -> None:
    paths = (
        "rim.py", "lib/keystead/sas.py", "os.py", "hashlib.py", "binascii.py", "esp32.py",
        "lib/json.py", "struct/notes.txt",
    )  # fmt: skip
    mine = dict.fromkeys(paths, b"raise ValueError\n")
    with running(micropython=False, flash=flash(tmp_path, mine)) as board:
        with plugged(board) as port:
            told = Quiet(board)
            assert retrofit(board, port, content, told).run().aside == len(mine)
        [said] = [fact for fact in told.facts if fact.startswith("in the way of MicroPython")]
        assert "/binascii.py, " in said
        files = files_of(board)
        assert {f"before-keystead/{path}" for path in mine} <= set(files)
        assert not set(mine) & set(files)


def test_a_full_board_is_refused(tmp_path: Path, content: dict[str, bytes]) -> None:
    full = {**OWN, "large": b"x" * 1_900_000}
    with running(micropython=False, flash=flash(tmp_path, full)) as board:
        with pytest.raises(RetrofitFailure, match="are needed: remove files from it first"):
            run(board, content)
        Console(board).wait_for(b"tick")


def test_power_that_fails_at_any_write_of_the_exchange_does_no_harm() -> None:
    texts = {
        "switch": on_board.SWITCH, "undo": on_board.UNDO, "commit": on_board.COMMIT,
        "clean": on_board.CLEAN, "new": plan.NEW, "marker": plan.MARKER, "done": plan.DONE,
        "before": plan.BEFORE,
    }  # fmt: skip
    command = [*micropython.interpreter(64), "-X", "heapsize=8m", "tests/board/retrofit_cuts.py"]
    done = subprocess.run(
        command, cwd=ROOT, input=json.dumps(texts), text=True, timeout=60, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [(line[0], line[-1]) for line in lines] == [
        ("switch", "0"), ("undo", "0"), ("clean", "0"),
    ], done.stdout  # fmt: skip
    assert all(int(line[3]) > 5 for line in lines)


def test_a_board_keeps_an_identity_that_the_ledger_knows_as_its_own(tmp_path: Path) -> None:
    facts = board_facts.ask(Answering(GOOD | {"machine": "X with ESP32C3"}))
    found = Found(MAC, "0ne1", "another", b"")
    batch = Batch("field", "ESP32_GENERIC_C3", "0ne1")
    with open_ledger(str(tmp_path / "ledger.db"), create=True) as book:
        book.create_batch(batch, units_from_range("7..9"))
        owner = LedgerOwner(book, batch, None, keep=True)
        with pytest.raises(RetrofitFailure, match="the ledger knows no board another"):
            owner.name(facts, found)
        assert LedgerOwner(book, batch, None).name(facts, found) == NAME
        elsewhere = Batch("old", "ESP32_GENERIC_C3", "0ne1")
        unit = Unit("old-1", MAC, "another")
        book.import_batch(elsewhere, [unit], "esp32c3", "a list")
        with pytest.raises(RetrofitFailure, match="in batch old, not in field: run it with"):
            owner.name(facts, found)
        capitals = Found(MAC, "0ne1", "ANOTHER", b"")
        assert LedgerOwner(book, elsewhere, None, keep=True).name(facts, capitals) == "another"


def test_the_key_of_another_group_is_refused_unless_told_so(tmp_path: Path) -> None:
    facts = board_facts.ask(Answering(GOOD | {"machine": "X with ESP32C3"}))
    batch = Batch("field", "ESP32_GENERIC_C3", "0ne1")
    right, wrong = (DeviceKeys(HeldKey(key, "a test")) for key in (GROUP_KEY, bytes(64)))
    with open_ledger(str(tmp_path / "ledger.db"), create=True) as book:
        book.create_batch(batch, units_from_range("7..9"))
        owner = LedgerOwner(book, batch, right)
        owner.begin(owner.record(facts, None), facts)
        known = book.identity(NAME).fingerprint
        with pytest.raises(RetrofitFailure, match="is this the batch's group key") as refused:
            LedgerOwner(book, batch, wrong).record(facts, None)
        assert refused.value.reason == "other-key"
        assert book.identity(NAME).fingerprint == known
        assert LedgerOwner(book, batch, wrong, replace=True).record(facts, None)


# - - - who is taken


GOOD = {
    "name": "micropython", "version": (1, 26, 1), "platform": "esp32", "mpy": 11014,
    "machine": "Generic ESP32 module with ESP32", "mac": MAC, "disk": (4096, 4096, 512, 100),
    "has": {"machine": True, "esp32": True, "tls": True, "hashlib": True, "umqtt.simple": False},
}  # fmt: skip


class Answering(Repl):
    """A board that says this of itself."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def evaluate_printed(self, code: str, timeout: float = 10) -> object:
        return self.answer


def test_a_boards_facts_are_what_it_says() -> None:
    facts = board_facts.ask(Answering(GOOD))
    assert (facts.mac, facts.chip, facts.release) == (MAC, "esp32", "1.26.1")
    assert (facts.free, facts.has_umqtt) == (409_600, False)


@pytest.mark.parametrize(
    ("answer", "reason", "said"),
    [
        (GOOD | {"name": "circuitpython"}, "not-micropython", "it says it is 'circuitpython'"),
        (5, "not-micropython", "no MicroPython that Keystead knows"),
        (GOOD | {"mac": b"123"}, "not-micropython", "it has no MAC"),
        (GOOD | {"disk": ("a", 1, 1, "b")}, "not-micropython", "no filesystem"),
        (GOOD | {"version": ("a",)}, "not-micropython", "garbled"),
        ({"name": "micropython"}, "not-micropython", "garbled"),
        (GOOD | {"machine": "\x1b[2J ESP32H2"}, "wrong-chip", r"'\.\[2J ESP32H2'"),
        (GOOD | {"platform": "rp2"}, "wrong-chip", "Keystead runs on ESP32s"),
        (GOOD | {"machine": "X with ESP32H2"}, "wrong-chip", "esp32, esp32c3, esp32s3"),
        (GOOD | {"version": (1, 23, 0)}, "too-old", "MicroPython 1.23.0 is too old: install 1.24"),
        (GOOD | {"mpy": 5}, "too-old", ".mpy files of version 5, not 6: install 1.24 or later"),
        (GOOD | {"has": {**GOOD["has"], "tls": False}}, "too-old", "built without tls"),  # type: ignore[dict-item]
    ],
)
def test_a_board_that_can_not_run_it_is_refused(answer: Any, reason: str, said: str) -> None:
    with pytest.raises(RetrofitFailure, match=said) as refused:
        board_facts.ask(Answering(answer))
    assert refused.value.reason == reason


def test_the_users_own_application_and_configuration_stay() -> None:
    there = [Entry(path, False, 1) for path in ("/app.py", "/config.json", "/lib/rim/start.mpy")]
    content = {"app.py": b"", "config.json": b"", "main.py": b""}
    assert set(plan.wanted(content, (), there)) == {"/main.py"}
    assert set(plan.wanted(content, ("app.py",), there)) == {"/main.py", "/app.py"}
    assert set(plan.wanted(content, (), there[:2])) == {"/main.py", "/app.py", "/config.json"}


@pytest.mark.parametrize(
    "entry", [Entry("/main.py", True, 0), Entry("/lib", False, 5)], ids=["folder", "file"]
)
def test_what_is_in_the_way_is_not_removed(entry: Entry) -> None:
    with pytest.raises(RetrofitFailure, match="rename it"):
        plan.plan({"/main.py": b"", "/lib/rim/a.mpy": b""}, [entry], ())
