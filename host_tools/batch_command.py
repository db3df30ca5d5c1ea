"""Plan a batch of boards in the ledger: which serials, which registration IDs, for which DPS.

examples:
  keystead batch create mill-7 --ledger factory.db --board ESP32_GENERIC_C3 \\
      --id-scope 0ne00002193 --serials sn-0001..sn-9999
  keystead batch create mill-8 --ledger factory.db --board ESP32_GENERIC_C3 \\
      --id-scope 0ne00002193 --csv boards.csv --dry-run
  keystead batch list --ledger factory.db
  keystead batch show mill-7 --ledger factory.db
  keystead batch show mill-7 --ledger factory.db --free

A CSV has a head that names its columns, in any order: serial, mac, registration_id. Without a MAC
a serial goes to whichever board is next; without a registration ID the template makes it. Other
columns are kept with the board. Every row is checked before anything is written, and every bad row
is told with its line.
"""

import argparse
import io
import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TextIO

from rich.console import Console

from host_tools import batch, batch_shown, boards, ledger
from host_tools.batch import BadRows, Batch, Columns, Unit, mfg_gen, table
from host_tools.derive_key import add_rule
from host_tools.errors import CommandError
from host_tools.identity import check_place
from host_tools.ledger.planning import rows_of
from host_tools.ledger.printing import batch_facts
from host_tools.printable import counted, printable
from keystead.record import ENDPOINT
from keystead.registration_id import TEMPLATE

SHOWN = 20  # bad rows told one by one; --json tells all
_LONG = 50_000  # boards: writing fewer takes no two seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    verbs = parser.add_subparsers(dest="what", metavar="create|list|show", required=True)
    create = _add(verbs, "create", "plan a batch: all of it, or nothing", _create)
    create.add_argument("name", help="of the batch, as the ledger is to know it")
    _add_batch(create)
    _add_units(create)
    create.add_argument(
        "--serials-again",
        action="store_true",
        help="let the batch have serials that other batches have",
    )
    create.add_argument("--dry-run", action="store_true", help="check the list, write nothing")
    _add(verbs, "list", "the batches of a ledger, and how far they are", batch_shown.show_all)
    show = _add(verbs, "show", "one batch, and what became of its first boards", batch_shown.show)
    show.add_argument("name", help="of the batch")
    show.add_argument(
        "--free",
        action="store_true",
        help="only what has no board yet, one a line: serial, tab, registration ID ({mac} stands "
        "for what the board brings)",
    )
    for verb in verbs.choices.values():
        ledger.add_arguments(verb, writes=verb is create)
        verb.add_argument("--json", action="store_true", help="print JSON")


def _add(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    about: str,
    act: Callable[[argparse.Namespace], int | None],
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
    parser.set_defaults(act=act)
    return parser


def _add_batch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--board", required=True, metavar="NAME", help="a folder of boards/: ESP32_GENERIC_C3 ..."
    )
    parser.add_argument("--id-scope", required=True, help="of the DPS instance, e.g. 0ne00002193")
    parser.add_argument("--endpoint", default=ENDPOINT, help=f"of DPS; default: {ENDPOINT}")
    parser.add_argument(
        "--template", default=TEMPLATE, help=f"of registration IDs; default: {TEMPLATE}"
    )
    add_rule(parser)
    parser.add_argument("--note", default="", help="a line for people, e.g. the order's number")


def _add_units(parser: argparse.ArgumentParser) -> None:
    units = parser.add_mutually_exclusive_group(required=True)
    units.add_argument("--serials", metavar="FIRST..LAST", help="e.g. sn-0001..sn-9999")
    units.add_argument("--csv", metavar="FILE", help="a list of boards; - for stdin")
    parser.add_argument(
        "--serial-column", metavar="NAME", help="the CSV's serials, if it calls them otherwise"
    )
    parser.add_argument(
        "--mfg-config",
        type=Path,
        metavar="FILE",
        help="the CSV is a values file of Espressif's mfg_gen.py, and this its config: what goes "
        "into a board's NVS is checked, and not kept in the ledger",
    )


