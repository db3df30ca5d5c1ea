"""Bad input at the station: each is one clear line, and ledger and boards stay what they were.

What its parts refuse is tested with them; here is what `keystead` makes of it, command by command:
exit code, words, the ledger's head and every byte of the boards' flash before and after.
"""

import functools
import hashlib
import os
import resource
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from host_tools import cli, keys, nvs
from host_tools.batch import Batch, Unit
from host_tools.images.stand_in import stand_in_image
from host_tools.ledger import arguments, open_ledger
from host_tools.serial_line import open_line
from host_tools.virtual_board import farm
from host_tools.virtual_board.farm import BoardSetting, VirtualBoard
from host_tools.virtual_board.faults import parse
from keystead.record import FactoryRecord
from tests.factory.test_ledger import change, somebody_else
from tests.factory.test_pkcs11 import KEY, tokens  # noqa: F401  # a fixture

GROUP_KEY = bytes(range(60, 100))
SCOPE, NVS_AT, NVS_SIZE = "0ne00002193", 0x9000, 0x6000
MACS = [bytes([0xA0, 0xB1, 0xC2, 0xD3, 0xE6, number]) for number in range(4)]
NAME = f"sn-1-mac-{MACS[0].hex('-')}"
PLAN = ("--board", "ESP32_GENERIC_C3", "--id-scope", SCOPE)


@dataclass
class Bench:
    """A ledger with a batch, and boards of which only the first fits it."""

    folder: Path
    boards: list[VirtualBoard]
    capture: pytest.CaptureFixture[str] = field(repr=False)

    @property
    def ledger(self) -> str:
        """Where the ledger is."""
        return str(self.folder / "ledger.db")

    def flash(self, *more: str, boards: slice = slice(1)) -> list[str]:
        """Return the words that flash some of the boards."""
        ports = [word for one in self.boards[boards] for word in ("--port", one.urls[0])]
        image = [] if "--micropython" in more else ["--stand-in"]
        return ["flash", "--batch", "pilot", *ports, *image, *more]

    def run(self, *words: str) -> tuple[int, str]:
        """Run a command; return its exit code and what it said, whatever to."""
        os.environ["KEYSTEAD_GROUP_KEY"] = keys.encode_key(GROUP_KEY)  # a command takes it out
        code = cli.main([*words, "--ledger", self.ledger])
        return code, "".join(self.capture.readouterr())

    def refused(self, *words: str) -> str:
        """Return what a command said that must fail and change nothing."""
        before = self._state()
        code, said = self.run(*words)
        assert (code, self._state()) == (1, before), said
        assert "Traceback" not in said
        return said

    def flashes(self) -> list[bytes]:
        """Return what is in the boards' flash, in short."""
        flashes = [one.flash.read(0, one.flash.size) for one in self.boards]
        return [hashlib.sha256(flash).digest() for flash in flashes]

    def _state(self) -> tuple[str, list[bytes]]:
        with open_ledger(self.ledger) as book:
            return book.verify().head, self.flashes()


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[VirtualBoard]]:
    """A blank board that fits; another chip; a flash that is too small; somebody else's board."""
    file = tmp_path_factory.mktemp("flash") / "flash.bin"
    file.write_bytes(b"\xff" * NVS_AT + _somebodys_nvs().ljust((4 << 20) - NVS_AT, b"\xff"))
    settings = [
        BoardSetting(mac=MACS[0]),
        BoardSetting("esp32s3", MACS[1]),
        BoardSetting(mac=MACS[2], faults=(parse("flash size 1MB"),)),
        BoardSetting(mac=MACS[3], flash=file),
    ]
    with farm.started(settings) as lent:
        yield lent


def _somebodys_nvs() -> bytes:
    record = FactoryRecord(MACS[3], SCOPE, "somebody-elses", bytes(32))
    entry = nvs.Entry("keystead", "record", "binary", record.pack())
    return nvs.partition([entry], NVS_SIZE)


