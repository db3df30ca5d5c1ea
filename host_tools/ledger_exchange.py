"""Ledger exchange: `keystead ledger export` and `import`.

Each is two functions, as in cloud_commands.py. Doesn't own the formats (ledger/exporting.py,
ledger/importing.py).
"""

import argparse
import io
import sys
from pathlib import Path
from typing import TextIO, cast

from host_tools import boards, whole_file
from host_tools.batch import Batch
from host_tools.derive_key import add_rule
from host_tools.errors import CommandError
from host_tools.identity import check_place
from host_tools.ledger import exporting, importing, opened
from host_tools.ledger.rules import STATES
from host_tools.printable import counted, printable
from keystead.record import ENDPOINT
from keystead.registration_id import TEMPLATE


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Declare which boards are meant."""
    parser.add_argument("--batch", metavar="NAME", help="of this batch only")
    parser.add_argument("--state", choices=STATES, metavar="STATE", help=", ".join(STATES))


def export_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what is exported."""
    add_filters(parser)
    parser.add_argument(
        "--format",
        choices=exporting.FORMATS,
        default="csv",
        help="csv: a table of boards (default); json: an array of them; events: every event of the"
        " ledger, a JSON object a line, enough to check the chain anywhere",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: stdout")


def export(args: argparse.Namespace) -> int:
    """Write boards or events."""
    if args.format == "events" and (args.batch or args.state):
        raise CommandError("--format events is the whole ledger: leave out --batch and --state")
    with opened(args) as ledger:
        if args.output is None:
            exporting.export(ledger, args.format, args.batch, args.state, _stdout())
            return 0
        text = io.StringIO(newline="")
        count = exporting.export(ledger, args.format, args.batch, args.state, text)
    whole_file.write(args.output, text.getvalue().encode())
    what = "event" if args.format == "events" else "board"
    print(f"{args.output}: {counted(count, what)}")
    return 0


class _Screen(io.TextIOBase):
    """A terminal that is written what is printable only."""

    def write(self, text: str) -> int:
        """Write some text."""
        return sys.stdout.write(printable(text, keep="\n\t"))


# a pipe gets every character as it is
def _stdout() -> TextIO:
    return cast(TextIO, _Screen()) if sys.stdout.isatty() else sys.stdout


def import_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which list is imported, as what."""
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="CSV or JSON with serial, mac, registration_id")
    add("--batch", required=True, metavar="NAME", help="the new batch that they become")
    add("--board", required=True, metavar="NAME", help="a folder of boards/: ESP32_GENERIC_C3 ...")
    add("--id-scope", required=True, help="of their DPS instance, e.g. 0ne00002193")
    add("--template", default=TEMPLATE, help=f"of IDs that the list leaves out: {TEMPLATE}")
    add("--endpoint", default=ENDPOINT, help=f"of DPS; default: {ENDPOINT}")
    add("--note", default="", help="a line for people")
    add_rule(parser)


def import_(args: argparse.Namespace) -> int:
    """Make a batch of the list."""
    check_place(args.id_scope, args.endpoint)
    chip = boards.get(args.board).chip
    wide = args.rule == "service"
    batch = Batch(
        args.batch, args.board, args.id_scope, args.template, args.endpoint, wide, args.note
    )
    units = importing.units(args.file, args.template, wide)
    with opened(args, create=True) as ledger:
        made = ledger.import_batch(batch, units, chip, args.file.name)
    print(
        f"batch {batch.name}: {counted(len(made), 'board')} imported; none of their IDs is issued"
        " again"
    )
    return 0
