"""`keystead ledger` as people and scripts use it: output, one-line errors, exit codes."""

import csv
import io
import json
import os
import pty
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools import cli
from host_tools.batch import Unit
from host_tools.errors import CommandError
from host_tools.ledger import importing, open_ledger
from host_tools.ledger.cells import cell
from host_tools.ledger.printing import BOARD, REFUSAL
from keystead.registration_id import TEMPLATE
from tests.factory.ledger_conduct import (
    CHIP,
    FINGERPRINT,
    batch,
    hashes_again,
    mac,
    make,
    units,
)
from tests.factory.test_ledger import change

GOOD, FAILED, NEW = (f"sn-sn00{n}-mac-02-00-00-00-00-0{n}" for n in (1, 2, 3))


@pytest.fixture
def place(tmp_path):
    """A ledger with a good, a failed and a reserved board, and a free unit."""
    found = str(tmp_path / "ledger.sqlite3")
    clock = iter(range(1_792_000_000, 1_793_000_000, 30))
    with open_ledger(found, "line-1", create=True, clock=lambda: next(clock)) as ledger:
        first = Unit("sn001", extra={"order": "=4711", "state": "x"}, line=2)
        ledger.create_batch(batch(note="first order"), [first, *units(4)[1:]])
        good, failed, _ = (ledger.reserve("A", mac(n), CHIP) for n in (1, 2, 3))
        make(ledger, good, port="/dev/ttyUSB0")
        attempt = make(ledger, failed, "booted")
        ledger.append(failed.registration_id, "failed", attempt=attempt, reason="no-proof")
    return found


@pytest.fixture
def keystead(place, capsys, monkeypatch):
    """Return run(*words): exit code, stdout, stderr of `keystead ledger` with that ledger."""

    def run(*words, ledger=place):
        monkeypatch.setenv("KEYSTEAD_LEDGER", ledger)
        code = cli.main(["ledger", *map(str, words)])
        return code, *capsys.readouterr()

    return run


def refused(result):
    """Return the one line of an error: exit code 1, nothing on stdout, no traceback."""
    code, out, error = result
    assert (code, out, error.count("\n")) == (1, "", 1)
    return error


def test_boards_are_listed_one_a_line(keystead):
    code, out, _ = keystead("list")
    assert code == 0
    assert [line.split("\t") for line in out.splitlines()] == [
        [GOOD, "A", "sn001", "02:00:00:00:00:01", "good"],
        [FAILED, "A", "sn002", "02:00:00:00:00:02", "failed", "no-proof"],
        [NEW, "A", "sn003", "02:00:00:00:00:03", "reserved"],
    ]
    _, out, _ = keystead("list", "--batch", "A", "--state", "good", "--json")
    assert json.loads(out)["fingerprint"] == FINGERPRINT
    assert "no batch 'B': it has A" in refused(keystead("list", "--batch", "B"))


def test_boards_that_were_refused_are_listed_and_told_of(keystead, place):
    with open_ledger(place, "line-2", clock=lambda: 1_792_500_000) as ledger:
        told = {"step": "connect", "detail": "an esp32 is on this port"}
        ledger.refuse("A", mac(9), "esp32", port="COM3", reason="wrong-chip", **told)
        ledger.refuse("A", b"", CHIP, port="COM3", reason="secured")
    code, out, _ = keystead("refused", "--batch", "A")
    assert (code, [line.split("\t") for line in out.splitlines()]) == (0, [
        ["2026-10-20 12:40:00", "A", "02:00:00:00:00:09", "esp32", "wrong-chip", "line-2", "COM3",
         "an esp32 is on this port"],
        ["2026-10-20 12:40:00", "A", "no MAC", CHIP, "secured", "line-2", "COM3"],
    ])  # fmt: skip
    documents = [json.loads(line) for line in keystead("refused", "--json")[1].splitlines()]
    assert [one["facts"]["mac"] for one in documents] == ["02:00:00:00:00:09", None]
    exported = [
        json.loads(line) for line in keystead("export", "--format", "events")[1].split("\n")[:-1]
    ]
    assert exported[-2:] == documents
    assert hashes_again(exported)
    said = refused(keystead("show", "02-00-00-00-00-09"))
    assert "has no identity: it was refused 1 time, last at 2026-10-20T12:40:00.000Z" in said
    assert "for wrong-chip; `keystead ledger refused`" in said
    assert "no batch 'B': it has A" in refused(keystead("refused", "--batch", "B"))
    assert keystead("verify")[0] == 0


