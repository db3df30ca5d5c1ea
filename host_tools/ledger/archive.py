"""The archive: all that can be asked of a ledger, and nothing that changes it."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Self

from sqlalchemy import ColumnElement, Select, func, select

import host_tools.ledger.chain as chain
import host_tools.ledger.finding as finding
import host_tools.ledger.rules as rules
import host_tools.ledger.tables as tables
import host_tools.ledger.verifying as verifying
from host_tools.batch import Batch, Unit
from host_tools.ledger.appending import event_of, identity_of, last
from host_tools.ledger.database import Database
from host_tools.ledger.errors import LedgerError, UnknownBoard
from host_tools.ledger.model import BatchCount, Event, Identity, Made, Verdict
from host_tools.ledger.reserving import Choice, batch_of, batch_row, unit_of
from keystead.registration_id import format_mac

_PAGE = 1000  # rows at once
_IDENTITY, _EVENT, _UNIT = tables.identity.c, tables.event.c, tables.unit.c


class Archive:
    """The reading half of a ledger; may be used by several threads."""

    def __init__(self, database: Database) -> None:
        """Take the database over; see opening.open_ledger()."""
        self._database = database

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    @property
    def place(self) -> str:
        """Return where the ledger is, as a person may read it: no password is in it."""
        return self._database.dialect.place

    def batches(self) -> list[Batch]:
        """Return all batches in the order they were planned."""
        with self._database.reading() as connection:
            rows = connection.execute(select(tables.batch).order_by(tables.batch.c.event))
            return [batch_of(row) for row in rows]

    def batch(self, name: str) -> Batch:
        """Return one batch; UnknownBatch."""
        with self._database.reading() as connection:
            return batch_of(batch_row(connection, name))

    def units(self, batch_name: str, free: bool = False) -> Iterator[Unit]:
        """Give the units of a batch in their order; UnknownBatch. free: those without a board."""
        self.batch(batch_name)
        wanted = select(tables.unit).where(_UNIT.batch == batch_name)
        if free:
            wanted = wanted.where(_UNIT.taken == 0)
        return (unit_of(row) for row in self._pages(wanted, _UNIT.place))

    def count(self, batch_name: str) -> BatchCount:
        """Return how far a batch has come; UnknownBatch."""
        with self._database.reading() as connection:
            row = batch_row(connection, batch_name)
            wanted = (
                select(_IDENTITY.state, func.count())
                .where(_IDENTITY.batch == batch_name)
                .group_by(_IDENTITY.state)
            )
            states = {str(state): int(count) for state, count in connection.execute(wanted)}
            return BatchCount(batch_name, row.units, states)

    def peek(self, batch_name: str, mac: bytes, chip: str) -> Identity:
        """Return what reserve() would return now, and change nothing: for a dry run."""
        with self._database.reading() as connection:
            choice = Choice(connection, batch_name, mac, chip)
            own = choice.own()
            if own is not None:
                return own
            row = choice.unit(lock=False)
            name = choice.name(row)
            return Identity(name, batch_name, row.serial, mac, None, "reserved", chip, "")

    def identity(self, registration_id: str) -> Identity:
        """Return the identity of this name, whatever its capitals; UnknownBoard."""
        found = self._one(tables.folded(_IDENTITY.registration_id) == registration_id.lower())
        if found is None:
            raise UnknownBoard(f"the ledger knows no board {registration_id[:128]!r}")
        return found

    def by_mac(self, mac: bytes) -> Identity | None:
        """Return a board's identity, None if it has none yet."""
        return self._one(_IDENTITY.mac == mac.hex())

    def _one(self, condition: ColumnElement[bool]) -> Identity | None:
        with self._database.reading() as connection:
            row = connection.execute(select(tables.identity).where(condition)).one_or_none()
            return identity_of(row) if row else None

    def find(self, text: str) -> Identity:
        """Return the identity meant by a registration ID, MAC or serial; UnknownBoard."""
        with self._database.reading() as connection:
            return finding.find(connection, text)

    def of_unit(self, batch_name: str, serial: str) -> Identity | None:
        """Return the identity that a batch's serial became, None if it has no board yet."""
        return self._one((_IDENTITY.batch == batch_name) & (_IDENTITY.serial == serial))

    def identities(self, batch: str | None = None, state: str | None = None) -> Iterator[Identity]:
        """Give identities in the order they were reserved; UnknownBatch."""
        wanted = self._filtered(select(tables.identity), batch, state)
        return (identity_of(row) for row in self._pages(wanted, _IDENTITY.reserved))

    def made(self, batch: str | None = None, state: str | None = None) -> Iterator[Made]:
        """Give identities with what their lists say besides, as reserved; UnknownBatch."""
        wanted = (
            select(tables.identity, _UNIT.extra, _EVENT.at)
            .join(tables.unit, (_UNIT.batch == _IDENTITY.batch) & (_UNIT.place == _IDENTITY.place))
            .join(tables.event, _EVENT.number == _IDENTITY.reserved)
        )
        rows = self._pages(self._filtered(wanted, batch, state), _IDENTITY.reserved)
        return (Made(identity_of(row), json.loads(row.extra), row.at) for row in rows)

    def _filtered(self, wanted: Select[Any], batch: str | None, state: str | None) -> Select[Any]:
        if batch is not None:
            self.batch(batch)
            wanted = wanted.where(_IDENTITY.batch == batch)
        if state is not None:
            if state not in rules.STATES:
                raise LedgerError(f"{state!r} is no state: one of {', '.join(rules.STATES)}")
            wanted = wanted.where(_IDENTITY.state == state)
        return wanted

    def events(self, registration_id: str | None = None) -> Iterator[Event]:
        """Give all events, or those of one board, oldest first; UnknownBoard."""
        wanted = select(tables.event)
        if registration_id is not None:
            name = self.identity(registration_id).registration_id
            wanted = wanted.where(_EVENT.registration_id == name)
        return (event_of(row) for row in self._pages(wanted, _EVENT.number))

    def refusals(self, batch: str | None = None) -> Iterator[Event]:
        """Give the boards that were refused, each time one was, oldest first; UnknownBatch."""
        if batch is not None:
            self.batch(batch)
        wanted = select(tables.event).where(_EVENT.kind == rules.REFUSED)
        found = (event_of(row) for row in self._pages(wanted, _EVENT.number))
        return (one for one in found if batch in (None, one.facts.get("batch")))

    def refused(self, mac: bytes) -> list[Event]:
        """Return the refusals of a board from before it had an identity, oldest first."""
        wanted = select(tables.event).where(
            _EVENT.registration_id.is_(None), _EVENT.kind == rules.REFUSED
        )
        shown = format_mac(mac, ":")
        found = (event_of(row) for row in self._pages(wanted, _EVENT.number))
        return [one for one in found if one.facts.get("mac") == shown]

    # in pieces: whoever takes long over one holds nothing open meanwhile
    def _pages(self, wanted: Select[Any], order: ColumnElement[int]) -> Iterator[Any]:
        after = -1
        while True:
            with self._database.reading() as connection:
                page = wanted.where(order > after).order_by(order).limit(_PAGE)
                rows = connection.execute(page).all()
            yield from rows
            if len(rows) < _PAGE:
                return
            after = getattr(rows[-1], order.key or "")

    def head(self) -> str:
        """Return "NUMBER:HASH" of the last event, which is to be kept elsewhere."""
        with self._database.reading() as connection:
            return chain.head(*last(connection))

    def check_chain(self, progress: Callable[[int], object] = lambda number: None) -> None:
        """Check that no event was changed since it was written; raise Tampered.

        The chain alone: it takes a fraction of what verify() does, which compares the tables too.
        """
        with self._database.reading() as connection:
            verifying.check_chain(connection, self._database.dialect.name, progress)

    def verify(
        self,
        head: str | None = None,
        progress: Callable[[int], object] = lambda number: None,
    ) -> Verdict:
        """Walk the chain, and compare every table with it; raise Tampered.

        head: one that was kept elsewhere, "NUMBER:HASH" or the hash alone: shows events that were
        cut off the end, and a chain that was made anew. progress: told events' numbers on the way.
        """
        with self._database.reading() as connection:
            return verifying.verify(connection, self._database.dialect.name, head, progress)
