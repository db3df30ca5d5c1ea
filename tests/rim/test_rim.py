"""The rim's own logic, under both builds of MicroPython, without a network.

umqtt.simple 1.3.4 is what the package index has. Other versions, put beside it as
.toolchain/umqtt/VERSION/umqtt/simple.py, are tested as well.
"""

import os
import subprocess
from pathlib import Path

import pytest

from host_tools.toolchain import micropython

ROOT = Path(__file__).parents[2]
EXPECTED = (Path(__file__).parent / "packets.txt").read_text()

VERSIONS = sorted(path.name for path in micropython.places.home().glob("umqtt/*") if path.is_dir())


@pytest.mark.parametrize("version", VERSIONS or [micropython.UMQTT])
@pytest.mark.parametrize("bits", [64, 32])
def test_every_packet_is_taken_whole_or_a_failure_is_named(bits: int, version: str) -> None:
    path = ["firmware", str(micropython.umqtt(version)), ".frozen"]
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