def test_a_board_that_is_only_planned_is_said_to_be(keystead, place):
    with open_ledger(place) as ledger:
        named = Unit("7", mac(7))
        ledger.create_batch(batch("B"), [Unit("sn004"), named], serials_again=True)
        ledger.create_batch(batch("C"), [Unit("sn001")], serials_again=True)
    said = refused(keystead("show", "sn004"))
    assert "'sn004' is planned in batches A and B and has no board yet: flash one first" in said
    for text in ("02:00:00:00:00:07", "SN-7-mac-02-00-00-00-00-07"):
        assert f"'{text}' is planned in batch B and has no board" in refused(
            keystead("show", text)
        )
    assert keystead("show", "sn001")[1].startswith(GOOD)  # planned in C as well
    assert "knows no board 'sn005'" in refused(keystead("show", "sn005"))


def test_what_a_board_was_refused_for_before_it_was_made_is_in_its_history(keystead, place):
    with open_ledger(place) as ledger:
        ledger.refuse("A", mac(4), CHIP, reason="flash-too-small")
        name = ledger.reserve("A", mac(4), CHIP).registration_id
    document = json.loads(keystead("show", name, "--json")[1])
    assert [event["kind"] for event in document["events"]] == ["refused", "reserved"]
    assert "reason=flash-too-small" in keystead("show", name)[1]


@pytest.mark.parametrize("name", [FAILED, "02:00:00:00:00:02", "sn002"])
def test_a_board_is_shown_with_its_time_line(keystead, name):
    code, out, _ = keystead("show", name)
    assert code == 0
    assert out.splitlines()[0] == f"{FAILED}  failed (no-proof)"
    assert "fingerprint abababababababab\n" in out
    assert (
        "2026-10-14 17:54:10  +30.000 s  line-1       failed       attempt=1  reason=no-proof"
        in out
    )
    document = json.loads(keystead("show", name, "--json")[1])
    assert [event["kind"] for event in document["events"]] == [
        "reserved", "flashing", "flashed", "verified", "booted", "failed",
    ]  # fmt: skip


def test_an_export_has_what_an_erp_wants_and_leaves_as_csv_and_json(keystead, tmp_path):
    _, out, _ = keystead("export")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert rows[0] == {
        "registration_id": GOOD,
        "serial": "sn001",
        "mac": "02:00:00:00:00:01",
        "batch": "A",
        "board": "ESP32_GENERIC_C3",
        "chip": CHIP,
        "id_scope": "0ne00002193",
        "state": "good",
        "reason": "",
        "attempts": "1",
        "fingerprint": FINGERPRINT,
        "reserved": "2026-10-14T17:47:40.000Z",
        "updated": "2026-10-14T17:51:40.000Z",
        "order": "'=4711",  # a spreadsheet would take it for a formula
    }
    assert len(rows) == 3
    documents = json.loads(keystead("export", "--format", "json", "--state", "good")[1])
    assert [one["registrationId"] for one in documents] == [GOOD]
    assert documents[0]["extra"] == {"order": "=4711", "state": "x"}
    assert json.loads(keystead("export", "--format", "json", "--state", "scrapped")[1]) == []
    file = tmp_path / "boards.csv"
    assert keystead("export", "--output", file) == (0, f"{file}: 3 boards\n", "")
    assert file.read_text() == out
    assert "can not write" in refused(keystead("export", "--output", tmp_path / "no" / "x"))


def test_exported_events_prove_the_chain_without_this_program(keystead):
    _, out, _ = keystead("export", "--format", "events")
    events = [json.loads(line) for line in out.splitlines()]
    assert hashes_again(events)
    assert keystead("head")[1] == f"{len(events)}:{events[-1]['hash']}\n"
    events[3]["facts"]["attempt"] = 2
    assert not hashes_again(events)
    assert "is the whole ledger" in refused(keystead("export", "--format", "events", "--batch=A"))


@pytest.mark.parametrize("form", ["csv", "json"])
def test_what_was_exported_here_is_imported_there_and_never_issued_again(keystead, tmp_path, form):
    file, there = tmp_path / f"boards.{form}", str(tmp_path / "there.sqlite3")
    keystead("export", "--format", form, "--output", file)
    words = ("import", file, "--batch", "old", "--board", "ESP32_GENERIC_C3")
    words += ("--id-scope", "0ne00002193")
    code, out, _ = keystead(*words, ledger=there)
    assert (code, out.partition(";")[0]) == (0, "batch old: 3 boards imported")
    with open_ledger(there) as ledger:
        one = ledger.identity(GOOD)
        assert (one.state, one.fingerprint, one.mac) == ("imported", FINGERPRINT, mac(1))
        assert ledger.verify().identities == 3
    assert "batch old already" in refused(keystead(*words, ledger=there))


