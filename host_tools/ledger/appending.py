"""Appending: the next event of the chain, and what follows from it in the other tables.

Runs within a transaction that somebody else began. Doesn't own the rules (rules.py) nor the form
of an event (chain.py).
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Executable, Row, bindparam, insert, select, update

import host_tools.ledger.chain as chain
import host_tools.ledger.guarding as guarding
import host_tools.ledger.rules as rules
import host_tools.ledger.tables as tables
from host_tools.ledger.database import Dialect
from host_tools.ledger.errors import BadEvent, Tampered, UnknownBoard
from host_tools.ledger.model import Event, Identity

FINGERPRINT = re.compile("[0-9a-f]{64}")
_COLUMNS = tables.event.c
_LAST = select(_COLUMNS.number, _COLUMNS.hash).order_by(_COLUMNS.number.desc()).limit(1)
_IDENTITY = tables.identity.c
# statements are made once: making one takes SQLAlchemy longer than SQLite takes to carry it out
_APPEND = insert(tables.event)
_BOARD = (
    select(tables.identity)
    .where(tables.folded(_IDENTITY.registration_id) == bindparam("wanted"))
    .with_for_update()
)
_FOLLOW = (
    update(tables.identity)
    .where(_IDENTITY.registration_id == bindparam("whose"))
    .values(
        {
            name: bindparam(name)
            for name in (
                "state", "reason", "attempt", "running", "proven", "fingerprint", "event",
                "updated",
            )
        }
    )
)  # fmt: skip


class Writer:
    """A transaction that appends: at which moment, and by whom."""

    def __init__(self, connection: Connection, dialect: Dialect, at: str, station: str) -> None:
        self.connection = connection
        self._dialect = dialect
        self._at = at
        self._station = station
        self._last: tuple[int, str] | None = None

    # this lock comes last of all of a transaction, or first, so that no two wait for each other
    def hold(self) -> None:
        """Let nobody else append until the transaction ends; Tampered if it could be swallowed."""
        self._hold()

    def _hold(self) -> tuple[int, str]:
        if self._last is None:
            self._dialect.lock_head(self.connection)
            self._last = last(self.connection)
            guarding.check_triggers(self.connection, self._dialect.name, self._last[0])
        return self._last

    def event(self, kind: str, name: str | None, facts: Mapping[str, Any]) -> Event:
        """Append one event; facts: fit already."""
        before = self._hold()
        found = chain.follow(before, self._at, self._station, kind, name, facts)
        row = {
            "number": found.number,
            "at": found.at,
            "station": found.station,
            "kind": found.kind,
            "registration_id": found.registration_id,
            "facts": chain.canonical(found.facts),
            "previous": found.previous,
            "hash": found.hash,
        }
        self.one(_APPEND, row, before[0])
        self._last = (found.number, found.hash)
        return found

    def of_board(self, name: str, kind: str, facts: dict[str, Any]) -> Event:
        """Append what happened to a board, if the rules let it; a beginning gets its number."""
        row = self._board(name)
        standing = standing_of(row)
        if kind in rules.BEGINNINGS:
            facts = {**facts, "attempt": standing.attempt + 1}
        after = rules.after(standing, row.registration_id, kind, facts)
        made = self.event(kind, row.registration_id, facts)
        values = {
            "whose": row.registration_id,
            **columns_of(after),
            "fingerprint": row.fingerprint,
            **taken_over(kind, facts),
            "event": made.number,
            "updated": made.at,
        }
        self.one(_FOLLOW, values, made.number)
        return made

    def one(self, statement: Executable, values: dict[str, Any] | None, number: int) -> None:
        """Write one row, or raise Tampered: what was written must not get lost unseen."""
        options = {"preserve_rowcount": True}
        done = self.connection.execute(statement, values, execution_options=options)
        if done.rowcount != 1:
            raise Tampered(number, "is the last, and the database did not keep what follows it")

    def _board(self, name: str) -> Row[Any]:
        row = self.connection.execute(_BOARD, {"wanted": name.lower()}).one_or_none()
        if row is None:
            raise UnknownBoard(f"the ledger knows no board {name[:128]!r}: was it reserved?")
        return row


def last(connection: Connection) -> tuple[int, str]:
    """Return number and hash of the last event."""
    row = connection.execute(_LAST).one_or_none()
    return (row.number, row.hash) if row else (0, chain.START)


def standing_of(row: Row[Any]) -> rules.Standing:
    """Return what the rules know of an identity's row."""
    return rules.Standing(row.state, row.reason, row.attempt, bool(row.running), bool(row.proven))


def columns_of(standing: rules.Standing) -> dict[str, Any]:
    """Return how a standing is kept in an identity's row."""
    return {
        "state": standing.state,
        "reason": standing.reason,
        "attempt": standing.attempt,
        "running": int(standing.running),
        "proven": int(standing.proven),
    }


def taken_over(kind: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return which facts of an event become the identity's own; BadEvent if they can not."""
    fingerprint = facts.get("fingerprint")
    if fingerprint is None or kind not in (*rules.ISSUES, *rules.BEGINNINGS):
        return {}
    if not isinstance(fingerprint, str) or not FINGERPRINT.fullmatch(fingerprint):
        raise BadEvent(f"{kind}: a fingerprint is 64 hex digits in small letters")
    return {"fingerprint": fingerprint}


def event_of(row: Row[Any]) -> Event:
    """Return the event of a row."""
    return Event(
        row.number,
        row.at,
        row.station,
        row.kind,
        row.registration_id,
        json.loads(row.facts),
        row.previous,
        row.hash,
    )


def identity_of(row: Row[Any]) -> Identity:
    """Return the identity of a row."""
    return Identity(
        row.registration_id,
        row.batch,
        row.serial,
        bytes.fromhex(row.mac),
        row.fingerprint,
        row.state,
        row.chip,
        row.reason,
        row.attempt,
        row.updated,
    )
