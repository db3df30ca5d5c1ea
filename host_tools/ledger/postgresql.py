"""PostgreSQL: the ledger that several stations share.

The password comes from where libpq looks for it: ~/.pgpass, $PGPASSWORD, a service file.
"""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.pool import ConnectionPoolEntry

from host_tools.errors import CommandError
from host_tools.ledger.database import Again
from host_tools.ledger.errors import (
    DiskFull,
    LedgerError,
    Locked,
    NoLedger,
    NotALedger,
    ReadOnly,
    ServerGone,
)

SCHEMA = "keystead"
_NO_URL = "the ledger's URL can not be read: write postgresql://USER@HOST/DATABASE"
_CONNECT = 30  # seconds
_UNHEARD = 30_000  # milliseconds that a server may say nothing
_IDLE = 2000  # milliseconds at least for a station within a transaction
# a cable that is pulled tells nobody, and the kernel alone would wait for a quarter of an hour
_SILENCE = {
    "tcp_user_timeout": _UNHEARD,  # milliseconds that what was sent may go without an answer
    "keepalives_idle": 10,  # seconds without a word until the other end is asked
    "keepalives_interval": 10,
    "keepalives_count": 2,
}
_POOL = 20  # connections of one station
# a number that nobody else is likely to lock in this database
_HEAD = 0x6B657973_74656164
_RACES = {"40001", "40P01", "23505"}  # serialization, deadlock, a key that another just made
_CHARACTER = (
    LedgerError,
    "can not hold that ({why}): make its database with ENCODING 'UTF8', or do without",
)
_AGAIN = "what was committed is there, so run the same command again"
_WORDS = {
    "22021": _CHARACTER,
    "22P05": _CHARACTER,
    "25P03": (
        ServerGone,
        "cut this station off, which stood still amid a change, and kept nothing"
        " of that: run the same command again",
    ),
    "25006": (ReadOnly, "takes no changes: it is a standby, or set to read-only"),
    "42501": (ReadOnly, "does not let this user do that ({why}): have the rights granted"),
    "53100": (DiskFull, "has no room left on its disk"),
    "53300": (ServerGone, "has no connection to spare: too many stations or programs"),
    "55P03": (Locked, "was locked by another station for more than {wait:g} s: try again"),
    "57014": (Locked, "took too long for a statement: try again"),
}


