"""Whose a board is that has an identity already, by a ledger; its backup; why it was refused."""

import io
import os
import resource
import stat
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from host_tools.batch import Batch, Unit
from host_tools.errors import CommandError
from host_tools.flash.failure import FlashFailure
from host_tools.keys import derive_device_key
from host_tools.ledger import Ledger, LedgerError, Scrapped, open_ledger
from host_tools.repl import Entry, LineLost, NoAnswer, Raised
from host_tools.retrofit import backup
from host_tools.retrofit.board_facts import BoardFacts
from host_tools.retrofit.failure import RetrofitFailure, reason_of
from host_tools.retrofit.owner import LedgerOwner
from host_tools.retrofit.record import Found

MAC, OTHER = bytes.fromhex("a0b1c2d3e4f5"), bytes.fromhex("a0b1c2d3e4f6")
CHIP, BOARD, SCOPE = "esp32c3", "ESP32_GENERIC_C3", "0ne00002193"
FACTS = BoardFacts(MAC, CHIP, "ESP32C3 module with ESP32C3", (1, 26, 1), 2_000_000, True)
GROUP_KEY = bytes(range(64))


class GroupKey:
    def device_keys(self, registration_id: str) -> tuple[bytes, bytes]:
        return derive_device_key(GROUP_KEY, registration_id), b""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(str(tmp_path / "ledger.db"), station="line-1", create=True) as book:
        for name in ("one", "two"):
            book.create_batch(Batch(name, BOARD, SCOPE), [Unit(f"{name}-{n}") for n in (1, 2, 3)])
        yield book


def owner(ledger: Ledger, batch: str = "one", keep: bool = True) -> LedgerOwner:
    return LedgerOwner(ledger, Batch(batch, BOARD, SCOPE), GroupKey(), keep=keep)


def holds(name: str) -> Found:
    return Found(MAC, SCOPE, name, bytes(32))


def test_a_board_keeps_the_name_under_which_the_ledger_has_it(ledger: Ledger) -> None:
    mine = ledger.reserve("one", MAC, CHIP)
    head = ledger.head()
    found = holds(mine.registration_id.upper())  # to DPS these are one
    record = owner(ledger).record(FACTS, found)
    assert record.registration_id == owner(ledger).name(FACTS, found) == mine.registration_id
    assert record.keys()[0] == derive_device_key(GROUP_KEY, mine.registration_id)
    assert ledger.head() == head


@pytest.mark.parametrize("call", [LedgerOwner.name, LedgerOwner.record])
def test_a_board_does_not_keep_the_name_of_another_board(
    ledger: Ledger, call: Callable[..., object]
) -> None:
    theirs = ledger.reserve("one", OTHER, CHIP)
    with pytest.raises(RetrofitFailure, match=r"knows no board .* with MAC a0:b1:c2"):
        call(owner(ledger), FACTS, holds(theirs.registration_id))


@pytest.mark.parametrize("call", [LedgerOwner.name, LedgerOwner.record])
def test_a_board_of_another_batch_is_not_given_this_ones_key(
    ledger: Ledger, call: Callable[..., object]
) -> None:
    mine = ledger.reserve("one", MAC, CHIP)
    with pytest.raises(RetrofitFailure, match="in batch one, not in two: run it with --batch one"):
        call(owner(ledger, "two"), FACTS, holds(mine.registration_id))


def test_without_keep_it_is_the_next_of_the_batch_whatever_it_holds(ledger: Ledger) -> None:
    name = owner(ledger, keep=False).name(FACTS, holds("sn-somebody"))
    assert name == "sn-one-1-mac-a0-b1-c2-d3-e4-f5"
    assert ledger.by_mac(MAC) is None, "asked, not given"


# ---- the backup


@dataclass
class Board:
    """A REPL as far as a backup needs one."""

    content: dict[str, bytes]

    def get(self, path: str, moved: object, size: int) -> bytes:
        return self.content[path]


