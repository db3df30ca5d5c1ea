"""Reserving: which unit of a batch a board gets, and what it is called from then on.

Owns the choice. A registration ID is issued once, to one MAC; a MAC has one registration ID.
"""

import json
from typing import Any

from sqlalchemy import Connection, Row, func, insert, or_, select, update

import host_tools.ledger.tables as tables
from host_tools.batch import Batch, Unit
from host_tools.ledger.appending import Writer, columns_of, identity_of
from host_tools.ledger.errors import (
    AlreadyIssued,
    BatchUsedUp,
    ForeignBoard,
    LedgerError,
    Scrapped,
    UnknownBatch,
)
from host_tools.ledger.model import Identity
from host_tools.ledger.rules import Standing
from keystead.registration_id import format_mac

_UNIT, _IDENTITY = tables.unit.c, tables.identity.c
_NOBODY = (bytes(6), b"\xff" * 6)  # what is read where there is no MAC


def batch_row(connection: Connection, name: str) -> Row[Any]:
    """Return a batch's row; UnknownBatch."""
    row = connection.execute(select(tables.batch).where(tables.batch.c.name == name)).one_or_none()
    if row is None:
        known = connection.execute(select(tables.batch.c.name).order_by(tables.batch.c.event))
        names = [one.name for one in known]
        have = f"it has {', '.join(names[-5:])}" if names else "it has none yet"
        raise UnknownBatch(f"the ledger has no batch {name[:64]!r}: {have}")
    return row


def batch_of(row: Row[Any]) -> Batch:
    """Return the batch of a row."""
    return Batch(
        row.name, row.board, row.id_scope, row.template, row.endpoint, bool(row.wide), row.note
    )


def unit_of(row: Row[Any]) -> Unit:
    """Return the unit of a row."""
    mac = bytes.fromhex(row.mac) if row.mac else None
    return Unit(row.serial, mac, row.registration_id, json.loads(row.extra), row.line)