def run(args: argparse.Namespace) -> int | None:
    """Create, list or show."""
    act: Callable[[argparse.Namespace], int | None] = args.act
    return act(args)


def _create(args: argparse.Namespace) -> int | None:
    planned = _batch(args)
    try:
        units = _units(args)
    except BadRows as bad:
        return _tell(bad, args.json)
    if args.dry_run:
        _check(planned, units, args)
    else:
        with ledger.opened(args, create=True) as book, _waiting(len(units)):
            book.create_batch(planned, units, args.serials_again)
    _say(planned, units, args)
    return None


def _check(planned: Batch, units: list[Unit], args: argparse.Namespace) -> None:
    try:
        book = ledger.opened(args)
    except ledger.NoLedgerYet as none:
        rows_of(planned, units)
        said = f"keystead batch: note: {none}; the list was checked by itself"
        print(printable(said), file=sys.stderr)
        return
    with book:
        book.check_batch(planned, units, args.serials_again)


def _waiting(count: int) -> AbstractContextManager[object]:
    console = Console(stderr=True)
    if count < _LONG or not console.is_terminal:
        return nullcontext()
    return console.status(f"writing {count} boards into the ledger")


def _batch(args: argparse.Namespace) -> Batch:
    check_place(args.id_scope, args.endpoint)
    return Batch(
        name=args.name,
        board=boards.get(args.board).name,
        id_scope=args.id_scope,
        template=args.template,
        endpoint=args.endpoint,
        wide=args.rule == "service",
        note=args.note,
    )


def _units(args: argparse.Namespace) -> list[Unit]:
    wide = args.rule == "service"
    if args.serials is not None:
        return batch.units_from_range(args.serials, args.template, wide)
    columns = Columns(args.serial_column)
    if args.mfg_config is not None:
        columns = _mfg_columns(args)
    return batch.units_from_csv(_list_of(args), args.template, wide, columns)


def _list_of(args: argparse.Namespace) -> Path | TextIO:
    if args.csv != "-":
        return Path(args.csv)
    if args.mfg_config is not None:
        raise CommandError("values for mfg_gen are read twice: name their file with --csv")
    if sys.stdin is None:
        raise CommandError("stdin is closed: name a file with --csv")
    return io.StringIO(table.decode(sys.stdin.buffer, "stdin"))


# what goes into a board's NVS is checked here, and not kept: `keystead flash` reads it again
def _mfg_columns(args: argparse.Namespace) -> Columns:
    keys = mfg_gen.read_config(args.mfg_config)
    mfg_gen.read_values(_list_of(args), keys)
    return mfg_gen.listed(keys, args.serial_column)


def _tell(bad: BadRows, as_json: bool) -> int:
    if as_json:
        rows = [{"line": row.line, "problem": row.problem} for row in bad.rows]
        print(json.dumps({"file": bad.where, "badRows": rows}))
        return 1
    for row in bad.rows[:SHOWN]:
        print(printable(f"{bad.where}:{row.line}: {row.problem}"), file=sys.stderr)
    if len(bad.rows) > SHOWN:
        print(f"and {len(bad.rows) - SHOWN} more; --json tells all", file=sys.stderr)
    print(
        f"keystead batch: {counted(len(bad.rows), 'bad row')}, so nothing was written: mend "
        f"{'it' if len(bad.rows) == 1 else 'them'}, then run this again",
        file=sys.stderr,
    )
    return 1


def _say(planned: Batch, units: list[Unit], args: argparse.Namespace) -> None:
    if args.json:
        done_as = {"units": len(units), "dryRun": args.dry_run}
        print(json.dumps({**batch_facts(planned), **done_as}))
        return
    done = "would be planned" if args.dry_run else "planned"
    done = f"{counted(len(units), 'board')} {done}"
    first, last = units[0], units[-1]
    print(
        f"batch {planned.name}: {done} ({first.serial} to {last.serial}), "
        f"the first as {batch_shown.id_of(planned, first)}"
    )
