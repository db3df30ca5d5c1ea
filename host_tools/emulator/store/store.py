"""Store: what survives a restart, in SQLite under a state directory that only its owner can read.

Owns the tables: generated enrollment keys, registrations, hub identities. Doesn't own what they
mean: enrollment.py, dps.py, hub.py.
"""

from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path

from host_tools.emulator.dps.enrollment import KeyPair, generate_keys
from host_tools.emulator.records import Identity, Registration
from host_tools.emulator.store.database import Database

_REGISTRATION = (
    "registration_id, device_id, hub, enrollment_group, substatus, etag, created, updated"
)


class Store:
    """What the two services remember, on one database."""

    def __init__(self, directory: Path) -> None:
        """Open or create the database in directory; raise CommandError."""
        self.database = Database(directory)
        self._execute = self.database.execute
        self.close = self.database.close

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

    def registration(self, registration_id: str) -> Registration | None:
        """Return the record of an earlier registration, whatever its case."""
        row = self._execute(
            f"SELECT {_REGISTRATION} FROM registration WHERE registration_id = ?",
            (registration_id,),
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
        earlier = self.registration(registration.registration_id)
        with self.database.transaction():
            if earlier:
                self._execute(
                    "DELETE FROM device WHERE device_id = ? AND hub = ?",
                    (earlier.device_id, earlier.hub),
                )
            self._execute(
                f"REPLACE INTO registration ({_REGISTRATION}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                astuple(registration),
            )
            self._execute(
                "REPLACE INTO device VALUES (?, ?, ?, ?, ?, '', '', '', 0, ?, ?)",
                (identity.hub, identity.device_id, *identity.keys, identity.enabled,
                 registration.created, registration.updated),
            )  # fmt: skip

    def identities(self, device_id: str, hub: str | None = None) -> list[Identity]:
        """Return the identities with this device ID at hub, or at any, the youngest first."""
        rows = self._execute(
            "SELECT hub, device_id, primary_key, secondary_key, enabled FROM device"
            " WHERE device_id = ? AND ifnull(hub = ?, 1) ORDER BY updated DESC",
            (device_id, hub),
        )
        return [Identity(at, name, KeyPair(one, two), bool(on)) for at, name, one, two, on in rows]