@pytest.fixture
def bench(
    tmp_path: Path, boards: list[VirtualBoard], monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Bench:  # fmt: skip
    monkeypatch.setenv("KEYSTEAD_GROUP_KEY", "")  # so that it is not there afterwards
    made = Bench(tmp_path, boards, capfd)
    with open_ledger(made.ledger, create=True) as book:
        book.create_batch(
            Batch("pilot", "ESP32_GENERIC_C3", SCOPE), [Unit(f"{n}") for n in range(1, 6)]
        )
    return made


# ---- the list


def test_three_bad_rows_among_a_hundred_thousand_leave_the_ledger_alone(bench: Bench) -> None:
    rows = [
        f"s{n:06},02:00:00:{n >> 16:02x}:{n >> 8 & 255:02x}:{n & 255:02x}" for n in range(100_000)
    ]
    rows[499] = "s000001,"  # the serial of line 3
    rows[50_000] = "s 50000,"
    rows[99_999] = "s099999,02:00:00:00:00:07"  # the MAC of line 9
    file = bench.folder / "order.csv"
    file.write_text("\ufeffserial,mac\r\n" + "\r\n".join(rows) + "\r\n", newline="")
    *told, last = bench.refused("batch", "create", "big", *PLAN, "--csv", str(file)).splitlines()
    assert [line.split(":")[1] for line in told] == ["501", "50002", "100001"]
    assert "is on line 3 already" in told[0]
    assert "is on line 9 already" in told[2]
    assert "3 bad rows, so nothing was written" in last


# ---- the boards


def test_boards_that_do_not_belong_to_the_batch_are_refused_in_a_line_each(bench: Bench) -> None:
    before = bench.flashes()
    code, said = bench.run(*bench.flash(boards=slice(1, 4)))
    assert (code, bench.flashes()) == (1, before)
    with open_ledger(bench.ledger) as book:  # it has them as refused, and that is all
        told = {(one.facts["mac"], one.facts["reason"]) for one in book.refusals("pilot")}
        assert book.verify().events == 2 + len(told)
    reasons = ("wrong-chip", "flash-too-small", "other-identity")
    assert told == set(zip((mac.hex(":") for mac in MACS[1:]), reasons, strict=True))
    other, small, somebodys = (
        next(line for line in said.splitlines() if f"{board.urls[0]}: FAILED" in line)
        for board in bench.boards[1:]
    )
    assert "wrong-chip at step connect: an esp32s3 is on this port" in other
    assert "flash-too-small at step connect: " in small
    assert (
        "other-identity at step reserve: the board's flash has the record of somebody-elses"
        in (somebodys)
    )
    assert "0 good, 3 failed" in said


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (b"", "not an ESP32 image"),
        (stand_in_image("esp32s3", 4 << 20), "the image is for esp32s3"),
        (stand_in_image("esp32c3", 4 << 20)[:70_000], "cut off"),
    ],
)
def test_an_image_that_is_not_for_this_board_is_refused_before_any_board_is_touched(
    bench: Bench, image: bytes, why: str
) -> None:
    file = bench.folder / "micropython.bin"
    file.write_bytes(image)
    words = ("--micropython", str(file), "--sha256", hashlib.sha256(image).hexdigest())
    *_, last = bench.refused(*bench.flash(*words)).splitlines()
    assert last.startswith("keystead flash: ")
    assert why in last


# ---- the port


def test_a_second_station_on_a_port_is_told_and_does_no_harm(bench: Bench) -> None:
    with closing(open_line(bench.boards[0].urls[0])):
        said = bench.refused(*bench.flash())
    assert "FAILED port-busy at step connect: " in said
    assert "port is in use by 127.0.0.1" in said


@pytest.mark.parametrize("speed", ["fast", "0", "9599", "4000001", "-115200", "115200.0"])
def test_a_baud_rate_that_is_none_is_wrong_usage(bench: Bench, speed: str) -> None:
    with pytest.raises(SystemExit) as ended:
        bench.run(*bench.flash(f"--baud={speed}"))
    assert ended.value.code == 2
    assert "is not a speed: 9600 to 4000000" in bench.capture.readouterr().err


# ---- the ledger


