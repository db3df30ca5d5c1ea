"""The registration table: DPS's records of who registered, and what came of it."""

import json
from typing import Any

from host_tools.emulator.records import Registration
from host_tools.emulator.store.database import Database

_COLUMNS = (
    "registration_id, device_id, hub, enrollment_group, substatus, etag, created, updated,"
    " status, error_code, error_message, payload"
)


class RegistrationTable:
    """Registration records by registration ID, which ignores case; all raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._execute = database.execute

    def get(self, registration_id: str) -> Registration | None:
        """Return a device's record."""
        rows = self._select("WHERE registration_id = ?", registration_id)
        return rows[0] if rows else None

    def page(
        self, group: str | None = None, after: str = "", count: int = -1
    ) -> list[Registration]:
        """Return records by registration ID, at most count (-1: all) of those after one.

        group: only those of this enrollment group, which may be gone.
        """
        if group is None:
            return self._select(
                "WHERE registration_id > ? ORDER BY registration_id LIMIT ?", after, count
            )
        return self._select(
            "WHERE enrollment_group = ? COLLATE NOCASE AND registration_id > ?"
            " ORDER BY registration_id LIMIT ?",
            group, after, count,
        )  # fmt: skip

    def put(self, one: Registration) -> None:
        """Keep a record, a new or a changed one."""
        payload = None if one.payload is None else json.dumps(one.payload)
        self._execute(
            f"REPLACE INTO registration ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (one.registration_id, one.device_id, one.hub, one.enrollment_group, one.substatus,
             one.etag, one.created, one.updated, one.status, one.error_code, one.error_message,
             payload),
        )  # fmt: skip

    def delete(self, registration_id: str) -> None:
        """Forget a record."""
        self._execute("DELETE FROM registration WHERE registration_id = ?", (registration_id,))

    def owner(self, hub: str, device_id: str) -> str:
        """Return the registration ID that a device at a hub was last assigned to, "" if none."""
        rows = self._select(
            "WHERE device_id = ? AND hub = ? COLLATE NOCASE ORDER BY updated DESC LIMIT 1",
            device_id, hub,
        )  # fmt: skip
        return rows[0].registration_id if rows else ""

    def _select(self, where: str, *values: object) -> list[Registration]:
        rows = self._execute(f"SELECT {_COLUMNS} FROM registration {where}", values)
        return [_registration(*row) for row in rows]


def _registration(*row: Any) -> Registration:
    *values, error_message, payload = row
    values += [error_message or "", None if payload is None else json.loads(payload)]
    return Registration(*values)
