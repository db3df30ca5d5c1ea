"""Planning: a batch and its units, written down before the first board is made.

Owns what is checked beforehand: a serial, MAC or registration ID that the ledger knows is refused
with its line, and then nothing is written. Doesn't own the list's own form (host_tools.batch).
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Connection, Text, bindparam, func, insert, select

import host_tools.ledger.chain as chain
import host_tools.ledger.tables as tables
from host_tools.batch import Batch, Unit, check_serial
from host_tools.ledger.appending import Writer
from host_tools.ledger.errors import AlreadyIssued, BadEvent, LedgerError
from host_tools.printable import counted
from keystead.registration_id import format_mac

_UNIT, _IDENTITY = tables.unit.c, tables.identity.c
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAMED = 3  # serials that a refusal names
_CHUNK = 400  # values in one question; SQLite takes 999, older ones too
_NO_MAC = bytes(6)


def plan(
    writer: Writer,
    batch: Batch,
    rows: Sequence[dict[str, Any]],
    facts: Mapping[str, Any],
    serials_again: bool,
) -> None:
    """Write a batch, or refuse it; rows: its units, of rows_of(); facts: more for its event."""
    connection = writer.connection
    about = described(batch, len(rows), digest(rows))
    writer.hold()  # planning is rare: two at once take turns
    refuse_known(connection, batch, rows, serials_again)
    for chunk in batched_rows(rows):
        _write_units(connection, chunk)
    made = writer.event("batch", None, chain.fit({**facts, **about}))
    connection.execute(insert(tables.batch), {**batch_columns(about), "event": made.number})


def rows_of(batch: Batch, units: Iterable[Unit]) -> list[dict[str, Any]]:
    """Return the rows of a batch's units, or refuse what no ledger could hold.

    It takes seconds for 100 000, so it is done before a transaction keeps others waiting.
    """
    _check_name(batch)
    rows = [_row(batch, place, unit) for place, unit in enumerate(units, 1)]
    if not rows:
        raise LedgerError(f"batch {batch.name} has no units: give serials or a list")
    chain.fit(described(batch, len(rows), ""))
    for what, column in _UNIQUE.items():
        _refuse_twice(rows, column, what)
    return rows


def refuse_known(
    connection: Connection, batch: Batch, rows: Sequence[dict[str, Any]], serials_again: bool
) -> None:
    """Refuse what this ledger has given away already.

    serials_again: they may be those of other batches.
    """
    _refuse_name(connection, batch)
    _refuse_identities(connection, rows)
    if not serials_again:
        _refuse_serials(connection, rows)


def described(batch: Batch, count: int, units: str) -> dict[str, Any]:
    """Return the facts of the event that plans a batch; units: their digest."""
    return {
        "batch": batch.name,
        "board": batch.board,
        "idScope": batch.id_scope,
        "template": batch.template,
        "endpoint": batch.endpoint,
        "wide": batch.wide,
        "note": batch.note,
        "units": count,
        "unitsSha256": units,
    }


def batch_columns(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return a batch's row, as its event has it; without the event's number."""
    return {
        "name": facts["batch"],
        "board": facts["board"],
        "id_scope": facts["idScope"],
        "template": facts["template"],
        "endpoint": facts["endpoint"],
        "wide": int(facts["wide"]),
        "note": facts["note"],
        "units": facts["units"],
    }


