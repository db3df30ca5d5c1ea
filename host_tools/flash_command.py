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

With --register a board is good only after it reached its hub by itself, end to end, and its
app.py has run for four seconds. --dry-run writes nothing and says which identity each board would
get; two new boards are both shown the next one, as nothing is reserved. --continuous goes on with
the next board put on the same port, until Ctrl-C.

What else each board is to find in its NVS, a calibration or a certificate, comes from mfg_gen.py's
CSVs: --mfg-config and --mfg-values, whose row is found by the board's serial.

Exit codes: 0 all boards are good, 1 some are not (each says why, and so does the ledger), 2 wrong
usage, 130 interrupted. With --continuous Ctrl-C is the usual end: 0 then if there was a board and
all were good, else 1. The guide: docs/factory.md.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

import keystead
from host_tools import boards, device_keys, key_sources, ledger, serial_line
from host_tools.batch import BadRows
from host_tools.device_keys import DeviceKeys
from host_tools.errors import CommandError
from host_tools.flash import arguments, mfg_arguments, rows, words
from host_tools.flash.loads import Loads
from host_tools.flash.station import Outcome, Station
from host_tools.flash.steps import Order
from host_tools.images import board_files, contents, micropython_image
from host_tools.key_sources import shield

_BAUD = 460_800  # bits/s: every USB bridge can
_INTERRUPTED = 130  # exit code


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    ledger.add_arguments(parser)
    add = parser.add_argument
    add("--batch", required=True, metavar="NAME", help="a batch of the ledger: `keystead batch`")
    ports = parser.add_mutually_exclusive_group(required=True)
    ports.add_argument(
        "--port",
        type=serial_line.port_argument,
        action="append",
        metavar="URL",
        help="a device, or rfc2217://HOST:PORT; may be given more than once",
    )
    ports.add_argument("--all-ports", action="store_true", help="every serial port there is")
    micropython_image.add_arguments(parser, sized=False)
    board_files.add_arguments(parser)
    key_sources.add_arguments(parser, secondary=True)
    mfg_arguments.add_arguments(parser)
    add("--baud", type=_baud, default=_BAUD, help="bits/s, 115200 where it fails (%(default)s)")
    arguments.add_register(parser)
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
    try:
        return _run(args)
    except BadRows as bad:  # of the values: before any board is touched
        return mfg_arguments.tell(bad, "flash", "flashed")


def _run(args: argparse.Namespace) -> int:
    shield.forbid_core_dumps()
    if args.register and args.config is None:
        raise CommandError(
            "--register without --config: without a network no board reaches its hub; name the"
            " config.json"
        )
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
    layout = contents.check(board, image)
    values = mfg_arguments.chosen(args, book, batch, layout.nvs.size, args.replace_identity)
    with Console(stderr=True).status("compiling the firmware"):
        files = board_files.content(board, args.config, args.app, args.ca)
    spread = board_files.spread(files)
    arguments.warn_of_spread(args.register, spread)
    return Order(
        batch,
        board,
        Loads(board, image, files).get,
        keystead.__version__,
        args.baud,
        args.register,
        args.replace_identity,
        spread=spread,
        values=values.of,
    )


@contextmanager
def _keys(args: argparse.Namespace) -> Iterator[DeviceKeys | None]:
    if args.dry_run:  # which derives none
        yield None
        return
    with device_keys.opened(args) as keys:
        yield keys


def _sum_up(args: argparse.Namespace, outcomes: Sequence[Outcome]) -> None:
    if not args.json:
        words.summed(
            Console(highlight=False, soft_wrap=not (sys.stdout and sys.stdout.isatty())), outcomes
        )


def _baud(text: str) -> int:
    if not re.fullmatch("[0-9]{4,7}", text) or not 9600 <= int(text) <= 4_000_000:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a speed: 9600 to 4000000")
    return int(text)
