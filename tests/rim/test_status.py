"""What a technician sees at the REPL."""

import base64
import re
from pathlib import Path

import pytest

from host_tools import firmware
from host_tools.virtual_board.unix_board import UnixBoard
from tests.emulator.conftest import DEVICE_KEY, MAC, NAME, RECORD
from tests.rim.scripts import printed

POWER_ON, WATCHDOG = 1, 3


@pytest.fixture(params=[64, 32])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> UnixBoard:
    # it compiles the firmware itself
    board = UnixBoard(tmp_path, MAC, request.param, heap="256k")
    board.flash.mkdir()
    (board.flash / "failures.txt").write_text(firmware.failures())
    (board.flash / "config.json").write_text(
        '{"wifi": [{"ssid": "bench", "password": "the password"}], "journal": {}}'
    )
    return board


def told(lines: list[str], name: str) -> str:
    """The rest of the line that begins with name."""
    [rest] = [line[len(name) :].strip() for line in lines if line.startswith(name + "  ")]
    return rest


def test_a_board_that_was_never_connected_says_what_it_has(board: UnixBoard) -> None:
    board.write_nvs("record", RECORD)
    (board.folder / "nvs" / "keystead" / "failure.i32").write_text("62")
    lines = printed(board, "from rim.log import log\nlog('hello')\nimport status", WATCHDOG)
    assert re.fullmatch(
        r"keystead .*, MicroPython .*, started by watchdog", told(lines, "firmware")
    )
    assert told(lines, "device") == f"{NAME}, ID scope 0ne00002193, MAC a1:b2:c3:d4:e5:f6"
    assert told(lines, "network") == "not joined"
    assert told(lines, "clock") == "not set"
    assert told(lines, "hub") == "not assigned yet"
    assert told(lines, "failure") == "62 dps-unauthorized"
    assert "what to do:    Was the group key regenerated?" in "\n".join(lines)
    assert told(lines, "journal") == "0 messages wait, 0 were dropped"
    assert told(lines, "heap").endswith("bytes are free")
    assert lines[-2].endswith("] hello")
    secrets = (DEVICE_KEY.hex(), base64.b64encode(DEVICE_KEY).decode(), "the password")
    assert not [secret for secret in secrets if secret in "\n".join(lines)]


def test_a_board_with_nothing_on_it_says_so(board: UnixBoard) -> None:
    for file in board.flash.iterdir():
        file.unlink()
    lines = printed(board, "import status")
    assert told(lines, "device") == told(lines, "hub") == "record-absent"
    assert told(lines, "failure") == "none"
    assert told(lines, "journal").startswith("network-unset")
    assert lines[-1] == "Ctrl-D starts again"


def test_it_is_said_as_often_as_it_is_asked(board: UnixBoard) -> None:
    lines = printed(board, "import status\nimport status")
    assert lines.count("Ctrl-D starts again") == 2
