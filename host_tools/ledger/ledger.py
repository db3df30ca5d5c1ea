"""The ledger, as the factory's other parts use it."""

import platform
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import ColumnElement, Connection, Select, func, insert, select

from host_tools.batch import Batch, Unit
from host_tools.errors import CommandError
from host_tools.ledger import chain, rules, tables, verifying
from host_tools.ledger.appending import Writer, event_of, identity_of, last
from host_tools.ledger.database import Database, Dialect
from host_tools.ledger.errors import (
    BadEvent,
    LedgerError,
    NewerLedger,
    NoLedger,
    NotALedger,
    UnknownBoard,
)
from host_tools.ledger.model import BatchCount, Event, Identity, Verdict
from host_tools.ledger.planning import plan
from host_tools.ledger.postgresql import Postgresql
from host_tools.ledger.reserving import Choice, batch_of, batch_row, issue, reserve, unit_of
from host_tools.ledger.sqlite import Sqlite
from keystead.registration_id import parse_mac

_PAGE = 1000  # rows at once
_IDENTITY, _EVENT, _UNIT = tables.identity.c, tables.event.c, tables.unit.c


def open_ledger(
    place: str,
    station: str | None = None,
    create: bool = False,
    *,
    clock: Callable[[], float] = time.time,
) -> "Ledger":
    """Return the ledger at a place: a SQLite file's path, or a postgresql:// URL.

    station: who writes, default the machine's name; create: make an empty one if there is none;
    clock: seconds since 1970. Raises NoLedger, NotALedger, NewerLedger, ServerGone, Locked.
    """
    dialect: Dialect
    if "://" in place:
        dialect = Postgresql(place)
    elif place:
        dialect = Sqlite(Path(place).expanduser(), create)
    else:
        raise CommandError("no ledger: its place is empty")
    found = Ledger(Database(dialect), station or platform.node() or "station", clock)
    try:
        found.prepare(create)
    except BaseException:
        found.close()
        raise
    return found


