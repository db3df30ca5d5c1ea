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
on the terminal.

Layouts: L7160 (21 a sheet), L7651 (65), L4731 (189), 5160 (30, Letter). On L4731 a code is large
enough for most scanners (modules of 0.25 mm) only where registration ID and batch name have 26
characters together: sn-0007-mac-a1-b2-c3-d4-e5-f6 and mill-7 have 35. L7651 bears 165 together,
the others whatever there can be.
"""

import argparse
import io
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.text import Text

from host_tools import whole_file
from host_tools.errors import CommandError
from host_tools.labels import forms, sheet, since, zpl
from host_tools.labels.boards import Labelled, labelled, with_keys
from host_tools.labels.drawing import modules
from host_tools.labels.forms import Form
from host_tools.ledger import Ledger, opened
from host_tools.ledger import add_arguments as add_ledger
from host_tools.ledger.rules import STATES
from host_tools.printable import counted, printable

_QUIET = 4  # modules of light around a code
# nothing, lower half, upper half, both
_BLOCKS = " \N{LOWER HALF BLOCK}\N{UPPER HALF BLOCK}\N{FULL BLOCK}"
_STOPPED = "`keystead check` stops whatever is not good"


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
        "--format", choices=forms.KINDS, help="default: what the output's name ends with"
    )
    parser.add_argument("--layout", default="L7160", help=f"of sheets: {', '.join(sheet.LAYOUTS)}")
    parser.add_argument(
        "--skip", type=int, default=0, metavar="N", help="labels of the first sheet that are gone"
    )
    parser.add_argument(
        "--size", default="50x25", metavar="WxH", help="of a zpl or svg label, mm (default: 50x25)"
    )
    parser.add_argument("--dpi", type=int, default=203, help="of the zpl printer (default: 203)")
    add_ledger(parser, writes=False)


def run(args: argparse.Namespace) -> None:
    """Draw the labels."""
    form = _form(args)
    with opened(args) as ledger:
        boards = list(_boards(args, ledger))
    if not boards:
        when = f" since {args.since}" if args.since else ""
        raise CommandError(
            f"batch {args.batch} has no {args.state} boards with a key{when}: --state names others"
        )
    if args.batch and args.state != "good":
        _note(f"these boards are {args.state}: {_STOPPED}")
    if form is None:
        _show(boards)
        return
    _deliver(args.output, boards, form)
    if (size := form.too_fine(boards)) is not None:
        _note(
            f"the codes' modules are {size:.2f} mm, many scanners want {forms.FINE} mm: scan one"
            " before you print all, or take a larger label"
        )


def _form(args: argparse.Namespace) -> Form | None:
    """Return the form asked for, all options checked; None for the terminal."""
    if args.output is None and args.format is None:
        return None
    args.output = args.output or "-"
    kind = args.format or Path(args.output).suffix.removeprefix(".").lower()
    if kind not in forms.KINDS:
        raise CommandError(f"{args.output}: name it .{', .'.join(forms.KINDS)}, or give --format")
    paper, media = sheet.layout(args.layout), zpl.media(args.size, args.dpi)
    if not 0 <= args.skip < paper.count:
        raise CommandError(f"--skip {args.skip}: {paper.name} has {paper.count} labels a sheet")
    return forms.form(kind, paper, args.skip, media, str(args.batch or "single boards"))


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
        identity = ledger.find(name)
        yield labelled(identity)
        if identity.state != "good":
            because = f", {identity.reason}" if identity.reason else ""
            _note(f"{identity.registration_id} is {identity.state}{because}: {_STOPPED}")


def _note(text: str) -> None:
    print(printable(f"keystead label: note: {text}"), file=sys.stderr)


def _deliver(place: str, boards: Sequence[Labelled], form: Form) -> None:
    """Draw into memory, then write: what can not be drawn leaves no half file."""
    drawn = io.BytesIO()
    said = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), transient=True, disable=not _watched()
    )
    with said:
        said.add_task(f"drawing {counted(len(boards), 'label')}")
        form.draw(drawn, boards)
    if place == "-":
        sys.stdout.buffer.write(drawn.getvalue())
        return
    whole_file.write(Path(place), drawn.getvalue())
    print(f"{place}: {counted(len(boards), 'label')}", file=sys.stderr)


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
