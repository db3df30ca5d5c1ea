"""SQLite: the ledger of one machine, a file.

WAL, so that readers never wait for a writer; synchronous FULL, so that what was committed
outlives a power cut: an identity given away twice is worse than a millisecond.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from host_tools.ledger.database import WRITES, Again
from host_tools.ledger.errors import (
    DiskFull,
    FileMoved,
    LedgerError,
    Locked,
    NoLedger,
    NoLedgerYet,
    NotALedger,
    ReadOnly,
)

_POOL = 20  # connections, for threads that read at the same time
# what SQLite says on a medium that takes no file beside the ledger; not: that it is locked
_READ_ONLY = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_MAKE = "`keystead batch create` makes one"


class Sqlite:
    """A ledger in a file."""

    name = "sqlite"
    snapshot: dict[str, Any] = {}  # a transaction always does

    def __init__(self, path: Path, create: bool, wait: float) -> None:
        """Raise NoLedger if there is no file and none is to be made."""
        self.place = str(path)
        self.wait = wait
        self._path = path.absolute()
        self._mode = "rwc" if create else "rw"
        self._file: tuple[int, int] | None = None  # which one was opened
        if path.is_dir():
            raise NotALedger(f"{path} is a folder: name the ledger's file in it")
        if not path.absolute().parent.is_dir():
            raise NoLedger(
                f"there is no folder {path.parent} for the ledger: make it first, or mend --ledger"
            )
        if not path.exists() and not create:
            raise NoLedgerYet(f"there is no ledger at {path}: {_MAKE}, or mend --ledger")

    def engine(self) -> Engine:
        """Return what makes connections."""
        made = create_engine(
            "sqlite://",
            creator=self._connect,
            poolclass=QueuePool,
            pool_size=_POOL,
            pool_timeout=self.wait,
        )
        event.listen(made, "connect", _connected)
        event.listen(made, "begin", _begin)
        return made

    def _connect(self) -> sqlite3.Connection:
        self.check_place()  # nor is another one made there
        mode = self._mode
        try:
            return self._open(f"mode={mode}")
        except sqlite3.OperationalError as error:
            code = error.sqlite_errorcode & 0xFF
            if code in _NO_ROOM:
                raise DiskFull(
                    f"{self.place} can not be opened ({error}): is the disk full? SQLite wants"
                    " room for a file of 32 KiB beside it, even to read"
                ) from None
            if code not in _READ_ONLY or mode == "rwc" or self._wal().exists():
                raise
            # a copy on a medium that takes no -shm file beside it; nobody can write there
            return self._open("mode=ro&immutable=1")

    def _open(self, options: str) -> sqlite3.Connection:
        made = sqlite3.connect(
            f"file:{quote(str(self._path))}?{options}",
            uri=True,
            timeout=self.wait,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            made.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error:
            made.close()
            raise
        self._file = self._file or self._there()
        return made

    def _there(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _wal(self) -> Path:
        return self._path.with_name(f"{self._path.name}-wal")

    def check_place(self) -> None:
        """Raise FileMoved: who writes to a file without a name writes for nobody."""
        if self._moved():
            raise self._gone()

    def _moved(self) -> bool:
        return self._file is not None and self._file != self._there()

    def _gone(self) -> FileMoved:
        return FileMoved(
            f"{self.place} was moved or removed while in use: nothing more is written; put it"
            " back, or name the right one"
        )

    def lock_head(self, connection: Connection) -> None:
        """BEGIN IMMEDIATE has done it."""

    def has_tables(self, connection: Connection) -> bool | None:
        """Tell whether there is a ledger; None: other tables."""
        found = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")
        names = {str(row[0]) for row in found}
        if {"about", "event", "identity"} <= names:
            return True
        return None if names else False

    def settle(self) -> None:
        """Make it WAL, which the file stays for ever; LedgerError."""
        try:
            with closing(self._connect()) as connection:
                # its waiting does not cover the change itself: who is second finds it done
                connection.executescript("BEGIN IMMEDIATE; COMMIT; PRAGMA journal_mode = WAL")
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise self._meant(error) or error from None

    def prepare(self, connection: Connection) -> None:
        """Nothing to do: the file is there."""

    def explain(self, error: DBAPIError) -> LedgerError | Again | None:
        """Return what an error means, by SQLite's own code."""
        return self._meant(error.orig) if isinstance(error.orig, sqlite3.Error) else None

    def _meant(self, error: sqlite3.Error) -> LedgerError | None:
        if self._moved():  # SQLite has other words for it
            return self._gone()
        code, what = getattr(error, "sqlite_errorcode", 0) & 0xFF, str(error)
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return Locked(
                f"{self.place} was locked by another program for more than {self.wait:g} s:"
                " end what holds it, then try again"
            )
        if code == sqlite3.SQLITE_READONLY:
            return ReadOnly(f"{self.place} is read-only here: nothing can be recorded in it")
        if code in _NO_ROOM:
            return DiskFull(f"{self.place} can not be written ({what}): is the disk full?")
        if code == sqlite3.SQLITE_CANTOPEN:
            return ReadOnly(f"{self.place} can not be opened: may you read and write its folder?")
        if code == sqlite3.SQLITE_NOTADB:
            return NotALedger(f"{self.place} is not a ledger of keystead")
        if code == sqlite3.SQLITE_CORRUPT:
            return LedgerError(
                f"{self.place} is damaged ({what}): go on with your last copy of it"
            )
        return None


def _connected(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA trusted_schema = OFF")


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("isolation_level") == "AUTOCOMMIT":  # SQLAlchemy begins there as well
        return
    writes = options.get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
