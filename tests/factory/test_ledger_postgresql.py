"""The ledger that stations share: the same rules on a real PostgreSQL, and what only it can do."""

import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress

import psycopg
import pytest
from sqlalchemy import event

from bench.postgresql_server import name_of, started
from host_tools.batch import Unit
from host_tools.errors import CommandError
from host_tools.ledger import (
    AlreadyIssued,
    LedgerError,
    Locked,
    NoLedger,
    NotALedger,
    ReadOnly,
    ServerGone,
    Tampered,
    open_ledger,
)
from host_tools.ledger.postgresql import Postgresql
from host_tools.toolchain import postgresql
from tests.factory.ledger_conduct import CHIP, Conduct, batch, mac, make, units
from tests.factory.ledger_stations import race

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def server():
    try:
        postgresql.found()
    except CommandError as why:
        pytest.skip(str(why))
    with started() as found:
        found.execute(f"CREATE ROLE locked LOGIN PASSWORD '{PASSWORD}'")
        yield found


@pytest.fixture
def place(server):
    return server.new()


class TestOnPostgresql(Conduct):
    """What every ledger does."""


@pytest.fixture
def made(place):
    with open_ledger(place, "line-1", create=True) as ledger:
        ledger.create_batch(batch(), units(3))
        make(ledger, ledger.reserve("A", mac(1), CHIP), "proven")
    return place


def change(server, place, *statements):
    """Change tables as their owner can, who takes the guards off and puts them on again."""
    with psycopg.connect(place) as connection:
        connection.execute("SET search_path TO keystead")
        for verb in ("DISABLE", "ENABLE"):
            for table in ("event", "about"):
                connection.execute(f"ALTER TABLE {table} {verb} TRIGGER ALL")
            if verb == "DISABLE":
                for statement in statements:
                    assert connection.execute(statement).rowcount, statement


def test_four_stations_that_race_for_serials_get_each_once_and_lose_none(place):
    race(place)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET kind = 'good' WHERE number = 3",
        "DELETE FROM event WHERE number = 8",
        "TRUNCATE event",
        "TRUNCATE about",
        "INSERT INTO event SELECT 99, at, station, kind, NULL, '{}', hash, 'x' FROM event"
        " WHERE number = 8",
        "INSERT INTO event SELECT 9, at, station, kind, NULL, '{}', previous, 'x' FROM event"
        " WHERE number = 8",
    ],
)
def test_the_server_itself_refuses_to_change_what_happened(made, statement):
    with psycopg.connect(made) as connection:
        connection.execute("SET search_path TO keystead")
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "number", "why"),
    [
        ("UPDATE event SET facts = '{}' WHERE number = 5", 5, "was changed"),
        ("DELETE FROM event WHERE number > 7", 8, "is missing, and so are later ones"),
        ("UPDATE identity SET state = 'good'", 8, "state of identity"),
        ("UPDATE unit SET taken = 0 WHERE place = 1", 2, "unit 1 of batch A is marked free"),
    ],
)
def test_verify_says_at_which_event_it_was_tampered_with(server, made, statement, number, why):
    change(server, made, statement)
    with open_ledger(made) as ledger, pytest.raises(Tampered, match=why) as caught:
        ledger.verify()
    assert caught.value.number == number


@pytest.mark.parametrize(
    ("statement", "number"),
    [
        ("UPDATE event SET facts = '{}' WHERE number = 5", 5),
        ("DELETE FROM event WHERE number > 7", 8),
    ],
)
def test_the_chain_alone_shows_which_event_was_changed(server, made, statement, number):
    with open_ledger(made) as ledger:
        ledger.check_chain()
        change(server, made, statement)
        with pytest.raises(Tampered) as caught:
            ledger.check_chain()
    assert caught.value.number == number


def test_a_guard_that_is_off_is_missed(server, made):
    database = name_of(made)
    server.execute("ALTER TABLE keystead.event DISABLE TRIGGER event_next", database=database)
    with open_ledger(made) as ledger, pytest.raises(Tampered, match="trigger event_next"):
        ledger.verify()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE OR REPLACE FUNCTION keystead_append_only() RETURNS trigger LANGUAGE plpgsql"
        " SET search_path FROM CURRENT AS $$ BEGIN RETURN NEW; END $$",
        "CREATE TRIGGER event_next BEFORE INSERT ON identity FOR EACH ROW"
        " EXECUTE FUNCTION keystead_next_event()",
        "CREATE RULE hide AS ON INSERT TO event WHERE NEW.kind = 'failed' DO INSTEAD NOTHING",
    ],
)
def test_what_could_swallow_events_is_found_and_nothing_is_written_past_it(
    server, made, statement
):
    server.execute("SET search_path TO keystead", statement, database=name_of(made))
    with open_ledger(made) as ledger:
        for act in (ledger.verify, lambda: ledger.reserve("A", mac(2), CHIP)):
            with pytest.raises(Tampered, match=r"the trigger .*(taken off or changed|is none of)"):
                act()


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("DROP INDEX identity_by_name", "unique index of identity"),
        ("ALTER TABLE unit DROP CONSTRAINT unit_planned_key", "unique index of unit"),
        ("ALTER TABLE identity ENABLE ROW LEVEL SECURITY", "identity may hide rows"),
    ],
)
def test_what_keeps_names_apart_is_verified_too(server, made, statement, why):
    server.execute("SET search_path TO keystead", statement, database=name_of(made))
    with open_ledger(made) as ledger, pytest.raises(Tampered, match=why):
        ledger.verify()


