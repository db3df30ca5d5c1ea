"""The set-up's command line: one option, and one line for whatever goes wrong."""

import argparse
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from host_tools.errors import CommandError
from host_tools.toolchain import places, setup


def run(words: Sequence[str]) -> int:
    """Set up what is missing; return the exit code."""
    args = _parser().parse_args(words)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        setup.set_up(setup.steps(args.check), places.home(), sys.stderr)
    except CommandError as error:
        return _say(str(error), 1)
    except PermissionError as error:
        whose = "this checkout is somebody else's: clone one of your own"
        return _say(f"{error.filename or places.home()}: {error.strerror}; {whose}", 1)
    except OSError as error:
        return _say(f"{error.filename or places.home()}: {error.strerror or error}", 1)
    except KeyboardInterrupt:
        return _say("interrupted; run it again to go on", 130)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m host_tools.toolchain",
        description="Set up what the project needs and this machine lacks: .venv, Unix "
        "MicroPython in 64 and 32 bit, umqtt.simple. No root; what is there is left alone.",
    )
    parser.add_argument("--check", action="store_true", help="also what `make check` needs")
    return parser


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(sentence: str, code: int) -> int:
    print(f"set-up: {sentence}", file=sys.stderr)
    return code
