"""config.json on a board: which line is wrong, and what happens where it can not be used."""

from pathlib import Path

import pytest

from host_tools.virtual_board.unix_board import UnixBoard
from tests.rim.scripts import MAC, printed

GOOD = '{"wifi": [{"ssid": "hall", "password": "correct horse"}], "spread": 5}'
OTHER = GOOD.replace("5", "6")
LOAD = """
from keystead.failure import Failure
from rim.settings import load
try:
    settings = load()
    print(settings.links[0][1][0]["ssid"], settings.spread, repr(settings.problem))
except Failure as failure:
    print("FAILURE", failure)
"""
CUTS = """
from keystead.failure import Failure
from rim.settings import load
with open("config.json") as file:
    whole = file.read()
for size in range(len(whole)):
    with open("config.json", "w") as file:
        file.write(whole[:size])
    try:
        print(size, load().spread)
    except Failure as failure:
        if failure.reason != "config-invalid":
            print(size, failure)
"""


@pytest.fixture(params=[64, 32])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> UnixBoard:
    return UnixBoard(tmp_path, MAC, request.param)


def loaded(board: UnixBoard, text: str | None) -> str:
    """The last thing a board prints that loads this config.json."""
    board.flash.mkdir(exist_ok=True)
    path = board.flash / "config.json"
    path.unlink(missing_ok=True)
    if text is not None:
        path.write_bytes(text.encode())
    return printed(board, LOAD)[-1]


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ([""], 1),
        (["{"], 1),
        (["{", '"wifi": [', '{"ssid": "hall}', "]", "}"], 3),
        (["{", '"wifi": [', '{"ssid": hall}', "]", "}"], 3),
        (["{", '"spread": 1,', '"app": tru', "}", ""], 3),
        (["{", '"spread": 1 // slow', "}"], 2),
        (["{", "'wifi': []", "}"], 2),
        (["{", r'"app": "\\",', r'"log": "\"}', "}"], 3),
        ([GOOD, "", "junk"], 3),
        # a bracket that nothing closes is missed where the file ends
        (["{", '"app": {"a": 1,', '"wifi": [{"ssid": "hall"}]', "}"], 4),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_the_line_that_is_not_json_is_named(tmp_path: Path, rows: list[str], line: int) -> None:
    board = UnixBoard(tmp_path, MAC)
    for end in ("\n", "\r\n"):
        assert loaded(board, end.join(rows)) == (
            f"FAILURE config-invalid: config.json, line {line}: not JSON"
        )


def test_a_file_whose_end_is_missing_is_never_taken_for_whole(board: UnixBoard) -> None:
    board.flash.mkdir()
    (board.flash / "config.json").write_text(GOOD)
    assert printed(board, CUTS) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "config.json, line 1: not JSON"),
        (None, "there is no config.json"),
        (GOOD.replace("spread", "spred"), "config.json: spred is unknown"),
        ("{}", "config.json names no network"),
        (" " * 4097, "config.json is over 4096 bytes"),
    ],
    ids=["cut", "absent", "typo", "empty", "long"],
)
def test_a_file_that_can_not_be_used_leaves_the_last_good_one_in_force(
    board: UnixBoard, text: str | None, problem: str
) -> None:
    assert problem in loaded(board, text)
    assert "FAILURE" in loaded(board, text)
    assert loaded(board, OTHER) == "hall 6 ''"
    assert loaded(board, GOOD) == "hall 5 ''"
    assert loaded(board, text) == f"hall 5 {problem!r}"
    assert loaded(board, OTHER) == "hall 6 ''"


def test_a_good_file_is_written_to_flash_once(tmp_path: Path) -> None:
    board = UnixBoard(tmp_path, MAC)
    loaded(board, GOOD)
    kept = sorted((path.name, path.stat().st_mtime_ns) for path in tmp_path.glob("nvs/keystead/*"))
    assert kept
    loaded(board, GOOD)
    assert kept == sorted(
        (path.name, path.stat().st_mtime_ns) for path in tmp_path.glob("nvs/keystead/*")
    )


def test_a_file_too_long_for_flash_is_used_all_the_same(tmp_path: Path) -> None:
    board = UnixBoard(tmp_path, MAC)
    assert loaded(board, GOOD + " " * 2000) == "hall 5 ''"
    assert list(tmp_path.glob("nvs/keystead/*")) == []


def test_no_password_is_shown(tmp_path: Path) -> None:
    board = UnixBoard(tmp_path, MAC)
    loaded(board, GOOD)
    (board.flash / "config.json").write_text(GOOD.replace("horse", "horse" * 20))
    console = "\n".join(printed(board, LOAD))
    assert "wifi[0].password" in console
    assert "horse" not in console
