"""The process in which atheris drives one harness: python -m tests.fuzz.process NAME ..."""

import sys

import atheris

with atheris.instrument_imports(include=["host_tools.emulator", "host_tools.keys", "keystead"]):
    from tests.fuzz.__main__ import harness

    chosen = harness(sys.argv[1])


if __name__ == "__main__":
    atheris.Setup([sys.argv[0], *sys.argv[2:]], chosen.run)
    atheris.Fuzz()