class Postgresql:
    """A ledger in the schema `keystead` of a database."""

    name = "postgresql"
    snapshot = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

    def __init__(self, place: str, wait: float) -> None:
        """Raise CommandError for a URL that is none, or if psycopg is not installed."""
        try:
            url = make_url(place)
        except (ArgumentError, ValueError):
            raise CommandError(_NO_URL) from None
        if url.drivername not in ("postgresql", "postgres"):
            raise CommandError(f"a ledger's URL begins with postgresql://, not {url.drivername}")
        try:
            psycopg = importlib.import_module("psycopg")  # which may be there and find no libpq
        except ImportError:
            raise CommandError(
                "a ledger on PostgreSQL needs psycopg: pip install 'keystead[postgresql]'"
            ) from None
        # psycopg takes options of its own too, e.g. autocommit, which would undo transactions
        known = {one.keyword.decode() for one in psycopg.pq.Conninfo.get_defaults()}
        for name in url.query:
            if name not in known:
                raise CommandError(f"the ledger's URL has an option that no server knows: {name}")
        self._silence = importlib.import_module("host_tools.ledger.silence")  # which imports it
        self._url = url.set(drivername="postgresql+psycopg")
        self.place = _shown(url)
        self.wait = wait

    def engine(self) -> Engine:
        """Return what makes connections; one that died unused is replaced unseen.

        CommandError for hosts and ports that are none.
        """
        arguments: dict[str, Any] = {
            "connect_timeout": _CONNECT,
            "application_name": "keystead",
            **_SILENCE,
        }
        arguments = {
            name: value for name, value in arguments.items() if name not in self._url.query
        }
        # text comes as bytes from a database without an encoding, and others can not hold it all
        arguments["client_encoding"] = "utf8"
        try:
            made = create_engine(
                self._url,
                pool_pre_ping=True,
                pool_size=_POOL,
                pool_timeout=self.wait,
                connect_args=arguments,
                hide_parameters=True,
            )
        except ArgumentError:
            raise CommandError(_NO_URL) from None
        event.listen(made, "do_connect", self._connect)
        event.listen(made, "connect", self._connected)
        return made

    def _connect(
        self, dialect: object, entry: object, words: Sequence[Any], options: Mapping[str, Any]
    ) -> Any:
        made = self._silence.Impatient.connect(*words, **options)
        made.unheard, made.locks = self._unheard() / 1000, self.wait
        return made

    def _unheard(self) -> int:
        told = str(self._url.query.get("tcp_user_timeout", ""))
        return int(told) if told.isdecimal() and int(told) else _UNHEARD

    # a station that froze within a transaction, or lost its power, must not hold up the others for
    # ever, nor for as long as they wait
    def _connected(self, connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        milliseconds = max(1, int(self.wait * 1000))
        settings = {
            "search_path": SCHEMA,
            "lock_timeout": milliseconds,
            "idle_in_transaction_session_timeout": max(milliseconds * 2 // 3, _IDLE),
            **{f"tcp_{name.removeprefix('tcp_')}": value for name, value in _SILENCE.items()},
        }
        cursor = connection.cursor()
        cursor.execute("; ".join(f"SET {name} TO {value}" for name, value in settings.items()))
        cursor.close()
        connection.commit()

    def check_place(self) -> None:
        """Nothing to do: a server minds its own files."""

    def lock_head(self, connection: Connection) -> None:
        """Take the lock that goes with the transaction, wherever that ends."""
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_HEAD})")

    def has_tables(self, connection: Connection) -> bool | None:
        """Tell whether there is a ledger; None: other tables of this name."""
        found = connection.exec_driver_sql(
            f"SELECT tablename FROM pg_tables WHERE schemaname = '{SCHEMA}'"
        )
        names = {str(row[0]) for row in found}
        if {"about", "event", "identity"} <= names:
            return True
        return None if names else False

    def settle(self) -> None:
        """Nothing to do."""

    def prepare(self, connection: Connection) -> None:
        """Make the schema."""
        connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")

    def explain(self, error: DBAPIError) -> LedgerError | Again | None:
        """Return what an error means, by its SQLSTATE."""
        if isinstance(error.orig, self._silence.Silent):
            return ServerGone(
                f"{self.place}: the ledger's server does not answer: {error.orig}; {_AGAIN}"
            )
        state = getattr(error.orig, "sqlstate", None) or ""
        why = str(error.orig).partition("\n")[0]
        if state in _RACES:
            return Again()
        if state in _WORDS:
            kind, words = _WORDS[state]
            return kind(f"{self.place} {words.format(why=why, wait=self.wait)}")
        if state in ("42P01", "3F000"):  # dropped while it was open
            return NotALedger(f"{self.place} has no ledger of keystead that this user may see")
        if "password" in why:  # a failed connection has no SQLSTATE
            return LedgerError(
                f"{self.place} refuses the password, or wants one: put it into ~/.pgpass or"
                " $PGPASSWORD"
            )
        if "does not exist" in why and not state:
            return NoLedger(f"{self.place} can not be opened ({_plain(why)}): create it first")
        if not state and error.statement is None and isinstance(error, ProgrammingError):
            return LedgerError(f"{self.place} can not be opened ({why}): mend its URL")
        silent = isinstance(error, (OperationalError, InterfaceError)) and not state
        if error.connection_invalidated or state[:2] in ("08", "57") or silent:
            return ServerGone(f"{self.place} can not be reached ({_plain(why)}): does it run?")
        return None


def _shown(url: URL) -> str:
    return URL.create(
        "postgresql", url.username, None, url.host, url.port, url.database
    ).render_as_string()


def _plain(why: str) -> str:
    told = why.removeprefix("connection failed: ").rpartition("FATAL: ")[2]
    return told.strip(": ") or "no answer"
