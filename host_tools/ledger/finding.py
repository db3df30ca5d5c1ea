"""Finding: the board that people mean by a registration ID, MAC or serial.

Owns what is said where none is meant, or more than one. Changes nothing.
"""

from contextlib import suppress

from sqlalchemy import ColumnElement, Connection, select

import host_tools.ledger.tables as tables
from host_tools.ledger.appending import identity_of
from host_tools.ledger.errors import UnknownBoard
from host_tools.ledger.model import Identity
from keystead.registration_id import parse_mac

_IDENTITY, _UNIT = tables.identity.c, tables.unit.c
_NAMED = 5  # batches in one line


def find(connection: Connection, text: str) -> Identity:
    """Return the identity meant; UnknownBoard, which says so if it is planned without a board."""
    condition = tables.folded(_IDENTITY.registration_id) == text.lower()
    condition |= _IDENTITY.serial == text
    with suppress(ValueError):
        condition |= _IDENTITY.mac == parse_mac(text).hex()
    wanted = select(tables.identity).where(condition).limit(3)
    found = [identity_of(row) for row in connection.execute(wanted)]
    exact = [one for one in found if one.registration_id.lower() == text.lower()]
    if len(found) > 1 and not exact:
        names = ", ".join(one.registration_id for one in found)
        raise UnknownBoard(f"{text!r} is a serial in several batches: name one of {names}")
    if not found:
        raise _unknown(connection, text)
    return (exact or found)[0]


def _unknown(connection: Connection, text: str) -> UnknownBoard:
    wanted = select(_UNIT.batch).where(_planned_as(text)).distinct()
    rows = connection.execute(wanted.order_by(_UNIT.batch).limit(_NAMED))
    batches = [str(row.batch) for row in rows]
    if not batches:
        return UnknownBoard(
            f"the ledger knows no board {text[:128]!r}: give a registration ID, MAC or serial"
        )
    where = f"batch{'es' if len(batches) > 1 else ''} {' and '.join(batches)}"
    return UnknownBoard(f"{text!r} is planned in {where} and has no board yet: flash one first")


def _planned_as(text: str) -> ColumnElement[bool]:
    condition = _UNIT.serial == text
    condition |= _UNIT.planned == text.lower()
    with suppress(ValueError):
        condition |= _UNIT.mac == parse_mac(text).hex()
    return condition
