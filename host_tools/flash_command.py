"""Flash boards: write, read back, boot, prove, record; many ports at once.

  export KEYSTEAD_GROUP_KEY=...
  keystead flash --ledger ledger.db --batch pilot \\
      --port /dev/ttyUSB0 --port /dev/ttyUSB1 \\
      --micropython ESP32_GENERIC_C3-20260406-v1.28.0.bin \\
      --config config.json

Each board gets MicroPython, the firmware with your configuration and application, and its own
factory record with the device key derived for it. What was written is read back and parsed; then
the board boots, and signs a nonce with its key. Only then it is `good` in the ledger.

Whatever ends a run - Ctrl-C, a cable, a power cut - run the same command again: a board keeps the
identity that was reserved for its MAC, and only what is not in its flash yet is written. A board
that is good may be flashed again with newer files; it keeps its identity as well.

With --register a board is good only after it reached its hub by itself, end to end. --dry-run
writes nothing and says which identity each board would get; two new boards are both shown the next
one, as nothing is reserved. --continuous goes on with the next
board put on the same port, until Ctrl-C.

Exit codes: 0 all boards are good, 1 some are not (each says why, and so does the ledger), 2 wrong
usage, 130 interrupted. The guide: docs/factory.md.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console

import keystead
from host_tools import boards, key_sources, ledger, serial_line
from host_tools.errors import CommandError
from host_tools.flash import rows
from host_tools.flash.loads import Loads
from host_tools.flash.station import DeviceKeys, Outcome, Station
from host_tools.flash.steps import Order
from host_tools.images import contents, micropython_image
from host_tools.images.board_files import content, spread
from host_tools.key_sources import shield

_BAUD = 460_800  # bits/s: every USB bridge can
_INTERRUPTED = 130  # exit code
_REGISTER = 120.0  # seconds: a first boot may wait a minute so that not all come at once


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    ledger.add_arguments(parser)
    add = parser.add_argument
    add("--batch", required=True, metavar="NAME", help="a batch of the ledger: `keystead batch`")
    ports = parser.add_mutually_exclusive_group(required=True)
    ports.add_argument(
        "--port",
        action="append",
        metavar="URL",
        help="a device, or rfc2217://HOST:PORT; may be given more than once",
    )
    ports.add_argument("--all-ports", action="store_true", help="every serial port there is")
    micropython_image.add_arguments(parser, sized=False)
    add("--config", type=Path, metavar="FILE", help="config.json: docs/configuration.md")
    add("--app", type=Path, metavar="FILE", help="your app.py: docs/application.md")
    add("--ca", type=Path, metavar="PEM", help="trust the roots in this file instead of Azure's")
    key_sources.add_arguments(parser, secondary=True)
    add("--baud", type=_baud, default=_BAUD, help="bits/s, 115200 where it fails (%(default)s)")
    add(
        "--register",
        type=_seconds,
        nargs="?",
        const=_REGISTER,
        default=0,
        metavar="SECONDS",
        help=f"wait until the board has reached its hub (default: {_REGISTER:.0f} s)",
    )
    add(
        "--replace-identity",
        action="store_true",
        help="overwrite a board that has another identity's record, or another group's key",
    )
    add("--continuous", action="store_true", help="go on with the next board on the same port")
    add("--dry-run", action="store_true", help="write nothing, say what would be done")
    add("--json", action="store_true", help="print one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Flash; 0 if all boards are good."""
    shield.forbid_core_dumps()
    ports = _ports(args)
    with ledger.opened(args) as book, _keys(args) as keys:
        key_sources.forget(args)
        order = _order(args, book)
        station = Station(order, book, keys, args.dry_run, args.continuous)
        with rows.shown(ports, args.json) as view:
            outcomes = rows.follow(station.run(ports), view)
    _sum_up(args, outcomes)
    if station.interrupted and not args.continuous:
        return _INTERRUPTED
    enough = len(outcomes) >= (1 if args.continuous else len(ports))
    return 0 if enough and all(one.result != "failed" for one in outcomes) else 1


def _ports(args: argparse.Namespace) -> list[str]:
    ports = list(serial_line.list_ports()) if args.all_ports else list(args.port)
    if not ports:
        raise CommandError("no serial port here: plug a board in, or name one with --port")
    twice = sorted({port for port in ports if ports.count(port) > 1})
    if twice:
        raise CommandError(f"--port {twice[0]} is given twice")
    for port in ports:
        if port.lower().startswith("socket://"):
            raise CommandError(
                f"--port {port}: a plain socket has no reset lines, and a chip is reset to be "
                "flashed; take the device, or rfc2217://HOST:PORT of a server that speaks RFC 2217"
            )
    return ports


def _order(args: argparse.Namespace, book: ledger.Ledger) -> Order:
    batch = book.batch(args.batch)
    board = boards.get(batch.board)
    if args.config is None:
        print("no --config: the boards know no network", file=sys.stderr)
    image = micropython_image.chosen(args, board)
    contents.check(board, image)
    with Console(stderr=True).status("compiling the firmware"):
        files = content(board, args.config, args.app, args.ca)
    return Order(
        batch,
        board,
        Loads(board, image, files).get,
        keystead.__version__,
        args.baud,
        args.register,
        args.replace_identity,
        spread=spread(files),
    )


@contextmanager
def _keys(args: argparse.Namespace) -> Iterator[DeviceKeys | None]:
    if args.dry_run:  # which derives none
        yield None
        return
    with ExitStack() as stack:
        primary = stack.enter_context(key_sources.from_arguments(args))
        secondary = key_sources.secondary_from_arguments(args)
        yield DeviceKeys(primary, stack.enter_context(secondary) if secondary else None)


def _sum_up(args: argparse.Namespace, outcomes: Sequence[Outcome]) -> None:
    if not args.json:
        rows.summed(
            Console(highlight=False, soft_wrap=not (sys.stdout and sys.stdout.isatty())), outcomes
        )


def _baud(text: str) -> int:
    if not re.fullmatch("[0-9]{4,7}", text) or not 9600 <= int(text) <= 4_000_000:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a speed: 9600 to 4000000")
    return int(text)


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,4}", text) or not int(text):
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a number of seconds: 1 to 9999")
    return float(text)
