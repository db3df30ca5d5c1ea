"""Batches as people see them: all of a ledger's, one with its first boards, its free serials."""

import argparse
import json
from itertools import islice

from rich.console import Console
from rich.table import Table

from host_tools import ledger
from host_tools.batch import Batch, Unit
from host_tools.ledger.printing import batch_facts, batch_json, states_of
from host_tools.printable import printable

_PIPE_WIDTH = 200  # columns; nothing is folded where nobody looks at a screen
_FIRST = 5  # boards of a batch that are shown


def show_all(args: argparse.Namespace) -> None:
    """Print a ledger's batches."""
    with ledger.opened(args) as book:
        rows = [(one, book.count(one.name)) for one in book.batches()]
    if args.json:
        for one, count in rows:
            print(json.dumps(batch_json(one, count)))
        return
    table = Table("batch", "board", "ID scope", "boards", "free", "good", "note", box=None)
    for one, count in rows:
        good = str(count.states.get("good", 0))
        cells = (one.name, one.board, one.id_scope, str(count.units), str(count.free), good)
        table.add_row(*map(printable, (*cells, one.note)))
    console = Console(highlight=False, markup=False)  # a note may have square brackets
    console.width = console.width if console.is_terminal else _PIPE_WIDTH
    console.print(table)


def show(args: argparse.Namespace) -> None:
    """Print one batch and its first boards, or its free serials."""
    with ledger.opened(args) as book:
        if args.free:
            _show_free(book, args)
            return
        one, count = book.batch(args.name), book.count(args.name)
        rows = [_row(book, one, unit) for unit in islice(book.units(args.name), _FIRST)]
    if args.json:
        print(json.dumps(batch_json(one, count)))
        return
    for name, value in {**batch_facts(one), "rule": _rule(one)}.items():
        print(f"{name:14} {printable(value)}")
    states = states_of(count)
    print(f"{'boards':14} {count.units}, {count.free} free" + (f", {states}" if states else ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(f"{'':14} {'  '.join(cells).rstrip()}")
    if count.units > len(rows):
        print(f"{'':14} and {count.units - len(rows)} more")


def _row(book: ledger.Ledger, one: Batch, unit: Unit) -> tuple[str, str, str]:
    """Return a unit's serial, registration ID and state; free until it has a board."""
    made = book.of_unit(one.name, unit.serial)
    name, state = (made.registration_id, made.state) if made else (id_of(one, unit), "free")
    return printable(unit.serial), printable(name), state


def _rule(one: Batch) -> str:
    return "service: all that DPS takes" if one.wide else "seed: a-z, 0-9 and -"


def _show_free(book: ledger.Ledger, args: argparse.Namespace) -> None:
    one = book.batch(args.name)
    for unit in book.units(args.name, free=True):
        mac, name = unit.mac.hex(":") if unit.mac else None, id_of(one, unit)
        if args.json:
            print(json.dumps({"serial": unit.serial, "mac": mac, "registrationId": name}))
        else:
            print(printable("\t".join((unit.serial, name)), keep="\t"))


def id_of(one: Batch, unit: Unit) -> str:
    """Return a unit's registration ID, with {mac} where its board is not known yet."""
    if unit.mac is not None or unit.registration_id is not None:
        return one.registration_id(unit, unit.mac or bytes(6))
    return one.template.replace("{serial}", unit.serial)
