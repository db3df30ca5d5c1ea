"""Store: what survives a restart, in SQLite under a state directory that only its owner can read.

Owns the tables: generated enrollment keys, registrations, hub identities. Doesn't own what they
mean: enrollment.py, dps.py, hub.py.
"""

import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import astuple
from pathlib import Path

from host_tools.emulator.dps.enrollment import KeyPair, generate_keys
from host_tools.emulator.records import Identity, Registration
from host_tools.errors import CommandError

FILE = "cloud.sqlite3"
_VERSION = 1  # of the tables
_TABLES = """
BEGIN;
CREATE TABLE enrollment_key (
    kind TEXT, name TEXT, primary_key BLOB, secondary_key BLOB, PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE TABLE registration (
    registration_id TEXT COLLATE NOCASE PRIMARY KEY, device_id TEXT, hub TEXT,
    enrollment_group TEXT, substatus TEXT, etag TEXT, created REAL, updated REAL
) WITHOUT ROWID;
CREATE TABLE identity (
    hub TEXT COLLATE NOCASE, device_id TEXT, primary_key BLOB, secondary_key BLOB,
    enabled INTEGER, updated REAL, PRIMARY KEY (device_id, hub)
) WITHOUT ROWID;
PRAGMA user_version = 1;
COMMIT;
"""


class StoreError(Exception):
    """The database can not be used, e.g. as the disk is full; the text says why."""


class Store:
    """One database file; one process at a time."""

    def __init__(self, directory: Path) -> None:
        """Open or create the database in directory; raise CommandError."""
        path = directory / FILE
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise CommandError(f"can not keep state in {directory}: {error.strerror}") from None
        self._database = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._database.close()
            raise CommandError(_why(error, directory, path)) from None

    def _prepare(self) -> None:
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version == 0:
            self._database.executescript(_TABLES)
        elif version != _VERSION:
            raise sqlite3.DatabaseError(f"made by another version of keystead, {version}")

    def close(self) -> None:
        """Write what is left and let go of the file."""
        self._database.close()

    def enrollment_keys(self, kind: str, name: str, random: Callable[[int], bytes]) -> KeyPair:
        """Return the keys generated for an enrollment, new ones the first time."""
        self._execute(
            "INSERT OR IGNORE INTO enrollment_key VALUES (?, ?, ?, ?)",
            (kind, name, *generate_keys(random)),
        )
        row = self._execute(
            "SELECT primary_key, secondary_key FROM enrollment_key WHERE kind = ? AND name = ?",
            (kind, name),
        ).fetchone()
        return KeyPair(*row)

    def _execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        try:
            return self._database.execute(statement, values)
        except sqlite3.Error as error:
            raise StoreError(str(error)) from None

    def registration(self, registration_id: str) -> Registration | None:
        """Return the record of an earlier registration, whatever its case."""
        row = self._execute(
            "SELECT * FROM registration WHERE registration_id = ?", (registration_id,)
        ).fetchone()
        return Registration(*row) if row else None

    def owner(self, hub: str, device_id: str) -> str:
        """Return the registration ID to which an identity belongs, "" if to none."""
        if not self.identities(device_id, hub):
            return ""
        row = self._execute(
            "SELECT registration_id FROM registration"
            " WHERE device_id = ? AND hub = ? COLLATE NOCASE",
            (device_id, hub),
        ).fetchone()
        return row[0] if row else ""

    def assign(self, registration: Registration, identity: Identity) -> None:
        """Keep a registration and the identity it makes; the one it had elsewhere goes.

        Raises StoreError.
        """
        try:
            self._assign(registration, identity)
        except sqlite3.Error as error:  # of the commit
            raise StoreError(str(error)) from None

    def _assign(self, registration: Registration, identity: Identity) -> None:
        earlier = self.registration(registration.registration_id)
        self._execute("BEGIN IMMEDIATE")
        with self._database:  # commits, or rolls back on an exception
            if earlier:
                self._execute(
                    "DELETE FROM identity WHERE device_id = ? AND hub = ?",
                    (earlier.device_id, earlier.hub),
                )
            self._execute(
                "REPLACE INTO registration VALUES (?, ?, ?, ?, ?, ?, ?, ?)", astuple(registration)
            )
            self._execute(
                "REPLACE INTO identity VALUES (?, ?, ?, ?, ?, ?)",
                (identity.hub, identity.device_id, *identity.keys, identity.enabled,
                 registration.updated),
            )  # fmt: skip

    def identities(self, device_id: str, hub: str | None = None) -> list[Identity]:
        """Return the identities with this device ID at hub, or at any, the youngest first."""
        rows = self._execute(
            "SELECT hub, device_id, primary_key, secondary_key, enabled FROM identity"
            " WHERE device_id = ? AND ifnull(hub = ?, 1) ORDER BY updated DESC",
            (device_id, hub),
        )
        return [Identity(at, name, KeyPair(one, two), bool(on)) for at, name, one, two, on in rows]


def _why(error: sqlite3.Error, directory: Path, path: Path) -> str:
    if "locked" in str(error):
        return f"another keystead cloud uses {directory}: stop it, or choose another --state-dir"
    return f"can not use {path} ({error}): move it away to begin anew"