def test_half_a_character_is_refused_and_a_whole_one_comes_out_as_it_came(keystead, tmp_path):
    file, there = tmp_path / "boards.json", str(tmp_path / "there.sqlite3")
    words = ("import", file, "--batch", "old", "--board", "ESP32_GENERIC_C3")
    words += ("--id-scope", "0ne00002193")
    row = '[{"serial": "a", "mac": "02:00:00:00:00:01", "note": "%s"}]'
    for half in (r"\ud800", r"x\ude00\ud83d"):
        file.write_text(row % half)
        said = refused(keystead(*words, ledger=there))
        assert "line 2, serial a: facts hold half a character (\\u" in said
    file.write_text(row % r"\ud83d\ude00")
    assert keystead(*words, ledger=there)[0] == 0
    for form in ("csv", "json", "events"):
        assert keystead("export", "--format", form, ledger=there)[0] == 0
    assert ",\U0001f600\n" in keystead("export", ledger=there)[1]


def test_an_import_names_its_file_and_refuses_a_place_that_can_be_no_dps(keystead, tmp_path):
    file, there = tmp_path / "boards.json", tmp_path / "there.sqlite3"
    file.write_text('[{"serial": "a", "mac": "zz"}]')
    words = ("import", file, "--batch", "old", "--board", "ESP32_GENERIC_C3", "--id-scope")
    said = refused(keystead(*words, "0ne00002193", ledger=str(there)))
    assert said.startswith(f"keystead ledger: {file}: line 2: ")
    for more in (("0ne-1",), ("0ne00002193", "--endpoint", "http://x/")):
        said = refused(keystead(*words, *more, ledger=str(there)))
        assert f"{more[-1]!r}: " in said
    assert not there.exists()


def test_the_longest_kind_of_event_stands_apart_from_its_facts(keystead, place):
    with open_ledger(place) as ledger:
        ledger.begin_attempt(NEW, "retrofitting")
    assert "  retrofitting attempt=1\n" in keystead("show", NEW)[1]


def test_a_list_that_is_no_list_of_boards_is_refused_whole(keystead, tmp_path):
    file, there = tmp_path / "bad", tmp_path / "there.sqlite3"
    words = ("import", file, "--batch", "old", "--board", "ESP32_GENERIC_C3", "--id-scope")
    for text, why in (
        ("[1]", "item 1 is no object"),
        ("[{", "is not JSON"),
        ("[]", "no boards"),
        ("serial,mac\na,02:00:00:00:00:01\nb,zz\n", "line 3"),
        ("serial\na\n", "line 2, serial a: names no MAC"),
    ):
        file.write_text(text)
        code, out, error = keystead(*words, "0ne", ledger=str(there))
        assert (code, out) == (1, "")
        assert why in error
    assert "letters and digits" in refused(keystead(*words, "0ne-1", ledger=str(there)))
    file.unlink()
    assert "can not read" in refused(keystead(*words, "0ne", ledger=str(there)))
    assert not there.exists()


def test_people_scrap_and_restore_a_board_with_a_reason(keystead):
    assert keystead("scrap", "sn001", "--reason", "cracked") == (0, f"{GOOD}: scrapped\n", "")
    assert "was scrapped (cracked)" in refused(keystead("scrap", GOOD, "--reason", "again"))
    assert "scrapped (cracked)" in keystead("show", GOOD)[1]
    assert keystead("restore", GOOD, "--reason", "wrong one")[0] == 0
    assert "was not scrapped" in refused(keystead("restore", GOOD, "--reason", "again"))


def test_verify_exits_with_0_or_with_3_and_says_where(keystead, place):
    head = keystead("head")[1].strip()
    code, out, _ = keystead("verify", "--head", head)
    assert (code, out) == (0, f"in order: 16 events, 1 batch, 3 boards\nhead: {head}\n")
    assert json.loads(keystead("verify", "--json")[1]) == {"ok": True, "events": 16, "head": head}
    change(place, "UPDATE event SET facts = '{}' WHERE number = 7")
    code, out, error = keystead("verify")
    assert (code, out) == (3, "")
    assert error.startswith("keystead ledger: the ledger was tampered with: event 7: ")
    code, out, _ = keystead("verify", "--json")
    assert (code, json.loads(out)["event"]) == (3, 7)
    assert "is no head" in refused(keystead("verify", "--head", "soon"))


