"""The ledger in a file: what it does, what it refuses, and what an intruder can not hide."""

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import update

from host_tools.errors import CommandError
from host_tools.ledger import (
    DiskFull,
    FileMoved,
    LedgerError,
    Locked,
    NewerLedger,
    NoLedger,
    NotALedger,
    ReadOnly,
    Tampered,
    chain,
    open_ledger,
    tables,
)
from tests.factory.ledger_conduct import CHIP, Conduct, batch, mac, make, units
from tests.factory.ledger_stations import race

NOBODY = 65534


@pytest.fixture
def place(tmp_path):
    return str(tmp_path / "ledger.sqlite3")


class TestInAFile(Conduct):
    """What every ledger does."""


@pytest.fixture
def made(place):
    """A ledger of eight events: created, batch, reserved, flashing, flashed, verified..."""
    with open_ledger(place, "line-1", create=True) as ledger:
        ledger.create_batch(batch(), units(3))
        make(ledger, ledger.reserve("A", mac(1), CHIP), "proven")
        ledger.reserve("A", mac(2), CHIP)
    return place


def change(place, *statements):
    """Change the file as an intruder would, who takes the guards off and puts them on again."""
    with closing(sqlite3.connect(place)) as connection:
        guards = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        guards = guards.fetchall()
        for name, _ in guards:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            assert connection.execute(statement).rowcount, statement
        for _, sql in guards:
            connection.execute(sql)
        connection.commit()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET kind = 'good' WHERE number = 3",
        "DELETE FROM event WHERE number = 9",
        "DELETE FROM about",
        "INSERT INTO event SELECT 99, at, station, kind, NULL, '{}', previous, 'x' FROM event"
        " WHERE number = 3",
        "INSERT INTO event SELECT 10, at, station, kind, NULL, '{}', previous, 'x' FROM event"
        " WHERE number = 3",
        "INSERT OR REPLACE INTO event SELECT 3, at, station, 'good', registration_id, facts,"
        " previous, hash FROM event WHERE number = 3",
    ],
)
def test_the_file_itself_refuses_to_change_what_happened(made, statement):
    with (
        closing(sqlite3.connect(made)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "number", "why"),
    [
        ("UPDATE event SET facts = '{}' WHERE number = 5", 5, "was changed"),
        ("UPDATE event SET kind = 'good' WHERE number = 8", 8, "was changed"),
        ("UPDATE event SET at = '2020' || substr(at, 5) WHERE number = 2", 2, "was changed"),
        ("UPDATE event SET facts = '{' WHERE number = 4", 4, "not JSON"),
        ("UPDATE event SET facts = replace(facts, ':1', ': 1') WHERE number = 5", 5, "changed"),
        ("UPDATE event SET hash = 'x' || substr(hash, 2) WHERE number = 6", 6, "was changed"),
        ("UPDATE event SET station = 'x' WHERE number = 1", 1, "was changed"),
        ("DELETE FROM event WHERE number = 4", 4, "is missing"),
        ("DELETE FROM event WHERE number = 9", 9, "is missing, and so are later ones"),
        ("DELETE FROM event WHERE number > 7", 8, "is missing, and so are later ones"),
        ("UPDATE identity SET state = 'good' WHERE state = 'proven'", 8, "state of identity"),
        ("UPDATE identity SET mac = '020000000009' WHERE state = 'reserved'", 9, "mac of"),
        ("UPDATE identity SET fingerprint = 'x' WHERE state = 'proven'", 8, "fingerprint of"),
        ("DELETE FROM identity WHERE state = 'reserved'", 9, "is missing in its table"),
        ("UPDATE batch SET id_scope = '0neEvil'", 2, "id_scope of batch A"),
        ("DELETE FROM batch", 2, "batch A is missing"),
        ("UPDATE unit SET serial = 'zz' WHERE place = 3", 2, "not the one that was planned"),
        ("DELETE FROM unit WHERE place = 3", 2, "not the one that was planned"),
        ("UPDATE unit SET taken = 0 WHERE place = 2", 2, "unit 2 of batch A is marked free"),
        ("UPDATE unit SET taken = 1 WHERE place = 3", 2, "unit 3 of batch A is marked given"),
        ("INSERT INTO batch SELECT 'B', board, id_scope, template, endpoint, wide, note, units,"
         " event FROM batch", 9, "none says batch B"),
    ],
)  # fmt: skip
def test_verify_says_at_which_event_the_ledger_was_tampered_with(made, statement, number, why):
    change(made, statement)
    with open_ledger(made) as ledger, pytest.raises(Tampered, match=why) as caught:
        ledger.verify()
    assert caught.value.number == number
    assert f"event {number}: " in str(caught.value)