def test_capitals_are_no_difference_where_i_has_no_dot_either(server):
    server.execute(
        "CREATE DATABASE turkish TEMPLATE template0 ENCODING UTF8 LOCALE_PROVIDER icu"
        " ICU_LOCALE 'tr-TR'"
    )
    with open_ledger(server.url("turkish"), create=True) as ledger:
        ledger.create_batch(batch(template="I-{mac}", wide=True), units(1))
        name = ledger.reserve("A", mac(1), CHIP).registration_id
        assert ledger.identity(name.lower()) == ledger.find(name) == ledger.identity(name)
        make(ledger, ledger.identity(name))
        again = Unit("x", mac=mac(2), registration_id=name.lower())
        with pytest.raises(AlreadyIssued):
            ledger.import_batch(batch("B"), [again], CHIP, "old.csv")
        assert ledger.verify().identities == 1


def test_a_verification_is_not_confused_by_who_works_meanwhile(made):
    with open_ledger(made) as ledger, open_ledger(made, "line-2") as other:
        # told when all events were read, and before the tables are
        verdict = ledger.verify(progress=lambda number: other.reserve("A", mac(2), CHIP))
        assert (verdict.events, verdict.identities) == (8, 1)
        assert ledger.verify().identities == 2


def test_whoever_holds_the_ledger_is_waited_for_and_then_told_of(made):
    from host_tools.ledger.postgresql import _HEAD

    with psycopg.connect(made) as holder:
        holder.execute(f"SELECT pg_advisory_xact_lock({_HEAD})")
        with open_ledger(made, wait=0.05) as ledger:
            assert ledger.count("A").free == 2  # who reads does not wait
            with pytest.raises(Locked, match=r"another station for more than 0\.05 s"):
                ledger.reserve("A", mac(3), CHIP)
            holder.rollback()
            assert ledger.reserve("A", mac(3), CHIP).serial == "sn002"


def test_the_last_serial_in_anothers_hands_is_waited_for_and_got_when_that_one_dies(made):
    with open_ledger(made, wait=0.2) as ledger:
        ledger.reserve("A", mac(2), CHIP)
        with psycopg.connect(made) as holder:
            holder.execute("SELECT * FROM keystead.unit WHERE place = 3 FOR UPDATE")
            with pytest.raises(Locked):
                ledger.reserve("A", mac(3), CHIP)
            holder.rollback()
        assert ledger.reserve("A", mac(3), CHIP).serial == "sn003"


def test_a_connection_that_died_unused_is_replaced_unseen(server, made):
    with open_ledger(made) as ledger:
        head = ledger.head()
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname ="
            f" '{name_of(made)}'"
        )
        assert ledger.reserve("A", mac(2), CHIP).serial == "sn002"
        assert ledger.verify(head).identities == 2


def test_a_server_that_goes_away_is_told_and_what_was_committed_is_there_again(server, made):
    with open_ledger(made) as ledger:
        before = list(ledger.events())
        server.stop()
        try:
            for act in (lambda: ledger.reserve("A", mac(2), CHIP), lambda: open_ledger(made)):
                with pytest.raises(ServerGone, match="can not be reached"):
                    act()
        finally:
            server.start()
        assert list(ledger.events()) == before
        assert ledger.reserve("A", mac(2), CHIP).serial == "sn002"


class Carried(socketserver.BaseRequestHandler):
    """A connection over TCP, carried to the server's socket."""

    def handle(self):
        with socket.socket(socket.AF_UNIX) as there:
            there.connect(self.server.there)
            back = threading.Thread(target=carry, args=(there, self.request))
            back.start()
            carry(self.request, there)
            back.join()


def carry(source, sink):
    while some := source.recv(65536):
        sink.sendall(some)
    sink.shutdown(socket.SHUT_WR)


