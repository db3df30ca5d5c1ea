"""The LED shows a number as time goes by, whoever looks how often."""

from pathlib import Path

import pytest

from host_tools.virtual_board.unix_board import UnixBoard
from tests.rim.scripts import MAC, printed

LIT = """
from machine import Pin
lit = []
Pin.value = lambda pin, level: lit.append("#" if level else ".")
from rim.led import show
for tenth in range(%d): show(%d, tenth * 100)
print("".join(lit[1:]))
"""


@pytest.fixture(params=[64, 32])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> UnixBoard:
    board = UnixBoard(tmp_path, MAC, request.param)
    board.flash.mkdir()
    (board.flash / "board.py").write_text("LED = 2\n")
    return board


def blinks(count: int) -> str:
    return "##..." * count


def test_tens_a_pause_units_a_long_pause_and_again(board: UnixBoard) -> None:
    once = blinks(3) + "." * 9 + blinks(2) + "." * 20
    assert printed(board, LIT % (2 * len(once), 32)) == [once * 2]


@pytest.mark.parametrize("number", [11, 19, 91, 99])
def test_the_least_and_the_most_of_each_digit(board: UnixBoard, number: int) -> None:
    tens, units = divmod(number, 10)
    once = blinks(tens) + "." * 9 + blinks(units) + "." * 20
    assert printed(board, LIT % (len(once), number)) == [once]


def test_no_number_is_dark(board: UnixBoard) -> None:
    assert printed(board, LIT % (50, 0)) == ["." * 50]


@pytest.mark.parametrize("wiring", ["LED = None", "", "LED = 999"])
def test_a_board_without_one_stays_dark_and_works(board: UnixBoard, wiring: str) -> None:
    (board.flash / "board.py").write_text(wiring)
    assert printed(board, LIT.replace("[1:]", "") % (50, 62)) == [""]


def test_a_board_of_which_nothing_is_known_stays_dark_and_works(board: UnixBoard) -> None:
    (board.flash / "board.py").unlink()
    assert printed(board, LIT.replace("[1:]", "") % (50, 62)) == [""]
