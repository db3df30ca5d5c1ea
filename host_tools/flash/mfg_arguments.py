"""The arguments --mfg-config and --mfg-values, which `keystead flash` and `keystead image` have
alike, and how bad rows of theirs are told.

Doesn't own which row is a board's (own_values.py), nor how the CSVs are read (batch.mfg_gen).
"""

import argparse
import sys
from pathlib import Path

from host_tools.batch import BadRows, Batch, mfg_gen
from host_tools.errors import CommandError
from host_tools.flash import own_values
from host_tools.flash.own_values import NoValues, OwnValues
from host_tools.ledger import Ledger
from host_tools.printable import counted, printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --mfg-config, --mfg-values and --serial-column, which is theirs."""
    group = parser.add_argument_group("values of each board's own, beside its factory record")
    add = group.add_argument
    add("--mfg-config", type=Path, metavar="FILE", help="which there are: mfg_gen.py's config")
    add(
        "--mfg-values", type=Path, metavar="FILE", help="mfg_gen.py's values, a row for each board"
    )
    add("--serial-column", metavar="NAME", help="the values' serials, if they call them otherwise")


def chosen(
    args: argparse.Namespace, book: Ledger, batch: Batch, size: int, replace: bool = False
) -> OwnValues | NoValues:
    """Return what the boards of a batch get, all rows checked; unreadable keys are warned of.

    size: of the NVS partition, bytes; replace: a board may lose those that it has. Raises BadRows,
    CommandError.
    """
    if args.mfg_config is None and args.mfg_values is None:
        return NoValues(book.events, replace)
    if args.mfg_config is None or args.mfg_values is None:
        raise CommandError("--mfg-config and --mfg-values go together: which keys, which values")
    columns = mfg_gen.read_config(args.mfg_config)
    found = own_values.read(columns, args.mfg_values, args.serial_column, batch, size)
    for line in mfg_gen.unreadable(columns):
        print(f"warning: {line}", file=sys.stderr)
    return found


def tell(bad: BadRows, verb: str, undone: str) -> int:
    """Print every bad row with its line, and that nothing was done; return the exit code."""
    for row in bad.rows:
        print(printable(f"{bad.where}:{row.line}: {row.problem}"), file=sys.stderr)
    number = counted(len(bad.rows), "bad row")
    what = f"{number}, so nothing was {undone}: mend and try again"
    print(f"keystead {verb}: {what}", file=sys.stderr)
    return 1
