"""The rim's own logic, under both builds of MicroPython, without a network."""

import os
import subprocess
from pathlib import Path

import pytest

from host_tools.toolchain import micropython

ROOT = Path(__file__).parents[2]
EXPECTED = (Path(__file__).parent / "packets.txt").read_text()


@pytest.mark.parametrize("bits", [64, 32])
def test_every_packet_is_taken_whole_or_a_failure_is_named(bits: int) -> None:
    path = ["firmware", str(micropython.umqtt()), ".frozen"]
    result = subprocess.run(
        [*micropython.interpreter(bits), "tests/rim/packets.py"],
        cwd=ROOT,
        env={**os.environ, "MICROPYPATH": ":".join(path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.stderr == ""
    assert result.stdout == EXPECTED
