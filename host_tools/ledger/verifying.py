"""Verifying: the whole chain, then every table beside it.

Owns what is read for it, at one moment. Doesn't own what must agree (replay.py).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

import host_tools.ledger.chain as chain
import host_tools.ledger.guarding as guarding
import host_tools.ledger.tables as tables
from host_tools.batch import Batch
from host_tools.ledger.appending import event_of
from host_tools.ledger.errors import LedgerError, Tampered
from host_tools.ledger.model import Verdict
from host_tools.ledger.planning import digest, planned_name
from host_tools.ledger.replay import Differences, Replay
from host_tools.ledger.reserving import batch_of, batch_row, unit_of

_PAGE = 1000  # rows at once


def verify(
    connection: Connection,
    dialect: str,
    head: str | None,
    progress: Callable[[int], object] = lambda number: None,
) -> Verdict:
    """Return what was seen if all is in order, else raise Tampered.

    progress: told the number of an event now and then; LedgerError if head is none.
    """
    wanted = chain.parse_head(head) if head is not None else None
    replay = _walk(connection, wanted, progress)
    differences = Differences(replay)
    for table, compare in (
        (tables.batch, differences.batch),
        (tables.identity, differences.identity),
    ):
        with _rows(connection, select(table)) as rows:
            for row in rows:
                compare(row._asdict())
    differences.all_seen()
    for name in replay.batches:
        _compare_units(connection, name, differences)
    _refuse_strangers(connection, replay)
    # who took guards off could change events; that they are there proves nothing
    guarding.check_triggers(connection, dialect, replay.number)
    guarding.check_tables(connection, dialect, replay.number)
    return Verdict(
        replay.number,
        len(replay.batches),
        len(replay.identities),
        chain.head(replay.number, replay.hash),
    )


def check_chain(connection: Connection, dialect: str, progress: Callable[[int], object]) -> None:
    """Check that the events are those that were written; raise Tampered.

    The tables beside them are looked at for events that were cut off only.
    """
    walk = chain.Walk()
    with _rows(connection, select(tables.event).order_by(tables.event.c.number)) as rows:
        for row in rows:
            walk.step(*tuple(row))
            if walk.number % _PAGE == 0:
                progress(walk.number)
    progress(walk.number)
    for column in (tables.identity.c.event, tables.batch.c.event):
        known = connection.execute(select(func.max(column))).scalar_one() or 0
        if known > walk.number:
            raise Tampered(walk.number + 1, f"is missing, and all up to {known}")
    guarding.check_triggers(connection, dialect, walk.number)


def _walk(
    connection: Connection,
    wanted: tuple[int | None, str] | None,
    progress: Callable[[int], object],
) -> Replay:
    replay, found = Replay(), wanted is None
    with _rows(connection, select(tables.event).order_by(tables.event.c.number)) as rows:
        for row in rows:
            try:
                event = event_of(row)
            except ValueError:
                raise Tampered(row.number, "its facts are not JSON") from None
            replay.feed(event, row.facts)
            found = found or (wanted is not None and event.hash == wanted[1])
            if event.number % _PAGE == 0:
                progress(event.number)
    progress(replay.number)
    if not found and wanted is not None:
        raise _missing(replay, *wanted)
    return replay


def _missing(replay: Replay, number: int | None, made: str) -> LedgerError:
    if number is None or number <= replay.number:
        return Tampered(
            number or replay.number,
            f"its hash is not the one kept elsewhere, {made[:12]}...: the chain was made anew,"
            " or its end was cut off",
        )
    return Tampered(
        replay.number + 1,
        f"is missing, and all up to {number}, which the head kept elsewhere names",
    )


# a finding is raised amid the rows: the server's cursor must not outlive that
@contextmanager
def _rows(connection: Connection, statement: Select[Any]) -> Iterator[Iterable[Row[Any]]]:
    with connection.execution_options(yield_per=_PAGE).execute(statement) as rows:
        yield rows


def _refuse_strangers(connection: Connection, replay: Replay) -> None:
    for (name,) in connection.execute(select(tables.unit.c.batch).distinct()).all():
        if name not in replay.batches:
            raise Tampered(replay.number, f"is the last, and none says batch {name}, of units")


# it keeps others from the name, so it must be the one that the unit will get
def _check_planned(batch: Batch, row: Row[Any], number: int) -> None:
    try:
        wanted = planned_name(batch, unit_of(row))
    except ValueError as error:
        raise Tampered(number, f"unit {row.place} of batch {batch.name}: {error}") from None
    if row.planned != wanted:
        raise Tampered(
            number,
            f"says that unit {row.place} of batch {batch.name} is to be {wanted!r}, its table says"
            f" {row.planned!r}",
        )


def _compare_units(connection: Connection, name: str, differences: Differences) -> None:
    unit = tables.unit
    wanted = select(unit).where(unit.c.batch == name).order_by(unit.c.place)
    taken: dict[int, str] = {}
    batch = batch_of(batch_row(connection, name))

    def noted(rows: Iterable[Row[Any]]) -> Iterator[Mapping[str, Any]]:
        for row in rows:
            if row.taken:
                taken[row.place] = row.serial
            _check_planned(batch, row, differences.number(name))
            yield row._asdict()

    with _rows(connection, wanted) as rows:
        found = digest(noted(rows))
    differences.units(name, found, taken)
