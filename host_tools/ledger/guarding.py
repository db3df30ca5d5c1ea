"""Guarding: whether the database still keeps what the ledger writes, and nobody's trigger swallows
it.

Owns what is asked of the database's own catalogue, and the words for what differs. Doesn't own the
statements (tables.py) nor what the rows must say (replay.py).
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table, UniqueConstraint
from sqlalchemy.schema import CreateIndex, CreateTable

import host_tools.ledger.chain as chain
import host_tools.ledger.tables as tables
from host_tools.ledger.errors import Tampered

_OURS = ", ".join(f"'{table.name}'" for table in tables.METADATA.sorted_tables)
_SQLITE_TRIGGERS = (
    f"SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) IN ({_OURS})"
)
_SQLITE_SCHEMA = "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'index')"
# a rule could swallow an event as well as a trigger
_POSTGRESQL_TRIGGERS = f"""
SELECT tgname, pg_get_triggerdef(pg_trigger.oid), tgenabled IN ('O', 'A'),
  lanname, array_to_string(proconfig, ';'), prosrc
FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
  JOIN pg_proc ON pg_proc.oid = tgfoid JOIN pg_language ON pg_language.oid = prolang
WHERE relnamespace = current_schema()::regnamespace AND relname IN ({_OURS}) AND NOT tgisinternal
UNION ALL SELECT rulename, 'a rule', true, '', '', '' FROM pg_rules
WHERE schemaname = current_schema() AND tablename IN ({_OURS})"""
_POSTGRESQL_INDEXES = """
SELECT pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
WHERE relnamespace = current_schema()::regnamespace AND indisunique AND indisvalid AND indislive
  AND indimmediate"""
_POSTGRESQL_HIDDEN = f"""
SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace
  AND relname IN ({_OURS}) AND (relrowsecurity OR relkind <> 'r')"""


def check_triggers(connection: Connection, dialect: str, number: int) -> None:
    """Check that our triggers are there, as they were made, and no others; number: last event's.

    Raises Tampered.
    """
    wanted, there = _wanted(dialect), _there(connection, dialect)
    for name, *_ in sorted(wanted - there):
        raise Tampered(
            number,
            f"is the last, and the trigger {name}, which keeps events, was taken off or changed",
        )
    for name, *_ in there - wanted:
        raise Tampered(
            number,
            f"is the last, and the trigger {name!r} is none of keystead's: it could swallow what"
            " is written",
        )


def check_tables(connection: Connection, dialect: str, number: int) -> None:
    """Check that tables and unique indexes are those that were made; raise Tampered."""
    if dialect == "sqlite":
        found = connection.exec_driver_sql(_SQLITE_SCHEMA).all()
        there = {str(name): _plain(sql or "") for name, sql in found}
        for name, made in _sqlite_schema(connection):
            if there.get(name) != made:
                raise Tampered(number, f"is the last, and {name} is not as it was made")
        return
    for (name,) in connection.exec_driver_sql(_POSTGRESQL_HIDDEN).all():
        raise Tampered(number, f"is the last, and {name} may hide rows: it is no plain table")
    defined = [str(row[0]) for row in connection.exec_driver_sql(_POSTGRESQL_INDEXES)]
    kept = {one.partition(" ON ")[2].removeprefix("keystead.") for one in defined}
    for wanted in _unique():
        if wanted not in kept:
            raise Tampered(number, f"is the last, and the unique index of {wanted} was taken off")


@cache
def _wanted(dialect: str) -> frozenset[tuple[Any, ...]]:
    made = tables.guards(dialect, chain.START)
    if dialect == "sqlite":
        return frozenset(made.items())
    bodies = {
        name: statement.split("$$")[1].replace("%%", "%")
        for name, statement in made.items()
        if statement.startswith("CREATE FUNCTION")
    }
    return frozenset(
        (name, " ".join(statement.split()), True, "plpgsql", "search_path=keystead", body)
        for name, statement in made.items()
        if name not in bodies
        for function, body in bodies.items()
        if statement.endswith(f"{function}()")
    )


def _there(connection: Connection, dialect: str) -> set[tuple[Any, ...]]:
    if dialect == "sqlite":
        return {tuple(row) for row in connection.exec_driver_sql(_SQLITE_TRIGGERS)}
    rows = connection.exec_driver_sql(_POSTGRESQL_TRIGGERS)
    return {
        (name, " ".join(made.replace(" ON keystead.", " ON ").split()), *rest)
        for name, made, *rest in rows
    }


# as SQLite keeps them: the statements that made them
def _sqlite_schema(connection: Connection) -> Iterator[tuple[str, str]]:
    for table in tables.METADATA.sorted_tables:
        yield table.name, _plain(str(CreateTable(table).compile(dialect=connection.dialect)))
        for index in table.indexes:
            if index.unique:
                made = str(CreateIndex(index).compile(dialect=connection.dialect))
                yield str(index.name), _plain(made)


# STRICT depends on which SQLite made the file
def _plain(statement: str) -> str:
    return "".join(statement.replace('"', "").split()).removesuffix("STRICT")


# as PostgreSQL tells them: TABLE USING btree (COLUMNS)
def _unique() -> Iterator[str]:
    for table in tables.METADATA.sorted_tables:
        for constraint in (table.primary_key, *table.constraints):
            if isinstance(constraint, UniqueConstraint) or constraint is table.primary_key:
                yield _index(table, ", ".join(column.name for column in constraint.columns))
    yield _index(tables.identity, 'lower((registration_id COLLATE "C"))')


def _index(table: Table, columns: str) -> str:
    return f"{table.name} USING btree ({columns})"