class Ledger:
    """One open ledger; may be used by several threads, and many processes may have it open."""

    def __init__(self, database: Database, station: str, clock: Callable[[], float]) -> None:
        """See open_ledger()."""
        self._database = database
        self._station = station[:64]
        self._clock = clock

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    @property
    def place(self) -> str:
        """Return where the ledger is, as a person may read it: no password is in it."""
        return self._database.dialect.place

    def prepare(self, create: bool) -> None:
        """Check that a ledger is there, or make it; see open_ledger()."""
        with self._database.reading() as connection:
            there = self._check(connection)
        if there:
            return
        if not create:
            raise NoLedger(
                f"there is no ledger in {self.place}: `keystead batch create` makes one"
            )
        self._database.write(self._create)

    def _check(self, connection: Connection) -> bool:
        there = self._database.dialect.has_tables(connection)
        if there is None:
            raise NotALedger(f"{self.place} is not a ledger of keystead: it has other tables")
        if not there:
            return False
        version = connection.execute(
            select(tables.about.c.value).where(tables.about.c.name == "version")
        ).scalar_one_or_none()
        if version is None or not version.isdigit():
            raise NotALedger(f"{self.place} is not a ledger of keystead: it names no version")
        if int(version) > tables.VERSION:
            raise NewerLedger(
                f"{self.place} was made by a newer keystead (schema {version}, this one knows"
                f" {tables.VERSION}): use that one"
            )
        return True

    def _create(self, connection: Connection) -> None:
        dialect = self._database.dialect
        dialect.lock_head(connection)
        if self._check(connection):  # another station was faster
            return
        dialect.prepare(connection)
        tables.METADATA.create_all(connection)
        for statement in tables.guards(dialect.name, chain.START).values():
            connection.exec_driver_sql(statement)
        facts = {"ledger": str(uuid.uuid4()), "version": tables.VERSION}
        about = [{"name": name, "value": str(value)} for name, value in facts.items()]
        connection.execute(insert(tables.about), about)
        self._writer(connection).event("created", None, facts)

    def _writer(self, connection: Connection) -> Writer:
        at = chain.moment(self._clock())
        return Writer(connection, self._database.dialect, at, self._station)

    def create_batch(self, batch: Batch, units: Iterable[Unit]) -> None:
        """Plan a batch: all of it or nothing.

        Raises AlreadyIssued for a name, serial, MAC or registration ID that was given away, and
        LedgerError for one that can not be, each with the unit's line.
        """
        listed = list(units)
        self._database.write(lambda connection: plan(self._writer(connection), batch, listed, {}))

    def batches(self) -> list[Batch]:
        """Return all batches in the order they were planned."""
        with self._database.reading() as connection:
            rows = connection.execute(select(tables.batch).order_by(tables.batch.c.event))
            return [batch_of(row) for row in rows]

    def batch(self, name: str) -> Batch:
        """Return one batch; UnknownBatch."""
        with self._database.reading() as connection:
            return batch_of(batch_row(connection, name))

    def units(self, batch_name: str) -> Iterator[Unit]:
        """Give the units of a batch in their order; UnknownBatch."""
        self.batch(batch_name)
        wanted = select(tables.unit).where(_UNIT.batch == batch_name)
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

    def reserve(self, batch_name: str, mac: bytes, chip: str) -> Identity:
        """Return the identity of a board, a new one if it has none: for ever, and at once.

        The same MAC gets its own again; else the unit that names this MAC, else the next free one.
        Raises UnknownBatch, BatchUsedUp, ForeignBoard, Scrapped, AlreadyIssued.
        """
        return self._database.write(
            lambda connection: reserve(self._writer(connection), batch_name, mac, chip)
        )

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

    def import_batch(
        self, batch: Batch, units: Iterable[Unit], chip: str, origin: str
    ) -> list[Identity]:
        """Write down boards that were made elsewhere: a batch whose units all have their board.

        Every unit names its MAC; origin: where the list comes from, for the event. All or nothing.
        Raises AlreadyIssued, LedgerError.
        """
        listed = list(units)
        for unit in listed:
            if unit.mac is None:
                raise LedgerError(f"line {unit.line}, serial {unit.serial}: names no MAC")

        def work(connection: Connection) -> list[Identity]:
            writer = self._writer(connection)
            plan(writer, batch, listed, {"origin": origin})
            rows = connection.execute(
                select(tables.unit).where(_UNIT.batch == batch.name).order_by(_UNIT.place)
            )
            made = []
            for row, unit in zip(list(rows), listed, strict=True):
                assert unit.mac is not None
                name = batch.registration_id(unit, unit.mac)
                made.append(issue(writer, row, name, unit.mac, chip, "imported"))
            return made

        return self._database.write(work)

    def begin_attempt(self, registration_id: str, kind: str = "flashing", **facts: Any) -> int:
        """Begin a new attempt to make a board; return its number, which its events carry.

        kind: "flashing" or "retrofitting", which is appended; what an earlier attempt left is
        overtaken. A fact `fingerprint` becomes the identity's. Raises UnknownBoard, Scrapped.
        """
        if kind not in rules.BEGINNINGS:
            raise BadEvent(f"{kind!r} begins no attempt: one of {', '.join(rules.BEGINNINGS)}")
        return int(self.append(registration_id, kind, **facts).facts["attempt"])

    def append(self, registration_id: str, kind: str, **facts: Any) -> Event:
        """Append what happened to a board: a kind of rules.KINDS, facts that JSON can hold.

        Steps and ends of an attempt need the fact `attempt`. Raises UnknownBoard, WrongAttempt,
        Unproven, Scrapped, BadEvent (e.g. facts that hold a key).
        """
        checked = chain.fit(facts)
        return self._database.write(
            lambda connection: self._writer(connection).of_board(registration_id, kind, checked)
        )

    def identity(self, registration_id: str) -> Identity:
        """Return the identity of this name, whatever its capitals; UnknownBoard."""
        found = self._one(func.lower(_IDENTITY.registration_id) == registration_id.lower())
        if found is None:
            raise UnknownBoard(f"the ledger knows no board {registration_id[:128]!r}")
        return found

    def by_mac(self, mac: bytes) -> Identity | None:
        """Return a board's identity, None if it has none yet."""
        return self._one(_IDENTITY.mac == mac.hex())

    def by_serial(self, batch_name: str, serial: str) -> Identity | None:
        """Return the identity that a batch's serial was given to, None if to none yet."""
        return self._one((_IDENTITY.batch == batch_name) & (_IDENTITY.serial == serial))

    def _one(self, condition: ColumnElement[bool]) -> Identity | None:
        with self._database.reading() as connection:
            row = connection.execute(select(tables.identity).where(condition)).one_or_none()
            return identity_of(row) if row else None

    def find(self, text: str) -> Identity:
        """Return the identity meant by a registration ID, MAC or serial; UnknownBoard."""
        condition = func.lower(_IDENTITY.registration_id) == text.lower()
        condition |= _IDENTITY.serial == text
        try:
            condition |= _IDENTITY.mac == parse_mac(text).hex()
        except ValueError:
            pass
        with self._database.reading() as connection:
            wanted = select(tables.identity).where(condition).limit(3)
            found = [identity_of(row) for row in connection.execute(wanted)]
        exact = [one for one in found if one.registration_id.lower() == text.lower()]
        if len(found) > 1 and not exact:
            names = ", ".join(one.registration_id for one in found)
            raise UnknownBoard(f"{text!r} is a serial in several batches: name one of {names}")
        if not found:
            raise UnknownBoard(
                f"the ledger knows no board {text[:128]!r}: give a registration ID, MAC or serial"
            )
        return (exact or found)[0]

    def identities(self, batch: str | None = None, state: str | None = None) -> Iterator[Identity]:
        """Give identities in the order they were reserved; UnknownBatch."""
        wanted = select(tables.identity)
        if batch is not None:
            self.batch(batch)
            wanted = wanted.where(_IDENTITY.batch == batch)
        if state is not None:
            if state not in rules.STATES:
                raise LedgerError(f"{state!r} is no state: one of {', '.join(rules.STATES)}")
            wanted = wanted.where(_IDENTITY.state == state)
        return (identity_of(row) for row in self._pages(wanted, _IDENTITY.reserved))

    def events(self, registration_id: str | None = None) -> Iterator[Event]:
        """Give all events, or those of one board, oldest first; UnknownBoard."""
        wanted = select(tables.event)
        if registration_id is not None:
            name = self.identity(registration_id).registration_id
            wanted = wanted.where(_EVENT.registration_id == name)
        return (event_of(row) for row in self._pages(wanted, _EVENT.number))

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
