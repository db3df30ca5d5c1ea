"""A board proves at the REPL that it holds its device key, and tells nothing else of it."""

import base64
import json
from pathlib import Path

import pytest

from host_tools.virtual_board.unix_board import UnixBoard
from keystead.proof import claims
from keystead.record import unpack
from tests.emulator.conftest import DEVICE_KEY, MAC, RECORD
from tests.rim.scripts import printed

NONCE = bytes(range(32))
ASK = f"from rim.proof import prove\nprove({NONCE.hex()!r})"


@pytest.fixture(params=[64, 32])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> UnixBoard:
    return UnixBoard(tmp_path, MAC, request.param)


def test_a_board_answers_with_one_line_that_its_own_record_alone_can_give(
    board: UnixBoard,
) -> None:
    board.write_nvs("record", RECORD)
    [line] = printed(board, ASK)
    assert json.loads(line) == claims(unpack(RECORD, MAC), NONCE)
    secrets = (DEVICE_KEY.hex(), base64.b64encode(DEVICE_KEY).decode())
    assert not [secret for secret in secrets if secret in line]


def test_a_board_without_a_record_can_prove_nothing(board: UnixBoard) -> None:
    assert printed(board, ASK)[-1] == "Failure: record-absent"


def test_a_board_with_another_boards_record_can_prove_nothing(board: UnixBoard) -> None:
    board.mac = bytes(6)
    board.write_nvs("record", RECORD)
    assert printed(board, ASK)[-1].startswith("Failure: record-foreign")