def test_what_can_not_be_opened_is_one_line(keystead, tmp_path, monkeypatch):
    assert "there is no ledger at" in refused(keystead("list", ledger=str(tmp_path / "none")))
    assert "no ledger: name one" in refused(keystead("list", ledger=""))
    secret = "postgresql://me:s3cret@127.0.0.1:1/db"
    shown = "every user of this machine can read a command line"
    error = refused(keystead("list", "--ledger", secret))
    for words in ("u:s3/cret@h/d", "u@h/d?password=s3cret", "u@h/d?a=1&sslpassword=s3cret"):
        assert shown in refused(keystead("list", "--ledger", f"postgresql://{words}"))
    assert shown in error
    for told in (error, refused(keystead("list", ledger=secret))):
        assert "s3cret" not in told
    (tmp_path / "text").write_text("x" * 5000)
    assert "is not a ledger" in refused(keystead("list", "--ledger", tmp_path / "text"))


def test_psycopg_that_is_missing_is_named_with_its_extra(monkeypatch, keystead):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    error = refused(keystead("list", ledger="postgresql://me@127.0.0.1:1/db"))
    assert "pip install 'keystead[postgresql]'" in error


def test_help_names_the_columns_of_a_pipe_in_their_order(keystead, place, capsys):
    with open_ledger(place) as ledger:
        ledger.refuse("A", mac(9), "esp32", port="COM3", reason="wrong-chip", detail="an esp32")
    for verb, row in (("refused", REFUSAL), ("list", BOARD)):
        with pytest.raises(SystemExit):
            cli.main(["ledger", verb, "--help"])
        said = " ".join(capsys.readouterr().out.split())
        assert f"Columns, between tabs in a pipe: {'; '.join(row)}." in said
    line = keystead("refused")[1].splitlines()[0].split("\t")
    shown = dict(zip(REFUSAL, line, strict=True))
    assert (shown["chip"], shown["port"], shown["reason"]) == ("esp32", "COM3", "wrong-chip")


def test_a_terminal_gets_colours_and_columns(place):
    said = on_a_terminal("list", "--ledger", place)
    assert said.startswith(b"registration ID ")
    assert b"\x1b[1;32mgood" in said
    assert b"\t" not in said


def test_what_foreign_text_tells_a_terminal_is_written_out(place, capsys, tmp_path):
    with open_ledger(place) as ledger:
        ledger.create_batch(batch("B"), [Unit("x", mac=mac(9), extra={"\x1b]0;": "\x1b[2J"})])
        name = ledger.reserve("B", mac(9), CHIP).registration_id
        ledger.append(name, "scrapped", reason="\x1b[31m", detail="\x1b[1A\x07")
    for words in (("export", "--batch", "B"), ("show", name), ("list",)):
        said = on_a_terminal(*words, "--ledger", place)
        assert b"\\x1b[31m" in said
        for told in (b"\x1b]0;", b"\x1b[2J", b"\x1b[31m\x1b", b"\x1b[1A", b"\x07"):
            assert told not in said.replace(b"\x1b[31mscrapped\x1b", b"")
    (tmp_path / "list.csv").write_text("\x1b[2J,x\n1,2\n")
    words = ["import", str(tmp_path / "list.csv"), "--batch", "C", "--board", "ESP32_GENERIC_C3"]
    assert cli.main(["ledger", *words, "--id-scope", "0ne", "--ledger", place]) == 1
    assert "\\x1b[2J" in capsys.readouterr().err


def test_free_text_in_a_csv_is_no_formula_and_numbers_stay():
    for text in ("=1+1", "@SUM(A1)", "+cmd", "-2+3+cmd|' /C calc'!A0", "\t=1", "\r=1"):
        assert cell(text) == f"'{text}"
    for text in ("", "red", "-61", "+4.5", "a=b"):
        assert cell(text) == text


def on_a_terminal(*verb):
    """Return what `keystead ledger` writes on a terminal."""
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "host_tools", "ledger", *verb]
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "200"}
    environ.pop("NO_COLOR", None)
    with subprocess.Popen(words, stdout=theirs, env=environ, stdin=subprocess.DEVNULL) as process:
        os.close(theirs)
        said = b""
        try:
            while part := os.read(ours, 4096):
                said += part
        except OSError:  # how a pty ends
            pass
        assert process.wait() == 0
    os.close(ours)
    return said


ROWS = st.dictionaries(
    st.sampled_from(["serial", "mac", "registrationId", "extra", "x"]) | st.text(),
    st.none() | st.integers() | st.text() | st.lists(st.text()) | st.just("02:00:00:00:00:01"),
)


@given(
    st.binary()
    | st.lists(ROWS).map(lambda rows: json.dumps(rows).encode())
    | st.binary().map(lambda tail: b"[" + tail)
)
def test_any_file_is_a_list_of_boards_or_refused(data):
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        try:
            found = importing.units(Path(file.name), TEMPLATE, wide=False)
        except CommandError:
            return
    assert found
    assert all(one.mac for one in found)
