"""The same file under CPython and both MicroPython builds prints the same.

A script of this folder prints what the portable package does; its .txt says what that must be. A
line that ends in False is a vector of tests/vectors that was missed.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from host_tools.toolchain import micropython

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(
    path.name for path in Path(__file__).parent.glob("*.py") if "test" not in path.stem
)
# umqtt.simple 1.3.4 names modules as MicroPython did in 2017; CPython needs to be told
ALIASES = """
import sys, runpy
for old in ("socket", "struct", "binascii"):
    sys.modules["u" + old] = __import__(old)
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def _print(command: list[str], script: str) -> str:
    path = ["firmware", str(micropython.umqtt())]
    environment = {"PYTHONPATH": os.pathsep.join(path), "PYTHONIOENCODING": "utf-8"}
    environment["MICROPYPATH"] = ":".join([*path, ".frozen"])
    result = subprocess.run(
        [*command, f"tests/portable/{script}"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr.decode() + result.stdout.decode()
    return result.stdout.decode()


def _expected(script: str) -> list[str]:
    """What a script must print: read by a person once, and kept beside it."""
    return (Path(__file__).parent / script).with_suffix(".txt").read_text().splitlines()


@pytest.mark.parametrize("script", SCRIPTS)
def test_cpython_prints_what_is_expected(script: str) -> None:
    lines = _print([sys.executable, "-c", ALIASES], script).splitlines()
    assert lines == _expected(script)
    assert [line for line in lines if line.endswith("False")] == []


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("script", SCRIPTS)
def test_micropython_prints_what_is_expected(script: str, bits: int) -> None:
    assert _print(micropython.interpreter(bits), script).splitlines() == _expected(script)


def test_scripts_are_found() -> None:
    assert "sas_vectors.py" in SCRIPTS
