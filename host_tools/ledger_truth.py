"""Ledger truth: `keystead ledger head`, `verify` and `reconcile`.

Each is two functions, as in cloud_commands.py. Doesn't own what is compared (ledger/replay.py,
ledger/reconciling.py).
"""

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

from host_tools.ledger import Identity, Tampered, dps, opened
from host_tools.ledger.printing import Printer
from host_tools.ledger.reconciling import Differences, reconcile
from host_tools.printable import counted, printable

TAMPERED, DIFFERENT = 3, 4  # exit codes


def head(args: argparse.Namespace) -> int:
    """Print number and hash of the last event."""
    with opened(args) as ledger:
        print(ledger.head())
    return 0


def verify_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the chain is compared with."""
    parser.add_argument(
        "--head",
        metavar="NUMBER:HASH",
        help="one that `keystead ledger head` printed and that was kept elsewhere: shows events"
        " that were cut off the end, and a chain made anew",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def verify(args: argparse.Namespace) -> int:
    """Tell whether all is in order, or at which event it is not."""
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
            f"in order: {counted(verdict.events, 'event')},"
            f" {counted(verdict.batches, 'batch', 'batches')},"
            f" {counted(verdict.identities, 'board')}",
            "green",
        )
        print(f"head: {verdict.head}")
    return 0


def _tampered(found: Tampered, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"ok": False, "event": found.number, "why": str(found)}))
    else:
        print(f"keystead ledger: {printable(str(found))}", file=sys.stderr)
    return TAMPERED


def reconcile_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which DPS is asked, and about whom."""
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
    parser.add_argument("--json", action="store_true", help="print JSON")


def reconcile_(args: argparse.Namespace) -> int:
    """Tell which boards ledger and DPS disagree on."""
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
                    status.update(f"asking DPS: {counted(len(records), 'registration')}")
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
        ("not good", found.not_good),
        ("not assigned", found.not_assigned),
    ):
        for one in those:
            printer.line(f"{what}: {one.registration_id}: {one.why}", "red")
    printer.line(
        f"{found.matched} as they should be, {len(found.never_seen)} flashed but never seen in"
        f" DPS, {len(found.never_made)} seen but never made, {len(found.not_good)} seen but not"
        f" good, {len(found.not_assigned)} not assigned",
        "yellow" if found.count else "green",
    )
