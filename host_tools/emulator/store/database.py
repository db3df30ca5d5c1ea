"""Database: one SQLite file under a state directory that only its owner can read.

Owns the file, its lock, its version and transactions. Doesn't own the rows: that is the other
files' here, a table each.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from host_tools.emulator.store import schema
from host_tools.errors import CommandError

FILE = "cloud.sqlite3"


class StoreError(Exception):
    """The database can not be used, e.g. as the disk is full; the text says why."""


class _Rows(sqlite3.Cursor):
    """What a statement found; a file that is damaged may fail only when they are read."""

    def __next__(self) -> Any:
        try:
            return super().__next__()
        except sqlite3.Error as error:
            raise StoreError(str(error)) from None

    def fetchone(self) -> Any:
        return next(self, None)


class Database:
    """One database file; one process at a time."""

    def __init__(self, directory: Path) -> None:
        """Open or create the database in directory, and bring it up to date; CommandError."""
        path = directory / FILE
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
            try:
                os.fchmod(file, 0o600)  # one that was copied here may have come with another
            finally:
                os.close(file)
        except OSError as error:
            raise CommandError(f"can not keep state in {directory}: {error.strerror}") from None
        self._depth = 0
        self._connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._connection.close()
            raise CommandError(_why(error, directory, path)) from None

    # WAL with NORMAL: whatever was committed outlives a killed process; a power cut may take the
    # last moments, but leaves the file whole
    def _prepare(self) -> None:
        self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        # pages of 4 KiB: a checkpoint waits for the disk while nobody is served, and the default
        # of 1 000 makes one for every hundred registrations
        self._connection.execute("PRAGMA wal_autocheckpoint = 16384")
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > schema.VERSION:
            raise sqlite3.DatabaseError(f"made by a newer version of keystead, {version}")
        for number, step in enumerate(schema.STEPS[version:], version + 1):
            self._connection.executescript(
                f"BEGIN IMMEDIATE; {step} PRAGMA user_version = {number}; COMMIT;"
            )

    def close(self) -> None:
        """Write what is left and let go of the file."""
        self._connection.close()

    def execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run one statement; raise StoreError."""
        try:
            return self._connection.cursor(_Rows).execute(statement, values)
        except sqlite3.Error as error:
            raise StoreError(str(error)) from None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all of the block or, if it raises, nothing of it; one within another is one.

        Raises StoreError.
        """
        if self._depth:
            yield
            return
        self.execute("BEGIN IMMEDIATE")
        self._depth = 1
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            # a full disk may have rolled back by itself
            if self._connection.in_transaction:
                self.execute("ROLLBACK")
            raise
        finally:
            self._depth = 0


def _why(error: sqlite3.Error, directory: Path, path: Path) -> str:
    if "locked" in str(error):
        return f"another keystead cloud uses {directory}: stop it, or choose another --state-dir"
    if "newer" in str(error):
        return f"{path} was {error}: use that one, or choose another --state-dir"
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return f"can not keep state in {directory} ({error}): is the disk full?"
    return f"can not use {path} ({error}): move it away to begin anew"