@pytest.mark.parametrize(
    ("statement", "number", "why"),
    [
        ("UPDATE event SET facts = '{}' WHERE number = 5", 5, "flashed was changed"),
        ("UPDATE event SET facts = '{' WHERE number = 4", 4, "flashing was changed"),
        ("UPDATE event SET station = 'x' WHERE number = 1", 1, "created was changed"),
        ("DELETE FROM event WHERE number = 4", 4, "is missing; the next is 5"),
        ("UPDATE event SET previous = hash WHERE number = 6", 6, "does not follow"),
        ("DELETE FROM event WHERE number > 7", 8, "is missing, and all up to 9"),
    ],
)
def test_the_chain_alone_shows_which_event_was_changed(made, statement, number, why):
    seen = []
    with open_ledger(made) as ledger:
        ledger.check_chain(seen.append)
        change(made, statement)
        with pytest.raises(Tampered, match=why) as caught:
            ledger.check_chain()
    assert (caught.value.number, seen) == (number, [9])


def test_a_guard_that_is_off_is_missed_by_the_chain_alone_as_well(made):
    with closing(sqlite3.connect(made)) as connection:
        connection.execute("DROP TRIGGER event_no_update")
    with open_ledger(made) as ledger, pytest.raises(Tampered, match="trigger event_no_update"):
        ledger.check_chain()


def test_a_chain_made_anew_is_shown_by_a_head_kept_elsewhere(made, tmp_path):
    with open_ledger(made) as ledger:
        head = ledger.head()
    change(
        made,
        "DELETE FROM event WHERE number = 9",
        "DELETE FROM identity WHERE state = 'reserved'",
        "UPDATE unit SET taken = 0 WHERE place = 2",
    )
    with open_ledger(made) as ledger:
        assert ledger.verify().events == 8  # in order by itself
        with pytest.raises(Tampered, match="event 9: is missing") as caught:
            ledger.verify(head)
        assert caught.value.number == 9
        ledger.reserve("A", mac(3), CHIP)
        with pytest.raises(Tampered, match="event 9: its hash is not the one kept elsewhere"):
            ledger.verify(head)


@pytest.mark.parametrize(
    ("kind", "named", "facts"),
    [
        ("good", True, {"attempt": 1}),
        ("refused", False, {"batch": "B", "mac": None}),
        ("refused", False, {"batch": "A", "mac": "nobody"}),
        ("refused", False, {"mac": None}),
        ("scrapped", False, {"batch": "A", "mac": None}),
    ],
)
def test_an_event_with_a_good_hash_that_breaks_the_rules_is_found(made, kind, named, facts):
    with open_ledger(made) as ledger:
        *_, last = ledger.events()
        name = ledger.by_mac(mac(2)).registration_id if named else None
    forged = chain.follow((9, last.hash), last.at, "line-1", kind, name, facts)
    text = chain.canonical(facts)
    values = (10, forged.at, "line-1", kind, name, text, last.hash, forged.hash)
    with closing(sqlite3.connect(made)) as connection:
        connection.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        connection.commit()
    with open_ledger(made) as ledger, pytest.raises(Tampered, match="not written by keystead"):
        ledger.verify()


def test_a_guard_that_was_taken_off_is_missed(made):
    with closing(sqlite3.connect(made)) as connection:
        connection.execute("DROP TRIGGER event_no_update")
    with open_ledger(made) as ledger, pytest.raises(Tampered, match="trigger event_no_update"):
        ledger.verify()


