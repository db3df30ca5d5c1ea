"""The tables, the same in SQLite and PostgreSQL, and the triggers that guard them.

`event` is the ledger; `batch`, `unit` and `identity` follow from it and are there to be asked.
`verify` compares all of them with the events.
"""

import sqlite3
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

VERSION = 1
METADATA = MetaData()
_NUMBER = BigInteger().with_variant(Integer, "sqlite")
# INTEGER and TEXT are meant; SQLite has known STRICT since 3.37
_STRICT = sqlite3.sqlite_version_info >= (3, 37)


class folded(FunctionElement[str]):
    """A text with A to Z in small letters and nothing else changed, whatever the locale is."""

    type = Text()
    inherit_cache = True


@compiles(folded)
def _folded(element: folded, compiler: SQLCompiler, **options: Any) -> str:
    return f"lower({compiler.process(element.clauses, **options)})"


# in Turkish, lower('I') is no i; SQLite's own lower() knows ASCII only
@compiles(folded, "postgresql")
def _folded_c(element: folded, compiler: SQLCompiler, **options: Any) -> str:
    return f'lower(({compiler.process(element.clauses, **options)}) COLLATE "C")'


def _text(name: str, nullable: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable)


def _number(name: str) -> Column[int]:
    return Column(name, _NUMBER, nullable=False)


about = Table(
    "about",
    METADATA,
    Column("name", Text, primary_key=True),
    _text("value"),
    sqlite_strict=_STRICT,
)

event = Table(
    "event",
    METADATA,
    Column("number", _NUMBER, primary_key=True, autoincrement=False),
    _text("at"),
    _text("station"),
    _text("kind"),
    _text("registration_id", nullable=True),
    _text("facts"),  # canonical JSON
    _text("previous"),
    _text("hash"),
    UniqueConstraint("hash"),
    Index("event_by_board", "registration_id", "number"),
    sqlite_strict=_STRICT,
)

batch = Table(
    "batch",
    METADATA,
    Column("name", Text, primary_key=True),
    _text("board"),
    _text("id_scope"),
    _text("template"),
    _text("endpoint"),
    _number("wide"),
    _text("note"),
    _number("units"),
    _number("event"),  # that planned it
    sqlite_strict=_STRICT,
)

# planned: the registration ID in lower case where it is known beforehand; DPS ignores case
unit = Table(
    "unit",
    METADATA,
    _text("batch"),
    _number("place"),  # from 1
    _text("serial"),
    _text("mac", nullable=True),
    _text("registration_id", nullable=True),
    _text("planned", nullable=True),
    _text("extra"),  # canonical JSON
    _number("line"),
    _number("taken"),
    PrimaryKeyConstraint("batch", "place"),
    UniqueConstraint("batch", "serial"),
    UniqueConstraint("mac"),
    UniqueConstraint("planned"),
    sqlite_strict=_STRICT,
)
Index(
    "unit_free",
    unit.c.batch,
    unit.c.place,
    sqlite_where=(unit.c.taken == 0) & (unit.c.mac.is_(None)),
    postgresql_where=(unit.c.taken == 0) & (unit.c.mac.is_(None)),
)

identity = Table(
    "identity",
    METADATA,
    Column("registration_id", Text, primary_key=True),
    _text("batch"),
    _number("place"),
    _text("serial"),
    _text("mac"),
    _text("chip"),
    _text("fingerprint", nullable=True),
    _text("state"),
    _text("reason"),
    _number("attempt"),
    _number("running"),
    _number("proven"),
    _number("reserved"),  # the event that made it
    _number("event"),  # the last one that concerns it
    _text("updated"),
    UniqueConstraint("mac"),
    UniqueConstraint("batch", "place"),
    UniqueConstraint("reserved"),
    Index("identity_by_state", "batch", "state"),
    Index("identity_by_serial", "serial"),
    sqlite_strict=_STRICT,
)
Index("identity_by_name", folded(identity.c.registration_id), unique=True)

# kept for ever, however it is tried
_FOR_EVER = ("about", "event")
_SQLITE_GUARD = """CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table}
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: no {verb} of {table}'); END"""
# a gap or a fork in the chain is refused where it would begin
_SQLITE_NEXT = """CREATE TRIGGER event_next BEFORE INSERT ON event
WHEN NEW.number <> (SELECT coalesce(max(number), 0) + 1 FROM event)
  OR NEW.previous <> coalesce(
    (SELECT hash FROM event ORDER BY number DESC LIMIT 1), '{start}')
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: no event but the next'); END"""
_POSTGRESQL_GUARD = """CREATE TRIGGER {table}_no_{verb} BEFORE {what} ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION keystead_append_only()"""
_POSTGRESQL_REFUSAL = """CREATE FUNCTION keystead_append_only() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ BEGIN
RAISE EXCEPTION 'the ledger is append-only: no %% of %%', lower(TG_OP), TG_TABLE_NAME;
END $$"""
_POSTGRESQL_CHECK = """CREATE FUNCTION keystead_next_event() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ DECLARE last record; BEGIN
SELECT number, hash INTO last FROM event ORDER BY number DESC LIMIT 1;
IF NEW.number <> coalesce(last.number, 0) + 1
  OR NEW.previous <> coalesce(last.hash, '{start}') THEN
RAISE EXCEPTION 'the ledger is append-only: no event but the next';
END IF; RETURN NEW; END $$"""
_POSTGRESQL_NEXT = """CREATE TRIGGER event_next BEFORE INSERT ON event
FOR EACH ROW EXECUTE FUNCTION keystead_next_event()"""


def guards(dialect: str, start: str) -> dict[str, str]:
    """Return the statements that make the triggers, by the triggers' names.

    start: what the first event follows; functions that triggers call have names too.
    """
    if dialect == "sqlite":
        made = {
            f"{table}_no_{verb}": _SQLITE_GUARD.format(table=table, verb=verb)
            for table in _FOR_EVER
            for verb in ("update", "delete")
        }
        return {**made, "event_next": _SQLITE_NEXT.format(start=start)}
    made = {
        f"{table}_no_{verb}": _POSTGRESQL_GUARD.format(table=table, verb=verb, what=verb.upper())
        for table in _FOR_EVER
        for verb in ("update", "delete", "truncate")
    }
    return {
        "keystead_append_only": _POSTGRESQL_REFUSAL,
        "keystead_next_event": _POSTGRESQL_CHECK.format(start=start),
        **made,
        "event_next": _POSTGRESQL_NEXT,
    }
