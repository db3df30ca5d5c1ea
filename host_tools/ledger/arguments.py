"""Arguments: how verbs are told which ledger is meant, and which station they are."""

import argparse
import os

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from host_tools.errors import CommandError
from host_tools.ledger.errors import NoLedger
from host_tools.ledger.ledger import Ledger
from host_tools.ledger.opening import open_ledger

VARIABLE = "KEYSTEAD_LEDGER"
# options of libpq
_SECRET = {
    "password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret",
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser, station: bool = True) -> None:
    """Declare --ledger and, for those who write, --station."""
    parser.add_argument(
        "--ledger",
        metavar="PLACE",
        help="a SQLite file, or postgresql://USER@HOST/DATABASE that several stations share, its"
        f" password in ~/.pgpass or $PGPASSWORD (default: ${VARIABLE})",
    )
    if station:
        parser.add_argument("--station", help="who writes (default: this machine's name)")


def opened(args: argparse.Namespace, create: bool = False) -> Ledger:
    """Return the ledger that the arguments mean, a context manager; LedgerError."""
    if args.ledger and _has_password(args.ledger):
        raise CommandError(
            "--ledger holds a password, and every user of this machine can read a command line:"
            " put it into ~/.pgpass or $PGPASSWORD"
        )
    place = args.ledger or os.environ.get(VARIABLE)
    if not place:
        raise NoLedger(f"no ledger: name one with --ledger, or in ${VARIABLE}")
    return open_ledger(place, getattr(args, "station", None), create)


def _has_password(place: str) -> bool:
    try:
        url = make_url(place)
    except (ArgumentError, ValueError):
        return False
    return url.password is not None or not _SECRET.isdisjoint(map(str.lower, url.query))