@pytest.mark.parametrize(
    "body",
    [
        "BEFORE INSERT ON event WHEN NEW.kind = 'scrapped' BEGIN SELECT RAISE(IGNORE); END",
        "BEFORE UPDATE ON identity BEGIN SELECT RAISE(IGNORE); END",
    ],
)
def test_a_trigger_of_somebody_else_is_found_and_nothing_is_written_past_it(made, body):
    with open_ledger(made) as ledger:
        name, head = ledger.by_mac(mac(2)).registration_id, ledger.head()
        with closing(sqlite3.connect(made)) as connection:
            connection.execute(f"CREATE TRIGGER hide {body}")
        for act in (ledger.verify, lambda: ledger.append(name, "scrapped", reason="burns")):
            with pytest.raises(Tampered, match="trigger 'hide' is none of keystead's"):
                act()
        assert ledger.head() == head


def test_what_the_database_does_not_keep_is_no_success(made):
    with open_ledger(made) as ledger, pytest.raises(Tampered, match="did not keep"):
        writer = ledger._database.write
        nobody = update(tables.identity).where(tables.identity.c.serial == "nobody")
        writer(lambda one: ledger._writer(one).one(nobody.values(reason="x"), None, 9))


def test_a_guard_with_another_body_is_found(made):
    hollow = "CREATE TRIGGER event_no_update BEFORE UPDATE ON event BEGIN SELECT 1; END"
    with closing(sqlite3.connect(made)) as connection:
        connection.executescript(f"DROP TRIGGER event_no_update; {hollow}")
    with open_ledger(made) as ledger, pytest.raises(Tampered, match="off or changed"):
        ledger.verify()


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("DROP INDEX identity_by_name", "identity_by_name is not as it was made"),
        ("UPDATE unit SET planned = 'press-1' WHERE place = 3", "unit 3 of batch A is to be None"),
        ("INSERT INTO unit SELECT 'B', place, serial, mac, NULL, NULL, extra, line, taken FROM"
         " unit WHERE place = 3", "none says batch B, of units"),
    ],
)  # fmt: skip
def test_what_keeps_names_apart_is_verified_too(made, statement, why):
    with closing(sqlite3.connect(made)) as connection:
        connection.execute(statement)
        connection.commit()
    with open_ledger(made) as ledger, pytest.raises(Tampered, match=why):
        ledger.verify()


def test_a_table_that_was_made_anew_without_its_keys_is_found(made):
    with closing(sqlite3.connect(made)) as connection:
        connection.executescript(
            "CREATE TABLE copy AS SELECT * FROM unit; DROP TABLE unit;"
            " ALTER TABLE copy RENAME TO unit"
        )
    with open_ledger(made) as ledger, pytest.raises(Tampered, match="unit is not as it was made"):
        ledger.verify()


# ---- what is not a ledger, or can not be written


def test_what_is_no_ledger_is_told_and_left_as_it_was(tmp_path):
    text, other, empty = (tmp_path / name for name in ("text", "other.db", "empty"))
    text.write_text("serial,mac\n" * 500)
    empty.touch()
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
        connection.commit()
    before = {path: path.read_bytes() for path in (text, other, empty)}
    for path, kind in ((text, NotALedger), (other, NotALedger), (empty, NoLedger)):
        with pytest.raises(kind, match=str(path)):
            open_ledger(str(path))
    for path in (text, other):
        with pytest.raises(NotALedger):
            open_ledger(str(path), create=True)
    with pytest.raises(NotALedger, match="is a folder"):
        open_ledger(str(tmp_path))
    for create in (False, True):
        with pytest.raises(NoLedger, match=r"no ledger at|no folder"):
            open_ledger(str(tmp_path / "none" / "ledger"), create=create)
    for bad in ("", "mysql://host/db", "postgresql://[::1/db"):
        with pytest.raises(CommandError):
            open_ledger(bad)
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(tmp_path.iterdir()) == sorted(before)


def test_a_ledger_of_a_newer_version_is_left_alone(made):
    change(made, "UPDATE about SET value = '2' WHERE name = 'version'")
    with pytest.raises(NewerLedger, match="schema 2, this one knows 1"):
        open_ledger(made)


