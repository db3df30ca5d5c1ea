"""The argument --register, which `keystead flash` and `keystead retrofit` have alike."""

import argparse
import re
import sys

from host_tools.flash.console import too_short

_USUAL = 120.0  # seconds: a first boot may wait a minute so that not all come at once


def add_register(parser: argparse.ArgumentParser) -> None:
    """Declare --register: seconds as a float, 0 if it is not given."""
    parser.add_argument(
        "--register",
        type=_seconds,
        nargs="?",
        const=_USUAL,
        default=0,
        metavar="SECONDS",
        help=f"wait until the board has reached its hub (default: {_USUAL:.0f} s)",
    )


def warn_of_spread(seconds: float, spread: int) -> None:
    """Say on stderr that --register may end before a first boot has begun; seconds: 0, if not."""
    if seconds and (short := too_short(seconds, spread)):
        print(f"warning: --register {seconds:.0f}: {short}", file=sys.stderr)


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,4}", text) or not int(text):
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a number of seconds: 1 to 9999")
    return float(text)
