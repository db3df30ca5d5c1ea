"""The words for a failure, as a board finds them in the file that is made for it."""

import json
from pathlib import Path

import pytest

from host_tools import firmware
from host_tools.virtual_board.unix_board import UnixBoard
from keystead.catalogue import CATALOGUE
from tests.rim.scripts import MAC, printed

ASKED = """
import json
from rim.words import entry
for key in json.loads('%s'): print(json.dumps(entry(key)))
"""


@pytest.fixture(params=[64, 32])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> UnixBoard:
    board = UnixBoard(tmp_path, MAC, request.param)
    board.flash.mkdir()
    (board.flash / "failures.txt").write_text(firmware.failures())
    return board


def found(board: UnixBoard, keys: list[str]) -> list[object]:
    return [json.loads(line) for line in printed(board, ASKED % json.dumps(keys))]


def test_every_failure_is_found_by_its_reason_and_by_its_number(board: UnixBoard) -> None:
    entries = [list(entry) for entry in CATALOGUE]
    assert found(board, [reason for _, reason, _, _ in CATALOGUE]) == entries
    assert found(board, [str(number) for number, _, _, _ in CATALOGUE]) == entries


@pytest.mark.parametrize("key", ["nonsense", "dps", "6", "|", "", "DPS has a fault of its own"])
def test_what_is_no_reason_is_told_as_a_bug(board: UnixBoard, key: str) -> None:
    [[number, reason, happened, remedy]] = found(board, [key])
    assert (number, reason) == (11, key)
    assert happened
    assert remedy


@pytest.mark.parametrize(
    "left", [None, b"", b"62|dps-unauthorized|cut", b"62|dps-unauthorized\xff"]
)
def test_without_the_file_the_reason_is_told_all_the_same(tmp_path: Path, left: bytes) -> None:
    board = UnixBoard(tmp_path, MAC, 32)
    board.flash.mkdir()
    if left is not None:
        (board.flash / "failures.txt").write_bytes(left)
    [[number, reason, _, _]] = found(board, ["dps-unauthorized"])
    assert (number, reason) == (11, "dps-unauthorized")


def test_the_words_take_little_room(board: UnixBoard) -> None:
    script = """
import gc
gc.collect()
before = gc.mem_alloc()
from rim.words import entry
entry("app-broken")
gc.collect()
print(gc.mem_alloc() - before < %d)
"""
    assert printed(board, script % (2400 if board.bits == 64 else 1600)) == ["True"]


def test_nothing_in_the_catalogue_parts_a_line_in_the_wrong_place() -> None:
    lines = firmware.failures().splitlines()
    assert len(lines) == len(CATALOGUE)
    assert {line.count("|") for line in lines} == {3}
    assert all(line.isascii() for line in lines)