def test_a_ledger_that_somebody_holds_is_told_and_the_board_left_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = functools.partial(open_ledger, wait=0.05)  # seconds, else 30
    monkeypatch.setattr(arguments, "open_ledger", impatient)
    with closing(sqlite3.connect(bench.ledger, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        said = bench.refused(*bench.flash())
    assert "FAILED ledger at step reserve: " in said
    assert "was locked by another program" in said
    assert "end what holds it" in said


@pytest.mark.parametrize("verb", ["flash", "retrofit"])
def test_a_ledger_whose_old_events_were_changed_takes_no_more(bench: Bench, verb: str) -> None:
    with open_ledger(bench.ledger) as book:
        book.reserve("pilot", MACS[3], "esp32c3")
        book.create_batch(Batch("next", "ESP32_GENERIC_C3", SCOPE), [Unit("n")])
    change(bench.ledger, "UPDATE event SET station = 'elsewhere' WHERE number = 3")
    words = bench.flash() if verb == "flash" else _retrofit(bench)
    before = Path(bench.ledger).read_bytes(), bench.flashes()
    code, said = bench.run(*words)
    assert (code, (Path(bench.ledger).read_bytes(), bench.flashes())) == (1, before)
    assert said == (
        f"keystead {verb}: the ledger was tampered with: event 3: reserved was changed: its hash"
        " is not its own; so nothing was done: keep this ledger as it is, and go on as"
        " docs/ledger.md says under 'Going on after tampering'\n"
    )
    if verb == "flash":
        code, said = bench.run(*words, "--unverified", "--dry-run")
        assert (code, "tampered" in said) == (0, False)


def _retrofit(bench: Bench) -> list[str]:
    return ["retrofit", "--batch", "pilot", "--port", bench.boards[0].urls[0]]


def test_a_ledger_that_may_not_be_written_is_told(bench: Bench) -> None:
    with open_ledger(bench.ledger) as book:
        book.reserve("pilot", MACS[0], "esp32c3")
    with tempfile.TemporaryDirectory(prefix="keystead-") as folder:  # nobody may look into ours
        shutil.copy(bench.ledger, folder)
        bench.folder = Path(folder)
        bench.folder.chmod(0o755)
        Path(bench.ledger).chmod(0o444)
        bench.refused("ledger", "scrap", "unknown", "--reason", "x")  # imports what it needs
        with somebody_else():
            said = bench.refused("ledger", "scrap", NAME, "--reason", "x")
        assert said.startswith(f"keystead ledger: {bench.ledger} is read-only here")


def test_a_disk_that_is_full_in_the_midst_costs_nothing(bench: Bench) -> None:
    board, disk = bench.boards[0], _Disk(Path(f"{bench.ledger}-wal"))
    board.console(lambda data: disk.fill() if b"BOOT)" in data else None)
    try:
        code, said = bench.run(*bench.flash())
    finally:
        disk.clear()
    assert code == 1
    assert "FAILED ledger at step boot: " in said
    assert "is the disk full?" in said
    with open_ledger(bench.ledger) as book:
        assert book.identity(NAME).state == "verified"
        book.verify()

    assert bench.run(*bench.flash())[0] == 0
    with open_ledger(bench.ledger) as book:
        assert book.identity(NAME).state == "good"
        assert book.count("pilot").free == 4


class _Disk:
    """Fills up once: no file of this process can grow larger than a certain one is then."""

    def __init__(self, file: Path) -> None:
        self._file, self._full = file, False
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        """Let nothing be written behind the file's end."""
        if not self._full:
            self._full = True
            size = self._file.stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, self._before[1]))

    def clear(self) -> None:
        """Make room, for good."""
        self._full = True
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)


# ---- the keys


def test_a_wrong_pin_is_told_before_any_board_is_touched(
    bench: Bench,
    tokens,  # type: ignore[no-untyped-def]  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KEYSTEAD_PIN", "111111")
    said = bench.refused(*bench.flash("--key-source", tokens.uri(KEY)))
    *_, last = said.splitlines()
    assert last.startswith("keystead flash: token 'mill 7': the PIN is wrong")
    assert "111111" not in said


def test_another_groups_key_is_told_and_the_board_keeps_its_own(bench: Bench) -> None:
    flash = bench.boards[0].flash
    with open_ledger(bench.ledger) as book:
        book.reserve("pilot", MACS[0], "esp32c3")
        book.begin_attempt(NAME, "flashing", fingerprint="ab" * 32)
    before = flash.read(0, flash.size)
    code, said = bench.run(*bench.flash())
    assert code == 1
    assert "FAILED other-key at step reserve: " in said
    assert flash.read(0, flash.size) == before
    with open_ledger(bench.ledger) as book:  # it is noted, and that is all
        assert book.identity(NAME).fingerprint == "ab" * 32
