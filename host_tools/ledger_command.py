"""The factory's ledger: who was made, when, by which station, and how it went.

It is a SQLite file, or a PostgreSQL database that several stations share; --ledger or
KEYSTEAD_LEDGER says where. Events are appended and never changed, each bound to the one before
by its hash; of keys the ledger knows fingerprints only.

examples:
  keystead ledger batches
  keystead ledger list --batch 2026-08-A --state failed
  keystead ledger show sn-0007-mac-a1-b2-c3-d4-e5-f6
  keystead ledger export --format csv --output boards.csv
  keystead ledger head >> notebook.txt
  keystead ledger verify --head "$(tail -1 notebook.txt)"
  keystead ledger reconcile --group fleet

exit codes: as of every verb; and 3: verify found that the ledger was tampered with, 4: reconcile
found boards that the ledger and DPS disagree on. docs/ledger.md has the whole story.
"""

import argparse
import io
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from host_tools import boards
from host_tools.batch import Batch
from host_tools.derive_key import add_rule
from host_tools.emulator import whole_file
from host_tools.errors import CommandError
from host_tools.ledger import Identity, Tampered, dps, exporting, importing, opened
from host_tools.ledger import add_arguments as add_ledger
from host_tools.ledger.printing import (
    Printer,
    batch_json,
    batch_row,
    board_json,
    board_row,
)
from host_tools.ledger.reconciling import Differences, reconcile
from host_tools.ledger.rules import STATES
from keystead.record import ENDPOINT
from keystead.registration_id import TEMPLATE

TAMPERED, DIFFERENT = 3, 4
_STATE = 4  # which cell of a board's row


class _Verb(NamedTuple):
    """A verb of the ledger: its options, what it does, and one line of help."""

    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    help: str
    writes: bool = False
    codes: str = ""  # a sentence on its own exit code


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the ledger's verbs."""
    verbs = parser.add_subparsers(dest="ledger_verb", metavar="VERB", required=True)
    for name, verb in _VERBS.items():
        about = f"{verb.help[0].upper()}{verb.help[1:]}."
        inner = verbs.add_parser(name, help=verb.help, description=about, epilog=verb.codes)
        verb.add_arguments(inner)
        add_ledger(inner, verb.writes)
        inner.set_defaults(ledger_run=verb.run)


def run(args: argparse.Namespace) -> int:
    """Do what the verb says; return the exit code."""
    code: int = args.ledger_run(args)
    return code


def _json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def _filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--batch", metavar="NAME", help="of this batch only")
    parser.add_argument("--state", choices=STATES, metavar="STATE", help=", ".join(STATES))


# ---- looking


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    _filters(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def _list(args: argparse.Namespace) -> int:
    with opened(args) as ledger:
        found = ledger.identities(args.batch, args.state)
        if args.json:
            for one in found:
                print(json.dumps(board_json(one)))
        else:
            Printer().rows(map(board_row, found), _STATE)
    return 0


def _batches(args: argparse.Namespace) -> int:
    with opened(args) as ledger:
        found = [(batch, ledger.count(batch.name)) for batch in ledger.batches()]
    if args.json:
        for batch, count in found:
            print(json.dumps(batch_json(batch, count)))
    else:
        Printer().rows((batch_row(batch, count) for batch, count in found), 0)
    return 0


def _board(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("board", metavar="BOARD", help="a registration ID, MAC or serial")


def _show_arguments(parser: argparse.ArgumentParser) -> None:
    _board(parser)
    _json_option(parser)


def _show(args: argparse.Namespace) -> int:
    with opened(args) as ledger:
        identity = ledger.find(args.board)
        batch = ledger.batch(identity.batch)
        events = list(ledger.events(identity.registration_id))
    if args.json:
        history = [exporting.event_json(event) for event in events]
        print(json.dumps({**board_json(identity), "events": history}))
    else:
        Printer().history(identity, batch, events)
    return 0


# ---- in and out


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    _filters(parser)
    parser.add_argument(
        "--format",
        choices=exporting.FORMATS,
        default="csv",
        help="csv: a table of boards (default); json: an array of them; events: every event of the"
        " ledger, a JSON object a line, enough to check the chain anywhere",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: stdout")


def _export(args: argparse.Namespace) -> int:
    if args.format == "events" and (args.batch or args.state):
        raise CommandError("--format events is the whole ledger: leave out --batch and --state")
    with opened(args) as ledger:
        if args.output is None:
            exporting.export(ledger, args.format, args.batch, args.state, sys.stdout)
            return 0
        text = io.StringIO(newline="")
        count = exporting.export(ledger, args.format, args.batch, args.state, text)
    whole_file.write(args.output, text.getvalue().encode(), 0o666 & ~_umask())
    what = "events" if args.format == "events" else "boards"
    print(f"{args.output}: {count} {what}")
    return 0


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _import_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="CSV or JSON with serial, mac, registration_id")
    add("--batch", required=True, metavar="NAME", help="the new batch that they become")
    add("--board", required=True, metavar="BOARD", help="e.g. ESP32_GENERIC_C3")
    add("--id-scope", required=True, help="of their DPS instance, e.g. 0ne00002193")
    add("--template", default=TEMPLATE, help=f"of IDs that the list leaves out: {TEMPLATE}")
    add("--endpoint", default=ENDPOINT, help=f"of DPS; default: {ENDPOINT}")
    add("--note", default="", help="a line for people")
    add_rule(parser)


def _import(args: argparse.Namespace) -> int:
    if not re.fullmatch("[0-9A-Za-z]{1,32}", args.id_scope):
        raise CommandError(f"--id-scope {args.id_scope!r}: letters and digits, e.g. 0ne00002193")
    chip = boards.get(args.board).chip
    wide = args.rule == "service"
    batch = Batch(
        args.batch, args.board, args.id_scope, args.template, args.endpoint, wide, args.note
    )
    units = importing.units(args.file, args.template, wide)
    with opened(args, create=True) as ledger:
        made = ledger.import_batch(batch, units, chip, args.file.name)
    print(f"batch {batch.name}: {len(made)} boards imported; none of their IDs is issued again")
    return 0


# ---- what people decide


def _scrap_arguments(parser: argparse.ArgumentParser) -> None:
    _board(parser)
    parser.add_argument("--reason", required=True, help="a line for the history")


def _scrap(args: argparse.Namespace) -> int:
    return _decide(args, "scrapped")


def _restore(args: argparse.Namespace) -> int:
    return _decide(args, "restored")


def _decide(args: argparse.Namespace, kind: str) -> int:
    with opened(args) as ledger:
        name = ledger.find(args.board).registration_id
        ledger.append(name, kind, reason=args.reason)
    print(f"{name}: {kind}")
    return 0


# ---- is it true?


def _head(args: argparse.Namespace) -> int:
    with opened(args) as ledger:
        print(ledger.head())
    return 0


def _verify_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--head",
        metavar="NUMBER:HASH",
        help="one that `keystead ledger head` printed and that was kept elsewhere: shows events"
        " that were cut off the end, and a chain made anew",
    )
    _json_option(parser)


def _verify(args: argparse.Namespace) -> int:
    with opened(args) as ledger, Console(stderr=True).status("verifying") as status:
        try:
            verdict = ledger.verify(
                args.head, lambda number: status.update(f"verifying: event {number}")
            )
        except Tampered as found:
            status.stop()
            return _tampered(found, args.json)
    if args.json:
        print(json.dumps({"ok": True, "events": verdict.events, "head": verdict.head}))
    else:
        Printer().line(
            f"in order: {verdict.events} events, {verdict.batches} batches,"
            f" {verdict.identities} boards",
            "green",
        )
        print(f"head: {verdict.head}")
    return 0


def _tampered(found: Tampered, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"ok": False, "event": found.number, "why": str(found)}))
    else:
        print(f"keystead ledger: {found}", file=sys.stderr)
    return TAMPERED


