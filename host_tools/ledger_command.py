"""The factory's ledger: who was made, when, by which station, and how it went.

It is a SQLite file, or a PostgreSQL database that several stations share; --ledger or
KEYSTEAD_LEDGER says where. Events are appended and never changed, each bound to the one before
by its hash; of keys the ledger knows fingerprints only.

examples:
  keystead ledger list --batch 2026-08-A --state failed
  keystead ledger show sn-0007-mac-a1-b2-c3-d4-e5-f6
  keystead ledger refused --batch 2026-08-A
  keystead ledger export --format csv --output boards.csv
  keystead ledger head >> notebook.txt
  keystead ledger verify --head "$(tail -1 notebook.txt)"
  keystead ledger reconcile --group fleet

exit codes: as of every verb; and 3: verify found that the ledger was tampered with, 4: reconcile
found boards that the ledger and DPS disagree on. docs/ledger.md has the whole story.
"""

import argparse
import json
from collections.abc import Callable
from typing import NamedTuple

from host_tools import ledger_exchange, ledger_truth
from host_tools.ledger import Event, Ledger, UnknownBoard, exporting, opened, printing
from host_tools.ledger import add_arguments as add_ledger
from host_tools.ledger.printing import Printer, board_json, board_row, refusal_row
from host_tools.printable import counted
from keystead.registration_id import parse_mac

_STATE = 4  # which cell of a board's row, and of a refusal's


class _Verb(NamedTuple):
    """A verb of the ledger: its options, what it does, and one line of help."""

    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    help: str
    writes: bool = False
    codes: str = ""  # a sentence on its columns, or on its own exit code


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


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    ledger_exchange.add_filters(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def _list(args: argparse.Namespace) -> int:
    with opened(args) as ledger:
        found = ledger.identities(args.batch, args.state)
        if args.json:
            for one in found:
                print(json.dumps(board_json(one)))
        else:
            Printer().rows(map(board_row, found), _STATE, printing.BOARD)
    return 0


def _refused_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--batch", metavar="NAME", help="that were to be of this batch only")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def _refused(args: argparse.Namespace) -> int:
    with opened(args) as ledger:
        found = ledger.refusals(args.batch)
        if args.json:
            for event in found:
                print(json.dumps(exporting.event_json(event)))
        else:
            Printer().rows(map(refusal_row, found), _STATE, printing.REFUSAL)
    return 0


def _board(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("board", metavar="BOARD", help="a registration ID, MAC or serial")


def _show_arguments(parser: argparse.ArgumentParser) -> None:
    _board(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def _show(args: argparse.Namespace) -> int:
    with opened(args) as ledger:
        try:
            identity = ledger.find(args.board)
        except UnknownBoard as unknown:
            raise _known_as_refused(ledger, args.board, unknown) from None
        batch = ledger.batch(identity.batch)
        events = [*ledger.refused(identity.mac), *ledger.events(identity.registration_id)]
    if args.json:
        history = [exporting.event_json(event) for event in events]
        print(json.dumps({**board_json(identity), "events": history}))
    else:
        Printer().history(identity, batch, events)
    return 0


def _known_as_refused(ledger: Ledger, text: str, unknown: UnknownBoard) -> UnknownBoard:
    """Return what to say of a board without an identity: it may be known as refused."""
    try:
        events: list[Event] = ledger.refused(parse_mac(text))
    except ValueError:
        return unknown
    if not events:
        return unknown
    last = events[-1]
    return UnknownBoard(
        f"board {text} has no identity: it was refused {counted(len(events), 'time')}, last at"
        f" {last.at} for {last.facts.get('reason')}; `keystead ledger refused` has all of them"
    )


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


_VERBS = {
    "list": _Verb(
        _list_arguments,
        _list,
        "boards, one a line",
        codes=f"Columns, between tabs in a pipe: {'; '.join(printing.BOARD)}.",
    ),
    "show": _Verb(_show_arguments, _show, "a board and its history"),
    "refused": _Verb(
        _refused_arguments,
        _refused,
        "boards turned away before anything was written to them",
        codes=f"Columns, between tabs in a pipe: {'; '.join(printing.REFUSAL)}. A board that was"
        " good since is here too: `keystead report` has those that are refused still.",
    ),
    "export": _Verb(
        ledger_exchange.export_arguments,
        ledger_exchange.export,
        "boards as CSV or JSON, or all events; no keys",
    ),
    "import": _Verb(
        ledger_exchange.import_arguments,
        ledger_exchange.import_,
        "boards that were made elsewhere, so that no ID is issued twice",
        writes=True,
    ),
    "scrap": _Verb(_scrap_arguments, _scrap, "a board that is never to be good", writes=True),
    "restore": _Verb(
        _scrap_arguments, _restore, "a board that was scrapped by mistake", writes=True
    ),
    "head": _Verb(
        lambda parser: None,
        ledger_truth.head,
        "number and hash of the last event, to keep elsewhere",
    ),
    "verify": _Verb(
        ledger_truth.verify_arguments,
        ledger_truth.verify,
        "the chain, and that all tables follow from it",
        codes=f"Exit code {ledger_truth.TAMPERED}: the ledger was tampered with; the line says at"
        " which event.",
    ),
    "reconcile": _Verb(
        ledger_truth.reconcile_arguments,
        ledger_truth.reconcile_,
        "the ledger against DPS's list of registrations",
        codes=f"Exit code {ledger_truth.DIFFERENT}: there are boards that the ledger and DPS"
        " disagree on.",
    ),
}
