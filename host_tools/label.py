"""Labels for boards that are made: sheets to print, one for a label printer, or on the terminal.

examples:
  keystead label --batch mill-7 --ledger factory.db --output labels.pdf
  keystead label --batch mill-7 --since 8h --output labels.html --skip 12
  keystead label sn-0007 --output - --format zpl | lp -o raw
  keystead label sn-0007-mac-a1-b2-c3-d4-e5-f6
  keystead label --batch mill-7 --output - --format csv

The QR code holds the registration ID, the first 16 digits of the key's fingerprint and the batch,
and no secret: KS1|sn-0007-mac-a1-b2-c3-d4-e5-f6|0123456789abcdef|mill-7|ebcd. `keystead check`
reads it at packing. Boards are named by registration ID, MAC or serial; of a batch those that are
good get a label, with --since those that became so since then. Without --output the code is shown
on the terminal. Layouts: L7160 (21 a sheet), L7651 (65), L4731 (189), 5160 (30, Letter).
"""

import argparse
import csv
import io
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.text import Text

from host_tools import whole_file
from host_tools.errors import CommandError
from host_tools.labels import pdf, sheet, since, svg, zpl
from host_tools.labels.boards import Labelled, labelled, with_keys
from host_tools.labels.drawing import modules
from host_tools.ledger import Ledger, opened
from host_tools.ledger import add_arguments as add_ledger
from host_tools.ledger.cells import cell
from host_tools.ledger.rules import STATES