@contextmanager
def over_tcp(server, place):
    """Lend the place of the same ledger as stations on other machines have it."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Carried) as carrier:
        carrier.there = str(server.folder / ".s.PGSQL.5432")
        threading.Thread(target=carrier.serve_forever).start()
        try:
            yield f"postgresql://keystead@127.0.0.1:{carrier.server_address[1]}/{name_of(place)}"
        finally:
            carrier.shutdown()


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux has it")
def test_a_cable_that_was_pulled_is_noticed_within_half_a_minute(server, made):
    with over_tcp(server, made) as place, open_ledger(place) as ledger:
        assert ledger.reserve("A", mac(2), CHIP).serial == "sn002"
        engine = Postgresql(place, 30).engine()
        with engine.connect() as connection:
            number = connection.connection.driver_connection.fileno()
            with socket.socket(fileno=os.dup(number)) as line:
                tcp = [
                    line.getsockopt(socket.IPPROTO_TCP, option)
                    for option in (
                        socket.TCP_USER_TIMEOUT,
                        socket.TCP_KEEPIDLE,
                        socket.TCP_KEEPINTVL,
                        socket.TCP_KEEPCNT,
                    )
                ]
                assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        engine.dispose()
    assert tcp[0] == 30_000
    assert tcp[1] + tcp[2] * tcp[3] == 30


def processes(server):
    """Return the pids of the server's processes, its own first."""
    pids = server.execute("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    return [server._process.pid, *(pid for (pid,) in pids)]


def send(pids, number):
    """Send a signal to those that still run: a worker may have ended."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@contextmanager
def hanging(server):
    """Let a server do nothing once the function that is lent is called; its kernel goes on."""
    stopped = []

    def hang():
        if not stopped:
            stopped.extend(processes(server))
            send(stopped, signal.SIGSTOP)

    try:
        yield hang
    finally:
        send(stopped, signal.SIGCONT)


HASTY = "&tcp_user_timeout=1000&connect_timeout=2"


def test_a_server_that_hangs_amid_an_answer_is_given_up(server, made):
    with open_ledger(made + HASTY, wait=0.5) as ledger:
        ledger.import_batch(
            batch("B"), [Unit(f"b{n}", mac=mac(n)) for n in range(9, 999)], CHIP, ""
        )
        with (
            hanging(server) as hang,
            pytest.raises(
                ServerGone,
                match=r"the ledger's server does not answer: nothing came from it for 1\.5 s; what"
                r" was committed is there, so run the same command again",
            ),
        ):
            ledger.check_chain(lambda number: hang())
        ledger.check_chain()


def test_no_board_is_good_whose_proof_a_server_that_hangs_did_not_take_down(server, made):
    stop = []

    def clock():  # asked within the transaction, before its first statement
        if stop:
            stop.pop()()
        return 1_792_000_000

    with open_ledger(made + HASTY, clock=clock, wait=0.5) as ledger:
        (board,) = ledger.identities()
        with hanging(server) as hang:
            stop.append(hang)
            with pytest.raises(ServerGone, match="does not answer: nothing came"):
                ledger.append(board.registration_id, "good", attempt=1)
            with pytest.raises(ServerGone, match=r"can not be reached .connection timeout"):
                open_ledger(made + HASTY, wait=0.5)
        assert ledger.identity(board.registration_id).state == "proven"
        ledger.append(board.registration_id, "good", attempt=1)
        ledger.verify()


FROZEN = """
import os, signal, sys
from host_tools.ledger import ServerGone, open_ledger
with open_ledger(sys.argv[1], "frozen", wait=0.5) as ledger:
    def work(connection):
        writer = ledger._writer(connection)
        writer.event("noted", None, {})
        os.kill(os.getpid(), signal.SIGSTOP)
        writer.event("noted", None, {})
    try:
        ledger._database.write(work)
    except ServerGone as gone:
        print(gone)
"""


def test_a_station_that_is_stopped_within_a_transaction_keeps_nobody_waiting(made):
    words = [sys.executable, "-c", FROZEN, made]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as station:
        try:
            assert os.WIFSTOPPED(os.waitpid(station.pid, os.WUNTRACED)[1])
            with open_ledger(made) as ledger:
                assert ledger.reserve("A", mac(2), CHIP).serial == "sn002"
                assert ledger.verify().events == 9
        finally:
            station.send_signal(signal.SIGCONT)
        said = station.communicate(timeout=30)[0]
    assert "run the same command again" in said or "server closed the connection" in said


def test_stations_wait_for_locks_longer_than_a_frozen_one_may_hold_them(made):
    engine = Postgresql(made, 30).engine()
    with engine.connect() as connection:
        found = [
            connection.exec_driver_sql(f"SHOW {name}").scalar_one()
            for name in ("lock_timeout", "idle_in_transaction_session_timeout")
        ]
    engine.dispose()
    assert found == ["30s", "20s"]


def test_the_units_of_a_batch_are_one_statement_amid_which_no_server_waits_for_a_station(made):
    asked = []
    with open_ledger(made) as ledger:
        listened = (
            ledger._database._engine,
            "before_cursor_execute",
            lambda *told: asked.append((told[2], told[5])),
        )
        event.listen(*listened)
        ledger.create_batch(batch("B"), units(100, "b"))
        ledger.verify()
    assert [many for text, many in asked if "INSERT INTO unit" in text] == [False]


def test_nobody_listens(place):
    with pytest.raises(ServerGone, match=r"postgresql://me@127\.0\.0\.1:1/db can not be reached"):
        open_ledger("postgresql://me:s3cret@127.0.0.1:1/db")


def test_a_database_that_is_not_there_or_holds_something_else_is_told(server, place):
    with pytest.raises(NoLedger, match='database "nowhere" does not exist'):
        open_ledger(server.url("nowhere"))
    server.execute("CREATE SCHEMA keystead CREATE TABLE theirs (x int)", database=name_of(place))
    with pytest.raises(NotALedger, match="other tables"):
        open_ledger(place, create=True)
    options = ("autocommit=1", "bogus=1", "plugin=x", "port=x", "host=a,b&port=1,2,3")
    for bad in (
        "postgresql+asyncpg://h/d",
        "postgresql://h:port/d",
        *(f"postgresql://h/d?{one}" for one in options),
    ):
        with pytest.raises(CommandError):
            open_ledger(bad)


def test_a_time_that_is_none_is_told(made):
    with pytest.raises(LedgerError, match=r"can not be opened .bad value for connect_timeout"):
        open_ledger(f"{made}&connect_timeout=soon")


@pytest.mark.parametrize("option", ["", "&client_encoding=SQL_ASCII", "&client_encoding=LATIN1"])
def test_every_character_comes_back_where_the_database_has_no_encoding(server, option):
    name = f"bytes_{len(option)}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING SQL_ASCII LOCALE 'C'")
    with open_ledger(server.url(name) + option, "L\u00ednea \u03a9", create=True) as ledger:
        ledger.create_batch(batch(template="x-{mac}", note="\u5de5\u5382"), [Unit("\u03a9-1")])
        assert ledger.batch("A").note == "\u5de5\u5382"
        assert ledger.reserve("A", mac(1), CHIP).serial == "\u03a9-1"
        assert ledger.find("\u03a9-1").mac == mac(1)
        assert {event.station for event in ledger.events()} == {"L\u00ednea \u03a9"}
        ledger.verify()


def test_a_character_that_the_database_can_not_hold_is_told_and_nothing_is_kept(server):
    server.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING LATIN1 LOCALE 'C'")
    with open_ledger(server.url("latin"), create=True) as ledger:
        with pytest.raises(LedgerError, match=r"can not hold that .*ENCODING 'UTF8'"):
            ledger.create_batch(batch(note="\u03a9"), units(1))
        ledger.create_batch(batch(note="\u00e9"), units(1))
        assert ledger.verify().batches == 1


def test_the_password_comes_from_the_environment_and_is_never_told(
    server, made, monkeypatch, tmp_path
):
    place = server.url(name_of(made), "locked")
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    with pytest.raises(LedgerError, match=r"wants one: put it into ~/\.pgpass or"):
        open_ledger(place)
    monkeypatch.setenv("PGPASSWORD", PASSWORD + "!")
    with pytest.raises(LedgerError, match="refuses the password") as caught:
        open_ledger(place)
    assert PASSWORD not in str(caught.value)
    monkeypatch.delenv("PGPASSWORD")
    file = tmp_path / "pgpass"
    file.write_text(f"*:*:*:locked:{PASSWORD}\n")
    file.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(file))
    with pytest.raises(NotALedger, match="that this user may see"):
        open_ledger(place)
    # what docs/ledger.md has a station granted
    server.execute(
        "GRANT USAGE ON SCHEMA keystead TO locked",
        "GRANT SELECT ON ALL TABLES IN SCHEMA keystead TO locked",
        "GRANT INSERT ON keystead.event, keystead.identity TO locked",
        "GRANT UPDATE ON keystead.unit, keystead.identity TO locked",
        database=name_of(made),
    )
    with open_ledger(place) as ledger:
        assert ledger.place == f"postgresql://locked@/{name_of(made)}"
        ledger.check_chain()
        ledger.refuse("A", mac(2), CHIP, reason="no-answer")
        make(ledger, ledger.reserve("A", mac(2), CHIP))
        ledger.refuse("A", mac(2), CHIP, reason="other-key")
        with pytest.raises(ReadOnly, match="permission denied for table unit"):
            ledger.create_batch(batch("B"), units(1, "b"))
        ledger.verify()
