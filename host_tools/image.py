"""Build what is flashed: the part that all boards share and, on demand, each board's own.

  keystead image --board ESP32_GENERIC --config config.json \\
      --micropython ESP32_GENERIC-20250911-v1.26.1.bin --output build/image
  esptool --port /dev/ttyUSB0 write-flash 0x1000 build/image/shared.bin

Writes MicroPython, the filesystem (LittleFS, with firmware, configuration and application), both
in one file shared.bin, and two manifests: image.json with offsets, sizes and SHA-256, and
manifest.json for ESP Web Tools. The MicroPython image must be the one that boards/ pins, or the
one whose SHA-256 you give; without --micropython it is fetched. With --config, vfs.bin and
shared.bin hold your Wi-Fi password: they are readable by you alone.

A board's own part is its NVS partition with the factory record, which holds its device key. The
line needs no file of it: `keystead flash` makes it in memory. For tools that take files, name a
folder with --with-secrets: for one board described as for `keystead record`, or for the boards of
a batch whose MACs are known:

  keystead image --board ESP32_GENERIC_C3 --ledger factory.db --batch pilot \\
      --output build/image --with-secrets own

Values of the boards' own go beside the record by --mfg-config and --mfg-values, as with
`keystead flash`. A board that was flashed with some is refused without: the file would erase them.

Each file there is readable by you alone; index.csv says whose it is. --merged makes each the whole
flash. Delete them when the boards are flashed: whoever has such a file can be that board.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from host_tools import boards, device_keys, identity, key_sources, ledger
from host_tools.batch import BadRows, Batch
from host_tools.boards import Board
from host_tools.device_keys import DeviceKeys
from host_tools.errors import CommandError
from host_tools.flash import mfg_arguments
from host_tools.images import board_files, contents, folder, micropython_image, owners
from host_tools.images.contents import Contents
from host_tools.images.device_files import DeviceFiles, Owner
from host_tools.images.partitions import mib
from host_tools.ledger import Ledger
from host_tools.printable import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add = parser.add_argument
    add("--board", metavar="NAME", help="a folder of boards/; a batch names its own")
    add("--output", type=Path, metavar="DIR", help="where the shared part goes; made if absent")
    micropython_image.add_arguments(parser)
    board_files.add_arguments(parser)
    add("--umqtt", action="store_true", help="add umqtt.simple, for images that have none")
    add("--dry-run", action="store_true", help="write nothing, say what would be written")
    add("--json", action="store_true", help="print image.json instead of lines for people")
    secret = parser.add_argument_group("a board's own part")
    secret.add_argument(
        "--with-secrets", type=Path, metavar="DIR", help="write files with device keys here"
    )
    secret.add_argument("--merged", action="store_true", help="each of them the whole flash")
    secret.add_argument("--batch", metavar="NAME", help="the boards of this batch of the ledger")
    ledger.add_arguments(parser, writes=False)
    mfg_arguments.add_arguments(parser)
    identity.add_arguments(parser, required=False)


def run(args: argparse.Namespace) -> int:
    """Build, tell, write; what can be refused is refused before anything is written."""
    try:
        _run(args)
    except BadRows as bad:  # of the values
        return mfg_arguments.tell(bad, "image", "written")
    return 0


def _run(args: argparse.Namespace) -> None:
    _check(args)
    with ExitStack() as stack:
        book = stack.enter_context(ledger.opened(args)) if args.batch else None
        batch = book.batch(args.batch) if book else None
        board = _board(args, batch.board if batch else "")
        keys = _keys(args, book, batch, stack) if book and batch else None
        own = None if batch else _of_one(args)
        key_sources.forget(args)
        built = _built(args, board)
        if book and batch:
            own = _of_batch(args, book, batch, keys, built)
        if args.dry_run:
            _tell(args, built)
            said = f"nothing is written: this was a dry run{_would_be(args, book, own)}"
            print(said, file=sys.stderr if args.json else sys.stdout)
            return
        files = DeviceFiles(args.with_secrets, built, own.units, args.merged) if own else None
        folder.write(args.output, built, private=args.config is not None)
        _tell(args, built)
        if files and own:
            _finish(args, files.write(own.boards), own.units)


@dataclass(frozen=True)
class _Own:
    """The boards that get files of their own, and how many were planned."""

    boards: Iterable[Owner]
    units: int


def _check(args: argparse.Namespace) -> None:
    if args.output is None and not args.dry_run:
        raise CommandError("name a folder with --output, or look first with --dry-run")
    if args.batch and args.mac:
        raise CommandError("--batch or --mac: one board or many")
    if (args.mfg_config or args.mfg_values) and not args.batch:
        raise CommandError("--mfg-config and --mfg-values are for a batch: --ledger and --batch")
    own = bool(args.batch or args.mac)
    if own and args.with_secrets is None:
        raise CommandError(
            "a board's own part holds its device key: name a folder for it with --with-secrets, "
            "or let `keystead flash` make it in memory"
        )
    if args.with_secrets is not None and not own:
        raise CommandError("--with-secrets: whose? Give --mac and so on, or --ledger and --batch")


def _board(args: argparse.Namespace, planned: str) -> Board:
    name = args.board or planned
    if not name:
        raise CommandError(f"which board? --board with one of {', '.join(boards.names())}")
    if planned and name != planned:
        raise CommandError(f"batch {args.batch} is of {planned}, --board says {name}")
    return boards.get(name)


def _built(args: argparse.Namespace, board: Board) -> Contents:
    image = micropython_image.chosen(args, board)
    with Console(stderr=True).status("compiling the firmware"):
        files = board_files.content(board, args.config, args.app, args.ca, args.umqtt)
    return contents.put_together(board, image, args.flash_size, files)


def _tell(args: argparse.Namespace, built: Contents) -> None:
    told = folder.described(built)
    if args.json:
        print(json.dumps(told))
        return
    said = built.description
    runs = f"MicroPython {said.micropython}" if said.micropython else said.project or "an image"
    print(f"{built.board.name}: {runs}, LittleFS {told['littlefs']}, {mib(args.flash_size)} flash")
    for entry in (*told["parts"], told["shared"]):
        print(f"  {_line(entry)}")
    if args.config is None:
        print("no --config: the boards know no network", file=sys.stderr)
    if not args.dry_run:
        print(f"{args.output}: {folder.MANIFEST} and {folder.WEB_MANIFEST} say the same")


def _line(entry: dict[str, Any]) -> str:
    return "{offset:#08x} {size:>9}  {sha256:.16}  {file}".format(**entry)


def _of_one(args: argparse.Namespace) -> _Own | None:
    return _Own([owners.of_arguments(args)], 1) if args.with_secrets is not None else None


def _keys(
    args: argparse.Namespace, book: Ledger, batch: Batch, stack: ExitStack
) -> DeviceKeys | None:
    if args.dry_run:  # which derives no key
        return None
    keys = stack.enter_context(device_keys.opened(args))
    owners.refuse_other_key(book, batch, keys)
    return keys


def _of_batch(
    args: argparse.Namespace, book: Ledger, batch: Batch, keys: DeviceKeys | None, built: Contents
) -> _Own:
    units = book.count(batch.name).units
    values = mfg_arguments.chosen(args, book, batch, built.layout.nvs.size).of
    for one in owners.named(book, batch):
        values(one)  # refused before the first file
    if keys is None:
        return _Own((), units)
    return _Own(owners.of_batch(batch, owners.named(book, batch), keys, values), units)


def _would_be(args: argparse.Namespace, book: Ledger | None, own: _Own | None) -> str:
    if own is None:
        return ""
    number = own.units
    if book:
        number = sum(1 for _ in owners.named(book, book.batch(args.batch)))
    return f"; {args.with_secrets} would get files of {number} of {own.units} boards"


def _finish(args: argparse.Namespace, written: Iterable[Owner], units: int) -> None:
    number = sum(1 for _ in _shown(written, units))
    if number == 0:
        raise CommandError(
            f"no board of batch {args.batch} has a MAC yet: plan it with MACs, or flash with "
            "`keystead flash`, which reads them"
        )
    out = sys.stderr if args.json else sys.stdout
    files = counted(number, "file")
    print(f"{args.with_secrets}: {files}, with the device key of its board in each", file=out)
    if number < units:
        left, verbs = units - number, "has no MAC yet, or is scrapped"
        verbs = verbs if left == 1 else "have no MAC yet, or are scrapped"
        print(f"{counted(left, 'board')} of the batch {verbs}", file=out)
    print(
        "Delete them when the boards are flashed: who has one can be that board", file=sys.stderr
    )


def _shown(written: Iterable[Owner], units: int) -> Iterator[Owner]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from written
        return
    yield from track(written, "writing", units, console=console, transient=True)