_QUIET = 4  # modules of light around a code
# nothing, lower half, upper half, both
_BLOCKS = " \N{LOWER HALF BLOCK}\N{UPPER HALF BLOCK}\N{FULL BLOCK}"
_SHEETS = ("pdf", "html")
_FORMATS = (*_SHEETS, "svg", "zpl", "csv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("board", nargs="*", help="registration ID, MAC or serial")
    parser.add_argument("--batch", metavar="NAME", help="all boards of a batch that are good")
    parser.add_argument(
        "--state",
        choices=STATES,
        default="good",
        metavar="STATE",
        help="of the batch's boards (default: good)",
    )
    parser.add_argument(
        "--since", metavar="WHEN", help="only those since 90m, 8h, 2d ago or 2026-11-22T06:00"
    )
    parser.add_argument("--output", metavar="FILE", help="where to; - for stdout")
    parser.add_argument(
        "--format", choices=_FORMATS, help="default: what the output's name ends with"
    )
    parser.add_argument("--layout", default="L7160", help=f"of sheets: {', '.join(sheet.LAYOUTS)}")
    parser.add_argument(
        "--skip", type=int, default=0, metavar="N", help="labels of the first sheet that are gone"
    )
    parser.add_argument(
        "--size", default="50x25", metavar="WxH", help="of a zpl or svg label, mm (default: 50x25)"
    )
    parser.add_argument("--dpi", type=int, default=203, help="of the zpl printer (default: 203)")
    add_ledger(parser, station=False)


def run(args: argparse.Namespace) -> None:
    """Draw the labels."""
    draw = _drawer(args)
    with opened(args) as ledger:
        boards = list(_boards(args, ledger))
    if not boards:
        when = f" since {args.since}" if args.since else ""
        raise CommandError(
            f"batch {args.batch} has no {args.state} boards with a key{when}: --state names others"
        )
    if draw is None:
        _show(boards)
        return
    _deliver(args.output, boards, draw)


_Draw = Callable[[BinaryIO, Sequence[Labelled]], None]


def _drawer(args: argparse.Namespace) -> _Draw | None:
    """Return what draws, all options checked; None for the terminal."""
    if args.output is None and args.format is None:
        return None
    args.output = args.output or "-"
    kind = args.format or Path(args.output).suffix.removeprefix(".").lower()
    if kind not in _FORMATS:
        raise CommandError(f"{args.output}: name it .{', .'.join(_FORMATS)}, or give --format")
    paper, media = sheet.layout(args.layout), zpl.media(args.size, args.dpi)
    if not 0 <= args.skip < paper.count:
        raise CommandError(f"--skip {args.skip}: {paper.name} has {paper.count} labels a sheet")
    drawers: dict[str, _Draw] = {
        "pdf": lambda output, boards: pdf.write(output, boards, paper, args.skip, _title(args)),
        "html": lambda output, boards: _write(
            output, svg.document(boards, paper, args.skip, _title(args))
        ),
        "svg": lambda output, boards: _write(
            output, [svg.label(_single(boards), media.width, media.height)]
        ),
        "zpl": lambda output, boards: _write(output, (zpl.label(one, media) for one in boards)),
        "csv": lambda output, boards: _write(output, _csv(boards)),
    }
    return drawers[kind]


def _title(args: argparse.Namespace) -> str:
    return str(args.batch or "single boards")


def _boards(args: argparse.Namespace, ledger: Ledger) -> Iterator[Labelled]:
    if bool(args.board) == bool(args.batch):
        raise CommandError("name boards, or a batch with --batch")
    if args.since and not args.batch:
        raise CommandError("--since is of a batch: name it with --batch")
    if args.batch:
        found = ledger.identities(args.batch, args.state)
        if args.since:
            found = since.those(ledger, found, since.parse(args.since, time.time()))
        yield from with_keys(found)
    for name in args.board:
        yield labelled(ledger.find(name))


def _single(boards: Sequence[Labelled]) -> Labelled:
    if len(boards) > 1:
        raise CommandError("an svg has one label: take html or pdf for several")
    return boards[0]


def _write(output: BinaryIO, pieces: Iterable[str]) -> None:
    for piece in pieces:
        output.write(piece.encode())


def _csv(boards: Iterable[Labelled]) -> Iterator[str]:
    yield "registration_id,serial,mac,chip,batch,fingerprint,code\r\n"
    for one in boards:
        line = io.StringIO()
        # new serials can be no formulas, those of an older ledger could
        serial = one.serial if one.serial == one.registration_id else cell(one.serial)
        csv.writer(line).writerow(
            (one.registration_id, serial, one.mac, one.chip, one.batch, one.fingerprint,
             one.code)
        )  # fmt: skip
        yield line.getvalue()


def _deliver(place: str, boards: Sequence[Labelled], draw: _Draw) -> None:
    """Draw into memory, then write: what can not be drawn leaves no half file."""
    drawn = io.BytesIO()
    said = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), transient=True, disable=not _watched()
    )
    with said:
        said.add_task(f"drawing {len(boards)} labels")
        draw(drawn, boards)
    if place == "-":
        sys.stdout.buffer.write(drawn.getvalue())
        return
    whole_file.write(Path(place), drawn.getvalue())
    print(f"{place}: {len(boards)} labels", file=sys.stderr)


def _watched() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _show(boards: Sequence[Labelled]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for one in boards:
        print(f"{one.registration_id}  {one.batch}  key {one.fingerprint}", flush=True)
        for line in blocks(one.code, dark_ink=console.is_terminal):
            console.print(Text(line, "black on bright_white" if console.is_terminal else ""))
        print(one.code, flush=True)


def blocks(text: str, dark_ink: bool) -> Iterator[str]:
    """Give the lines of a code in half blocks, two rows each, with its quiet zone.

    dark_ink: on light ground; else for light letters on a dark terminal, whose colours we don't
    know.
    """
    rows = [bytes(_QUIET) + row + bytes(_QUIET) for row in modules(text)]
    blank = bytes(len(rows[0]))
    rows = [blank] * _QUIET + rows + [blank] * (_QUIET + len(rows) % 2)
    for upper, lower in zip(rows[::2], rows[1::2], strict=True):
        inked = ((a == dark_ink, b == dark_ink) for a, b in zip(upper, lower, strict=True))
        yield "".join(_BLOCKS[2 * a + b] for a, b in inked)