def _reconcile_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--group", action="append", metavar="NAME", help="an enrollment group; default: all")
    add("--batch", metavar="NAME", help="whose boards are to have been seen; default: all")
    add(
        "--connection-string-file",
        type=Path,
        metavar="FILE",
        help="of a policy with Registration read, and Enrollment read if no --group is given;"
        f" default: ${dps.VARIABLE}",
    )
    add("--cloud", metavar="URL", help="dial https://HOST:PORT instead of the policy's host")
    add("--ca", type=Path, metavar="FILE", help="trust this (default: the system's roots, or the"
        " CA of the `keystead cloud` that runs here)")  # fmt: skip
    _json_option(parser)


def _reconcile(args: argparse.Namespace) -> int:
    policy = dps.policy(args.connection_string_file)
    with opened(args) as ledger:
        if args.batch is not None:
            ledger.batch(args.batch)
        identities: list[Identity] = list(ledger.identities())
    with (
        dps.Dps(policy, args.cloud, args.ca) as service,
        Console(stderr=True).status("") as status,
    ):
        groups = args.group or service.groups()
        records = []
        for group in groups:
            for record in service.registrations(group):
                records.append(record)
                if len(records) % 1000 == 1:
                    status.update(f"asking DPS: {len(records)} registrations")
    found = reconcile(identities, records, args.batch)
    _tell_differences(found, args.json)
    return DIFFERENT if found.count else 0


def _tell_differences(found: Differences, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found.json()))
        return
    printer = Printer()
    for what, those in (
        ("never seen", found.never_seen),
        ("never made", found.never_made),
        ("not assigned", found.not_assigned),
    ):
        for one in those:
            printer.line(f"{what}: {one.registration_id}: {one.why}", "red")
    printer.line(
        f"{found.matched} as they should be, {len(found.never_seen)} flashed but never seen in"
        f" DPS, {len(found.never_made)} seen but never made, {len(found.not_assigned)} not"
        " assigned",
        "yellow" if found.count else "green",
    )


_VERBS = {
    "batches": _Verb(_json_option, _batches, "all batches, and how far each has come"),
    "list": _Verb(_list_arguments, _list, "boards, one a line"),
    "show": _Verb(_show_arguments, _show, "a board and its history"),
    "export": _Verb(_export_arguments, _export, "boards as CSV or JSON, or all events; no keys"),
    "import": _Verb(
        _import_arguments,
        _import,
        "boards that were made elsewhere, so that no ID is issued twice",
        writes=True,
    ),
    "scrap": _Verb(_scrap_arguments, _scrap, "a board that is never to be good", writes=True),
    "restore": _Verb(
        _scrap_arguments, _restore, "a board that was scrapped by mistake", writes=True
    ),
    "head": _Verb(
        lambda parser: None, _head, "number and hash of the last event, to keep elsewhere"
    ),
    "verify": _Verb(
        _verify_arguments,
        _verify,
        "the chain, and that all tables follow from it",
        codes=f"Exit code {TAMPERED}: the ledger was tampered with, the line says at which event.",
    ),
    "reconcile": _Verb(
        _reconcile_arguments,
        _reconcile,
        "the ledger against DPS's list of registrations",
        codes=f"Exit code {DIFFERENT}: there are boards that the ledger and DPS disagree on.",
    ),
}
