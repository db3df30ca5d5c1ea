"""The enrollment tables: enrollments, and which of them came from the config.

Owns the rows. Doesn't own what may be changed (dps/enrollments.py) nor what becomes of the
config's (dps/seeds.py).
"""

import json
from dataclasses import replace

from host_tools.emulator.dps import documents
from host_tools.emulator.dps.enrollment import Enrollment
from host_tools.emulator.dps.json_fields import Json
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.store.database import Database

_COLUMNS = "kind, name, primary_key, secondary_key, definition, etag, created, updated"
_Row = tuple[str, str, bytes, bytes, str, str, float, float]


class EnrollmentTable:
    """Enrollments by kind and name; names ignore case. Everything here raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._execute = database.execute

    def get(self, kind: str, name: str) -> Enrollment | None:
        """Return an enrollment."""
        row: _Row | None = self._execute(
            f"SELECT {_COLUMNS} FROM enrollment WHERE kind = ? AND name = ?", (kind, name)
        ).fetchone()
        return _enrollment(row) if row else None

    def page(self, kind: str, after: str = "", count: int = -1) -> list[Enrollment]:
        """Return enrollments by name, at most count (-1: all) of those after a name."""
        rows = self._execute(
            f"SELECT {_COLUMNS} FROM enrollment WHERE kind = ? AND name > ? ORDER BY name LIMIT ?",
            (kind, after, count),
        )
        return [_enrollment(row) for row in rows]

    def put(self, one: Enrollment, seeded: bool = False) -> None:
        """Keep an enrollment, a new or a changed one; seeded: it comes from the config."""
        self._execute(
            f"REPLACE INTO enrollment ({_COLUMNS}, seeded) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (one.kind, one.name, *one.keys, json.dumps(_definition(one)), one.etag, one.created,
             one.updated, seeded),
        )  # fmt: skip

    def delete(self, kind: str, name: str) -> None:
        """Forget an enrollment."""
        self._execute("DELETE FROM enrollment WHERE kind = ? AND name = ?", (kind, name))

    def is_seeded(self, kind: str, name: str) -> bool:
        """Tell whether an enrollment comes from the config, whatever was changed since."""
        row = self._execute(
            "SELECT seeded FROM enrollment WHERE kind = ? AND name = ?", (kind, name)
        ).fetchone()
        return bool(row and row[0])

    def seeds(self) -> dict[tuple[str, str], str]:
        """Return the digests of what was applied from the config, by kind and folded name."""
        rows = self._execute("SELECT kind, name, digest FROM seed")
        return {(kind, name): digest for kind, name, digest in rows}

    def put_seed(self, kind: str, name: str, digest: str) -> None:
        """Take note of what was applied; name: folded."""
        self._execute("REPLACE INTO seed VALUES (?, ?, ?)", (kind, name, digest))

    def delete_seed(self, kind: str, name: str) -> None:
        """Forget that something was applied."""
        self._execute("DELETE FROM seed WHERE kind = ? AND name = ?", (kind, name))

    def take_generated(self, kind: str, name: str) -> KeyPair:
        """Return the keys that version 1 generated, once; name: folded."""
        row = self._execute(
            "SELECT primary_key, secondary_key FROM enrollment_key WHERE kind = ? AND name = ?",
            (kind, name),
        ).fetchone()
        self._execute("DELETE FROM enrollment_key WHERE kind = ? AND name = ?", (kind, name))
        return KeyPair(*row) if row else KeyPair()


def _definition(one: Enrollment) -> Json:
    return {**documents.identity(one), "attestation": documents.attestation(None),
            **documents.terms(one)}  # fmt: skip


def _enrollment(row: _Row) -> Enrollment:
    kind, name, primary, secondary, definition, etag, created, updated = row
    one = documents.BY_KIND[kind](json.loads(definition), name)
    keys = KeyPair(primary, secondary)
    return replace(one, keys=keys, etag=etag, created=created, updated=updated)
