"""Database: what the ledger needs of SQLite and PostgreSQL alike.

Owns connections, transactions, what is tried again, and the words for what can go wrong. Doesn't
own the tables, nor what differs: that is sqlite.py and postgresql.py.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from host_tools.ledger.errors import LedgerError, Locked

WAIT = 30.0  # seconds for whoever holds the ledger
_TRIES = 20
WRITES = "keystead_writes"
T = TypeVar("T")


class Again(Exception):
    """The transaction lost a race: nothing of it was kept, and it is to be run anew."""


class Dialect(Protocol):
    """What differs between the two kinds of database."""

    name: str
    place: str  # for messages; no password is in it
    wait: float  # seconds for whoever holds the ledger
    snapshot: dict[str, Any]  # options of a connection that sees one moment only

    def engine(self) -> Engine:
        """Return what makes connections; its `begin` heeds the option WRITES."""

    def check_place(self) -> None:
        """Raise FileMoved if what is open is not at its place any more."""

    def lock_head(self, connection: Connection) -> None:
        """Let nobody else append until this transaction ends."""

    def explain(self, error: DBAPIError) -> LedgerError | Again | None:
        """Return what an error means, None if it is a fault of this program."""

    def has_tables(self, connection: Connection) -> bool | None:
        """Tell whether there is a ledger; None: there is something else."""

    def settle(self) -> None:
        """Prepare for a new ledger, before any transaction; LedgerError."""

    def prepare(self, connection: Connection) -> None:
        """Make room for the tables, first of all in the transaction that creates them."""


class Database:
    """One ledger's database; may be used by several threads."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._engine = dialect.engine()
        # threads of one process take turns here: fairer than the database's own waiting
        self._turn = threading.Lock()

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Lend a connection that sees the ledger at one moment; LedgerError."""
        with self._worded(), self._engine.connect() as connection:
            reading = connection.execution_options(**self.dialect.snapshot)
            with reading.begin():
                yield reading

    def write(self, work: Callable[[Connection], T]) -> T:
        """Keep all that work does, or nothing; it may be called again; LedgerError."""
        if not self._turn.acquire(timeout=2 * self.dialect.wait):
            raise Locked(f"{self.dialect.place}: another part of this program holds the ledger")
        try:
            for _ in range(_TRIES):
                try:
                    return self._write(work)
                except Again:
                    continue
        finally:
            self._turn.release()
        raise Locked(f"{self.dialect.place}: other stations were faster {_TRIES} times: try again")

    def _write(self, work: Callable[[Connection], T]) -> T:
        with self._worded(), self._engine.connect() as connection:
            writing = connection.execution_options(**{WRITES: True})
            with writing.begin():
                done = work(writing)
                self.dialect.check_place()  # as late as can be: what is kept elsewhere is lost
                return done

    @contextmanager
    def _worded(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            meant = self.dialect.explain(error)
            if meant is None:
                raise
            raise meant from None
        except PoolTimeout:
            raise Locked(f"{self.dialect.place}: too many threads use the ledger") from None