def test_whoever_holds_the_ledger_is_waited_for_and_then_told_of(made):
    with closing(sqlite3.connect(made, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with open_ledger(made, wait=0.05) as ledger:
            assert ledger.count("A").free == 1  # who reads does not wait
            with pytest.raises(Locked, match=r"locked by another program for more than 0\.05 s"):
                ledger.reserve("A", mac(3), CHIP)
            holder.execute("COMMIT")
            assert ledger.reserve("A", mac(3), CHIP).serial == "sn003"


def test_a_ledger_that_is_locked_whole_is_no_read_only_medium(made):
    with closing(sqlite3.connect(made, isolation_level=None)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("PRAGMA journal_mode = DELETE")
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Locked):
            open_ledger(made, wait=0.05)
        holder.execute("COMMIT")


def test_a_full_disk_is_told_and_loses_nothing(made):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_ledger(made) as ledger:
        head = ledger.head()
        largest = max(Path(made).stat().st_size, 40_000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, before[1]))
        try:
            with pytest.raises(DiskFull, match="is the disk full"):
                ledger.create_batch(batch("B"), units(3000, "b"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert ledger.verify(head).batches == 1
        ledger.create_batch(batch("B"), units(3000, "b"))
        assert ledger.verify().batches == 2


def test_a_disk_without_room_to_read_is_told_as_that(made):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(
            DiskFull, match=r"can not be opened .* is the disk full\? SQLite wants"
        ):
            open_ledger(made)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with open_ledger(made) as ledger:
        ledger.verify()


def test_nothing_is_written_to_a_file_that_was_moved_or_removed(made, tmp_path):
    away = tmp_path / "away.sqlite3"
    with open_ledger(made, create=True) as ledger:
        head = ledger.head()
        os.rename(made, away)
        for another in (False, True):
            if another:
                shutil.copy(away, made)
            with pytest.raises(FileMoved, match="was moved or removed while in use: nothing more"):
                ledger.reserve("A", mac(3), CHIP)
            assert Path(made).exists() == another
        os.replace(away, made)
        assert ledger.head() == head
        ledger.reserve("A", mac(3), CHIP)
        assert ledger.verify(head).identities == 3
        os.unlink(made)
        with pytest.raises(FileMoved):
            ledger.reserve("A", mac(3), CHIP)


@contextmanager
def somebody_else():
    """Act without the rights of root, if this is root."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("folder_mode", [0o555, 0o755])
def test_a_read_only_ledger_can_be_read_and_says_why_it_is_not_written(made, folder_mode):
    folder = Path(tempfile.mkdtemp(prefix="keystead-"))
    copy = folder / "ledger.sqlite3"
    shutil.copyfile(made, copy)
    copy.chmod(0o444)
    folder.chmod(folder_mode)
    try:
        with somebody_else(), open_ledger(str(copy)) as ledger:
            assert ledger.verify().identities == 2
            with pytest.raises(ReadOnly, match="is read-only here"):
                ledger.reserve("A", mac(3), CHIP)
        if folder_mode == 0o555:
            with somebody_else(), pytest.raises(LedgerError, match="can not be opened"):
                open_ledger(str(folder / "new"), create=True)
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_a_damaged_file_is_no_traceback(made):
    with open(made, "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 60_000)
    with pytest.raises(LedgerError, match=r"damaged|not a ledger"), open_ledger(made) as ledger:
        ledger.verify()


# ---- many at once, and sudden ends


def test_four_stations_that_race_for_serials_get_each_once_and_lose_none(place):
    race(place)


def test_what_was_acknowledged_outlives_a_kill_at_any_moment(place):
    with open_ledger(place, create=True) as ledger:
        # more than both stations can use up: whoever strikes them may be late
        ledger.create_batch(batch(), units(1100))
    acknowledged: set[str] = set()
    for number, lines in enumerate((9, 30)):
        words = [sys.executable, "-m", "tests.factory.ledger_stations", place, str(number), "500"]
        with subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as station:
            assert station.stdout.readline() == "ready\n"
            station.stdin.write("go\n")
            station.stdin.flush()
            acknowledged |= {station.stdout.readline().split()[1] for _ in range(lines)}
            station.send_signal(signal.SIGKILL)
            acknowledged |= {line.split()[1] for line in station.stdout if line.endswith("\n")}
    with open_ledger(place) as ledger:
        assert {one.registration_id for one in ledger.identities()} >= acknowledged
        assert ledger.verify().identities - len(acknowledged) <= 2  # one under way at each kill
        assert ledger.reserve("A", mac(9999), CHIP).state == "reserved"
