"""The ledger: an archive that can be written to."""

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import Connection, select

import host_tools.ledger.chain as chain
import host_tools.ledger.refusing as refusing
import host_tools.ledger.rules as rules
import host_tools.ledger.tables as tables
from host_tools.batch import Batch, Unit
from host_tools.ledger.appending import FINGERPRINT, Writer
from host_tools.ledger.archive import Archive
from host_tools.ledger.database import Database
from host_tools.ledger.errors import BadEvent, LedgerError
from host_tools.ledger.model import Event, Identity
from host_tools.ledger.planning import plan, refuse_known, rows_of
from host_tools.ledger.reserving import issue, reserve

_UNIT = tables.unit.c


class Ledger(Archive):
    """One open ledger; may be used by several threads, and many processes may have it open."""

    def __init__(self, database: Database, station: str, clock: Callable[[], float]) -> None:
        """See opening.open_ledger()."""
        super().__init__(database)
        self._station = station
        self._clock = clock

    def _writer(self, connection: Connection) -> Writer:
        at = chain.moment(self._clock())
        return Writer(connection, self._database.dialect, at, self._station)

    def create_batch(
        self, batch: Batch, units: Iterable[Unit], serials_again: bool = False
    ) -> None:
        """Plan a batch: all of it or nothing.

        serials_again: they may be those of other batches, where they mean something else. Raises
        AlreadyIssued for a name, serial, MAC or registration ID that was given away, and
        LedgerError for one that can not be, each with the unit's line.
        """
        rows = rows_of(batch, units)
        self._database.write(
            lambda connection: plan(self._writer(connection), batch, rows, {}, serials_again)
        )

    def check_batch(
        self, batch: Batch, units: Iterable[Unit], serials_again: bool = False
    ) -> None:
        """Raise what create_batch() would raise now, and change nothing: for a dry run."""
        with self._database.reading() as connection:
            refuse_known(connection, batch, rows_of(batch, units), serials_again)

    def reserve(self, batch_name: str, mac: bytes, chip: str) -> Identity:
        """Return the identity of a board, a new one if it has none: for ever, and at once.

        The same MAC gets its own again; else the unit that names this MAC, else the next free one.
        Raises UnknownBatch, BatchUsedUp, ForeignBoard, Scrapped, AlreadyIssued.
        """
        return self._database.write(
            lambda connection: reserve(self._writer(connection), batch_name, mac, chip)
        )

    def import_batch(
        self, batch: Batch, units: Iterable[Unit], chip: str, origin: str
    ) -> list[Identity]:
        """Write down boards that were made elsewhere: a batch whose units all have their board.

        Every unit names its MAC; a column `fingerprint` is taken over. origin: where the list
        comes from, for the event. All or nothing.
        Raises AlreadyIssued, LedgerError.
        """
        listed = list(units)
        for unit in listed:
            if unit.mac is None:
                raise LedgerError(f"line {unit.line}, serial {unit.serial}: names no MAC")
        planned = rows_of(batch, listed)

        def work(connection: Connection) -> list[Identity]:
            writer = self._writer(connection)
            # they are made: that another list has their serials does not undo it
            plan(writer, batch, planned, {"origin": origin}, serials_again=True)
            rows = connection.execute(
                select(tables.unit).where(_UNIT.batch == batch.name).order_by(_UNIT.place)
            )
            made = []
            for row, unit in zip(list(rows), listed, strict=True):
                assert unit.mac is not None
                name, known = batch.registration_id(unit, unit.mac), unit.extra.get("fingerprint")
                fingerprint = known if known and FINGERPRINT.fullmatch(known) else None
                made.append(issue(writer, row, name, unit.mac, chip, "imported", fingerprint))
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

    def refuse(self, batch_name: str, mac: bytes, chip: str, **facts: Any) -> Event:
        """Append that a board was turned away before anything was written to it.

        It gets no identity by that, and one that it has stays what it is. mac: b"" if the chip
        does not tell it; facts: port, step, reason, detail. Raises UnknownBatch, BadEvent.
        """
        checked = chain.fit(refusing.about(batch_name, mac, chip, facts))
        return self._database.write(
            lambda connection: refusing.refuse(self._writer(connection), batch_name, mac, checked)
        )
