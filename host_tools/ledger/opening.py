"""Opening: which database a place means, and whether a ledger is in it.

Owns the choice between SQLite and PostgreSQL, the check of what is there, and making a new one.
"""

import platform
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, insert, select

import host_tools.ledger.chain as chain
import host_tools.ledger.tables as tables
from host_tools.errors import CommandError
from host_tools.ledger.appending import Writer
from host_tools.ledger.database import WAIT, Database, Dialect
from host_tools.ledger.errors import NewerLedger, NoLedgerYet, NotALedger
from host_tools.ledger.ledger import Ledger
from host_tools.ledger.postgresql import Postgresql
from host_tools.ledger.sqlite import Sqlite

_LONGEST_STATION = 64


def open_ledger(
    place: str,
    station: str | None = None,
    create: bool = False,
    *,
    clock: Callable[[], float] = time.time,
    wait: float = WAIT,
) -> Ledger:
    """Return the ledger at a place: a SQLite file's path, or a postgresql:// URL.

    station: who writes, default the machine's name; create: make an empty one if there is none;
    clock: seconds since 1970; wait: seconds for whoever holds the ledger. Raises NoLedger,
    NotALedger, NewerLedger, ServerGone, Locked.
    """
    dialect = _dialect(place, create, wait)
    who = (station or platform.node() or "station")[:_LONGEST_STATION]
    database = Database(dialect)
    try:
        with database.reading() as connection:
            there = _check(connection, dialect)
        if not there and not create:
            raise NoLedgerYet(
                f"there is no ledger in {dialect.place}: `keystead batch create` makes one"
            )
        if not there:
            dialect.settle()
            database.write(lambda connection: _create(connection, dialect, clock, who))
    except BaseException:
        database.close()
        raise
    return Ledger(database, who, clock)


def _dialect(place: str, create: bool, wait: float) -> Dialect:
    if "://" in place:
        return Postgresql(place, wait)
    if not place:
        raise CommandError("no ledger: its place is empty")
    return Sqlite(Path(place).expanduser(), create, wait)


def _check(connection: Connection, dialect: Dialect) -> bool:
    there = dialect.has_tables(connection)
    if there is None:
        raise NotALedger(f"{dialect.place} is not a ledger of keystead: it has other tables")
    if not there:
        return False
    version = connection.execute(
        select(tables.about.c.value).where(tables.about.c.name == "version")
    ).scalar_one_or_none()
    if version is None or not version.isdigit():
        raise NotALedger(f"{dialect.place} is not a ledger of keystead: it names no version")
    if int(version) > tables.VERSION:
        raise NewerLedger(
            f"{dialect.place} was made by a newer keystead (schema {version}, this one knows"
            f" {tables.VERSION}): use that one"
        )
    return True


def _create(
    connection: Connection, dialect: Dialect, clock: Callable[[], float], station: str
) -> None:
    dialect.lock_head(connection)
    if _check(connection, dialect):  # another station was faster
        return
    dialect.prepare(connection)
    tables.METADATA.create_all(connection)
    for statement in tables.guards(dialect.name, chain.START).values():
        connection.exec_driver_sql(statement)
    facts = {"ledger": str(uuid.uuid4()), "version": tables.VERSION}
    about = [{"name": name, "value": str(value)} for name, value in facts.items()]
    connection.execute(insert(tables.about), about)
    Writer(connection, dialect, chain.moment(clock()), station).event("created", None, facts)
