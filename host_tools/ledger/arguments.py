"""Arguments: how verbs are told which ledger is meant, and which station they are.

Owns how a ledger is opened for a verb, with its chain checked first where that appends. Doesn't
own the check (verifying.py).
"""

import argparse
import os

from rich.console import Console
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from host_tools.errors import CommandError
from host_tools.ledger.errors import NoLedger, Tampered
from host_tools.ledger.ledger import Ledger
from host_tools.ledger.opening import open_ledger

VARIABLE = "KEYSTEAD_LEDGER"
# options of libpq
_SECRET = {
    "password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret",
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser, writes: bool = True) -> None:
    """Declare --ledger and, for a verb that writes, --station and --unverified.

    For such a verb opened() checks the chain, unless --unverified is given.
    """
    parser.add_argument(
        "--ledger",
        metavar="PLACE",
        help="a SQLite file, or postgresql://USER@HOST/DATABASE that several stations share, its"
        f" password in ~/.pgpass or $PGPASSWORD (default: ${VARIABLE})",
    )
    if writes:
        parser.add_argument("--station", help="who writes (default: this machine's name)")
        parser.add_argument(
            "--unverified",
            action="store_true",
            help="do not check first that no event of the ledger was changed, which takes half a"
            " second for 10 000 boards",
        )


def opened(args: argparse.Namespace, create: bool = False) -> Ledger:
    """Return the ledger that the arguments mean, a context manager; LedgerError.

    For a verb that writes its chain is checked, unless --unverified: Tampered.
    """
    if args.ledger and _has_password(args.ledger):
        raise CommandError(
            "--ledger holds a password, and every user of this machine can read a command line:"
            " put it into ~/.pgpass or $PGPASSWORD"
        )
    place = args.ledger or os.environ.get(VARIABLE)
    if not place:
        raise NoLedger(f"no ledger: name one with --ledger, or in ${VARIABLE}")
    found = open_ledger(place, getattr(args, "station", None), create)
    if not getattr(args, "unverified", True):
        _check(found)
    return found


# every event is read: one that was changed long ago is no reason to trust those since
def _check(found: Ledger) -> None:
    try:
        total = found.head().partition(":")[0]
        with Console(stderr=True).status("checking the ledger") as status:
            found.check_chain(
                lambda number: status.update(f"checking the ledger: event {number} of {total}")
            )
    except BaseException as error:
        found.close()
        if isinstance(error, Tampered):
            raise error.advised() from None
        raise


def _has_password(place: str) -> bool:
    try:
        url = make_url(place)
    except (ArgumentError, ValueError):
        return False
    return url.password is not None or not _SECRET.isdisjoint(map(str.lower, url.query))