class Choice:
    """A board that wants to be one of a batch."""

    def __init__(self, connection: Connection, batch_name: str, mac: bytes, chip: str) -> None:
        """Raise UnknownBatch, and LedgerError for what is no board's MAC."""
        if len(mac) != 6 or mac in _NOBODY:
            raise LedgerError(f"{mac.hex() or 'nothing'} is no board's MAC: six bytes, not blank")
        self._connection = connection
        self._batch = batch_of(batch_row(connection, batch_name))
        self._mac = mac
        self._chip = chip
        self._shown = format_mac(mac, ":")

    def own(self) -> Identity | None:
        """Return the identity that the board has; ForeignBoard, Scrapped."""
        wanted = select(tables.identity).where(_IDENTITY.mac == self._mac.hex())
        row = self._connection.execute(wanted).one_or_none()
        if row is None:
            return None
        if row.batch != self._batch.name:
            raise ForeignBoard(
                f"board {self._shown} belongs to batch {row.batch} as {row.registration_id}:"
                f" make it there, or take another board for {self._batch.name}"
            )
        if row.state == "scrapped":
            because = f" ({row.reason})" if row.reason else ""
            raise Scrapped(f"{row.registration_id} was scrapped{because}: take another board")
        if self._chip and row.chip and self._chip != row.chip:
            raise ForeignBoard(
                f"board {self._shown} was an {row.chip} as {row.registration_id}, now it is an"
                f" {self._chip}: two boards with one MAC?"
            )
        return identity_of(row)

    def unit(self, lock: bool) -> Row[Any]:
        """Return the unit for the board; lock: keep others from it until the transaction ends.

        Raises ForeignBoard, BatchUsedUp.
        """
        row = self._named(lock) or self._free(lock)
        if row is None:
            raise self._none_left()
        return row

    def _named(self, lock: bool) -> Row[Any] | None:
        wanted = select(tables.unit).where(_UNIT.mac == self._mac.hex())
        row = self._connection.execute(wanted.with_for_update() if lock else wanted).one_or_none()
        if row is not None and row.batch != self._batch.name:
            raise ForeignBoard(
                f"board {self._shown} is planned in batch {row.batch} as serial {row.serial}, not"
                f" in {self._batch.name}"
            )
        return row

    # SKIP LOCKED: stations choose at the same time; what another holds may still come free
    def _free(self, lock: bool) -> Row[Any] | None:
        wanted = (
            select(tables.unit)
            .where(_UNIT.batch == self._batch.name, _UNIT.taken == 0, _UNIT.mac.is_(None))
            .order_by(_UNIT.place)
            .limit(1)
        )
        if not lock:
            return self._connection.execute(wanted).one_or_none()
        skipping = wanted.with_for_update(skip_locked=True)
        while True:
            row = self._connection.execute(skipping).one_or_none()
            if row is not None or self._connection.execute(wanted).one_or_none() is None:
                return row
            # all that are left are in others' hands: wait for one, then look again
            row = self._connection.execute(wanted.with_for_update()).one_or_none()
            if row is not None:
                return row

    def _none_left(self) -> LedgerError:
        name = self._batch.name
        named = (
            select(func.count())
            .select_from(tables.unit)
            .where(_UNIT.batch == name, _UNIT.taken == 0, _UNIT.mac.is_not(None))
        )
        if self._connection.execute(named).scalar_one():
            return ForeignBoard(
                f"batch {name} names the boards that are left, and {self._shown} is none of them:"
                " check the MAC on the list, or take another board"
            )
        return BatchUsedUp(f"batch {name} is used up: every serial has its board; plan another")

    def name(self, row: Row[Any]) -> str:
        """Return the registration ID that the board gets with a unit; AlreadyIssued."""
        try:
            name = self._batch.registration_id(unit_of(row), self._mac)
        except ValueError as error:
            raise LedgerError(f"serial {row.serial}: {error}") from None
        issued = (
            select(_IDENTITY.batch, _IDENTITY.serial, _IDENTITY.mac)
            .where(tables.folded(_IDENTITY.registration_id) == name.lower())
            .union_all(
                select(_UNIT.batch, _UNIT.serial, _UNIT.mac).where(
                    _UNIT.planned == name.lower(),
                    or_(_UNIT.batch != row.batch, _UNIT.place != row.place),
                )
            )
        )
        found = self._connection.execute(issued).first()
        if found is not None:
            raise AlreadyIssued(
                f"registration ID {name} is serial {found.serial}'s of batch {found.batch}, and"
                " none is issued twice: mend the template or the serial"
            )
        return name


def reserve(writer: Writer, batch_name: str, mac: bytes, chip: str) -> Identity:
    """Return the board's identity, made now if it has none."""
    choice = Choice(writer.connection, batch_name, mac, chip)
    own = choice.own()
    if own is not None:
        return own
    row = choice.unit(lock=True)
    return issue(writer, row, choice.name(row), mac, chip)


def issue(
    writer: Writer,
    row: Row[Any],
    name: str,
    mac: bytes,
    chip: str,
    kind: str = "reserved",
    fingerprint: str | None = None,
) -> Identity:
    """Give a unit to a board for ever; fingerprint: of its device key, if that is known."""
    facts = {
        "batch": row.batch,
        "place": row.place,
        "serial": row.serial,
        "mac": format_mac(mac, ":"),
        "chip": chip,
        **({"fingerprint": fingerprint} if fingerprint else {}),
    }
    made = writer.event(kind, name, facts)
    taken = update(tables.unit).where(_UNIT.batch == row.batch, _UNIT.place == row.place)
    writer.one(taken.values(taken=1), None, made.number)
    values = {
        "registration_id": name,
        "batch": row.batch,
        "place": row.place,
        "serial": row.serial,
        "mac": mac.hex(),
        "chip": chip,
        "fingerprint": fingerprint,
        **columns_of(Standing(kind)),
        "reserved": made.number,
        "event": made.number,
        "updated": made.at,
    }
    writer.one(insert(tables.identity), values, made.number)
    return Identity(name, row.batch, row.serial, mac, fingerprint, kind, chip, "", 0, made.at)
