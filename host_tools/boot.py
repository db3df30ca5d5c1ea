"""Boot the real firmware under Unix MicroPython, as one board, against a real or a bench cloud.

  export KEYSTEAD_GROUP_KEY=...
  keystead boot --id-scope 0ne00002193 --serial 007-888-abc \\
      --mac a1:b2:c3:d4:e5:f6

provisions this machine as a device at Azure DPS itself, over the network you are on. With
`keystead cloud` running in another terminal, add --cloud 127.0.0.1:8883 --ca ca.pem. The firmware
gets a 64 KiB heap, as on an ESP32. Ends with Ctrl-C; with --once at the first failure, exit 1.
"""

import argparse
import re
from pathlib import Path

from host_tools import identity, roots, signals
from host_tools.errors import CommandError
from host_tools.virtual_board.unix_board import UnixBoard, chip_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    identity.add_arguments(parser)
    parser.add_argument(
        "--cloud",
        metavar="HOST:PORT",
        help="where every host name leads: a `keystead cloud`; default: the network's own DNS",
    )
    parser.add_argument(
        "--ca", type=Path, metavar="PEM", help="trust these roots instead of Azure's"
    )
    parser.add_argument("--app", type=Path, metavar="FILE", help="run this app.py")
    parser.add_argument(
        "--heap", default="", help="the firmware's heap; default: 64k, 128k with 64 bits"
    )
    parser.add_argument(
        "--bits", type=int, choices=(32, 64), default=32, help="which Unix port; default: 32"
    )
    parser.add_argument("--once", action="store_true", help="end at the first failure, exit 1")


def run(args: argparse.Namespace) -> int:
    """Boot, and print the serial console."""
    record = identity.factory_record(args)
    hosts = {"*": _place(args.cloud)} if args.cloud else {}
    with chip_folder() as folder:
        board = UnixBoard(folder, record.mac, bits=args.bits, heap=args.heap, hosts=hosts)
        board.install(roots.from_file(args.ca) if args.ca else roots.azure(), args.app)
        board.write_nvs("record", record.pack())
        return signals.run(_watch(board, args.once))


def _place(text: str) -> tuple[str, int]:
    match = re.fullmatch(r"(.+):([0-9]{1,5})", text)
    if not match or int(match[2]) > 65535:
        raise CommandError(f"--cloud {text}: write HOST:PORT, e.g. 127.0.0.1:8883")
    return match[1], int(match[2])


async def _watch(board: UnixBoard, once: bool) -> int:
    failed = False
    async with board.powered() as console:
        async for line in console:
            print(line, flush=True)
            failed = failed or " FAILURE " in line
            # the line with the next attempt closes the report of a failure
            if once and failed and "next attempt:" in line:
                return 1
    return 1