@pytest.fixture
def _open_to_all() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_open_to_all")
@pytest.mark.parametrize("name", ["old.tar", "old", "a/b/old"])
def test_a_backup_is_for_its_maker_alone_to_read(tmp_path: Path, name: str) -> None:
    board = Board({"/config.json": b"a password", "/lib/own.py": b"own"})
    entries = [Entry("/lib", True, 0)]
    entries += [Entry(path, False, len(data)) for path, data in board.content.items()]
    place = tmp_path / name
    backup.take(board, entries, place, lambda size: None)  # type: ignore[arg-type]
    for path in (place, *place.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    if place.is_dir():
        found = {f"/{path.relative_to(place)}": path.read_bytes() for path in files(place)}
    else:
        found = unpacked(place.read_bytes())
    assert found == board.content


def files(place: Path) -> list[Path]:
    return [path for path in place.rglob("*") if path.is_file()]


def unpacked(data: bytes) -> dict[str, bytes]:
    """What is in a .tar, whose entries are for their owner alone, too."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert {one.mode for one in tar} == {0o700, 0o600}
        return {f"/{one.name}": tar.extractfile(one).read() for one in tar if one.isfile()}  # type: ignore[union-attr]


class Interrupted(Board):
    """A board whose second file does not come any more."""

    def get(self, path: str, moved: object, size: int) -> bytes:
        if len(self.content) == 1:
            raise KeyboardInterrupt
        return self.content.pop(path)


@pytest.mark.parametrize("name", ["old.tar", "old"])
def test_a_backup_that_is_cut_off_does_not_stay(tmp_path: Path, name: str) -> None:
    board = Interrupted({"/a.py": b"one", "/lib/b.py": b"another"})
    entries = [Entry(path, False, len(data)) for path, data in board.content.items()]
    with pytest.raises(KeyboardInterrupt):
        backup.take(board, entries, tmp_path / name, lambda size: None)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["old.tar", "old"])
def test_a_backup_for_which_there_is_no_room_does_not_stay(tmp_path: Path, name: str) -> None:
    data = bytes(300_000)
    board = Board({"/large": data})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(RetrofitFailure, match=r"can not write .*: File too large") as refused:
            backup.take(  # type: ignore[arg-type]
                board, [Entry("/large", False, len(data))], tmp_path / name, lambda size: None
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert refused.value.reason == "backup-failed"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["", ".", "/", "..", "a/..", "none/a.tar", "file/a", "x" * 300])
def test_a_place_where_no_backup_can_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(CommandError, match="--backup "):
        backup.check(Path(place))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("place", [backup.DEFAULT, "a", "a/b/c", "a.tar", "there", "there/{mac}"])
def test_a_place_where_a_backup_can_be_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there").mkdir()
    backup.check(Path(place))


# ---- why it was not retrofitted


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (LineLost("gone"), "line-lost"),
        (NoAnswer("nothing"), "no-answer"),
        (Raised("OSError: 28"), "repl-failed"),
        (LedgerError("locked"), "ledger"),
        (Scrapped("it is scrapped"), "scrapped"),
        (CommandError("no mpy-cross"), "host-failed"),
        (BrokenPipeError(), "host-failed"),
        (ZeroDivisionError(), "bug"),
        (FlashFailure("boot-silent", "nothing"), "boot-silent"),
        (RetrofitFailure("too-old", "1.23"), "too-old"),
    ],
)
def test_whatever_ends_a_retrofit_has_a_name_of_a_closed_list(
    error: BaseException, reason: str
) -> None:
    assert reason_of(error) == reason


class NoKeys:
    def device_keys(self, registration_id: str) -> tuple[bytes, bytes]:
        raise CommandError("the token was pulled")


def test_a_key_that_can_not_be_derived_is_a_reason_of_its_own(ledger: Ledger) -> None:
    with pytest.raises(RetrofitFailure, match="the token was pulled") as refused:
        LedgerOwner(ledger, Batch("one", BOARD, SCOPE), NoKeys()).record(FACTS, None)
    assert refused.value.reason == "keys"


def test_a_line_that_is_lost_is_in_the_ledger_and_what_this_machine_lacks_is_not(
    ledger: Ledger,
) -> None:
    for error in (LineLost("gone"), CommandError("no mpy-cross")):
        owner(ledger).refuse(FACTS, "identify", error)
    assert [event.facts["reason"] for event in ledger.refusals("one")] == ["line-lost"]