def digest(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return SHA-256 in hex over the units of a batch, each a line of canonical JSON."""
    found = hashlib.sha256()
    for row in rows:
        line = [
            row[name] for name in ("place", "serial", "mac", "registration_id", "extra", "line")
        ]
        found.update(chain.canonical(line).encode() + b"\n")
    return found.hexdigest()


def batched_rows(rows: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Give rows in pieces that one statement takes."""
    for begin in range(0, len(rows), 5000):
        yield list(rows[begin : begin + 5000])


# one statement there, as for many psycopg makes a pipeline, amid which the server waits for ever
# for a station that froze
def _write_units(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    if connection.dialect.name != "postgresql":
        connection.execute(insert(tables.unit), rows)
        return
    columns = list(tables.unit.columns)
    names = [column.name for column in columns]
    arrays = ", ".join(f"%s::{column.type.compile(connection.dialect)}[]" for column in columns)
    connection.exec_driver_sql(
        f"INSERT INTO unit ({', '.join(names)}) SELECT * FROM unnest({arrays})",
        tuple([row[name] for row in rows] for name in names),
    )


def _check_name(batch: Batch) -> None:
    if not _NAME.fullmatch(batch.name):
        raise LedgerError(
            f"batch {batch.name[:80]!r}: a name has 1 to 64 letters, digits, dots, dashes and"
            " underscores, and begins with a letter or digit"
        )


def _refuse_name(connection: Connection, batch: Batch) -> None:
    wanted = tables.folded(tables.batch.c.name) == batch.name.lower()
    known = connection.execute(select(tables.batch.c.name).where(wanted)).scalar_one_or_none()
    if known is not None:
        raise AlreadyIssued(f"the ledger has a batch {known} already: choose another name")


def _row(batch: Batch, place: int, unit: Unit) -> dict[str, Any]:
    try:
        extra = chain.canonical(chain.fit(unit.extra))
        check_serial(unit.serial, unit.registration_id)
        planned = planned_name(batch, unit)
    except (ValueError, BadEvent) as error:
        raise LedgerError(f"{_where(unit.line, unit.serial)}: {error}") from None
    return {
        "batch": batch.name,
        "place": place,
        "serial": unit.serial,
        "mac": unit.mac.hex() if unit.mac else None,
        "registration_id": unit.registration_id,
        "planned": planned,
        "extra": extra,
        "line": unit.line,
        "taken": 0,
    }


def planned_name(batch: Batch, unit: Unit) -> str | None:
    """Return a unit's registration ID in small letters, None where it waits for a MAC; ValueError.

    A template is tried with a blank MAC too: a bad one is found before boards are there.
    """
    name = batch.registration_id(unit, unit.mac or _NO_MAC)
    known = unit.mac or unit.registration_id is not None or "{mac}" not in batch.template
    return name.lower() if known else None


def _where(line: int, serial: str) -> str:
    return f"line {line}, serial {serial}" if line else f"serial {serial}"


_UNIQUE = {"serial": "serial", "MAC": "mac", "registration ID": "planned"}


def _refuse_twice(rows: Iterable[dict[str, Any]], column: str, what: str) -> None:
    seen: dict[str, dict[str, Any]] = {}
    for row in rows:
        value = row[column]
        if value is None:
            continue
        if value in seen:
            first = _where(seen[value]["line"], seen[value]["serial"])
            raise AlreadyIssued(
                f"{_where(row['line'], row['serial'])}: {what} {_text(column, value)} is that of"
                f" {first} already"
            )
        seen[value] = row


def _refuse_identities(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    questions = (
        ("mac", "MAC", _IDENTITY.mac, _IDENTITY.batch),
        ("mac", "MAC", _UNIT.mac, _UNIT.batch),
        ("planned", "registration ID", tables.folded(_IDENTITY.registration_id), _IDENTITY.batch),
        ("planned", "registration ID", _UNIT.planned, _UNIT.batch),
    )
    for column, what, there, owner in questions:
        values = {row[column]: row for row in rows if row[column] is not None}
        for value, name in _known(connection, list(values), there, owner):
            row = values[value]
            raise AlreadyIssued(
                f"{_where(row['line'], row['serial'])}: {what} {_text(column, value)} is in batch"
                f" {name} already, and none is given away twice"
            )


# a serial is no registration ID, but two boards with one are hard to tell apart
def _refuse_serials(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    known: dict[str, str] = {}
    for some in _serial_among(connection, [row["serial"] for row in rows]):
        for serial, name in connection.execute(select(_UNIT.serial, _UNIT.batch).where(some)):
            known.setdefault(str(serial), str(name))
    twice = [row for row in rows if row["serial"] in known]
    if not twice:
        return
    named = ", ".join(
        f"{_where(row['line'], row['serial'])} in batch {known[row['serial']]}"
        for row in twice[:_NAMED]
    )
    more = f" and {len(twice) - _NAMED} more" if len(twice) > _NAMED else ""
    raise AlreadyIssued(
        f"{counted(len(twice), 'serial')} of {len(rows)} planned before: {named}{more}; if a"
        " serial means something else here, plan with --serials-again"
    )


# there is no index that begins with the serial
def _serial_among(connection: Connection, serials: list[str]) -> Iterator[ColumnElement[bool]]:
    if connection.dialect.name == "postgresql":  # which hashes an array, and reads all units once
        yield _UNIT.serial == func.any(bindparam(None, serials, ARRAY(Text)))
        return
    there = _UNIT.batch.in_(select(tables.batch.c.name))  # so SQLite goes through batch and serial
    for begin in range(0, len(serials), _CHUNK):
        yield there & _UNIT.serial.in_(serials[begin : begin + _CHUNK])


def _known(
    connection: Connection,
    values: Sequence[str],
    there: ColumnElement[Any],
    owner: ColumnElement[Any],
) -> Iterator[tuple[str, str]]:
    for begin in range(0, len(values), _CHUNK):
        wanted = select(there, owner).where(there.in_(values[begin : begin + _CHUNK]))
        for value, name in connection.execute(wanted.order_by(there)):
            yield str(value), str(name)


def _text(column: str, value: str) -> str:
    return format_mac(bytes.fromhex(value), ":") if column == "mac" else value
