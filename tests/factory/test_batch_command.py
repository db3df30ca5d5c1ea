"""`keystead batch`: a list becomes a batch in the ledger, all of it or nothing."""

import io
import json
import sys

import pytest

from host_tools import cli
from host_tools.keys import encode_key
from host_tools.ledger import open_ledger

MAC = "a0:b1:c2:d3:e4:f5"
WORDS = ("--board", "ESP32_GENERIC_C3", "--id-scope", "0ne00002193")


@pytest.fixture
def batch(tmp_path, monkeypatch, capsys):
    """Return run(*words, stdin=b""): exit code, stdout, stderr; its ledger is batch.ledger."""
    place = tmp_path / "factory.db"

    def run(*words, stdin=b""):
        monkeypatch.setenv("KEYSTEAD_LEDGER", str(place))
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        return cli.main(["batch", *words]), *capsys.readouterr()

    run.ledger = place
    return run


def create(batch, name, *words, **more):
    return batch("create", name, *WORDS, *words, **more)


def planned(batch, name):
    with open_ledger(str(batch.ledger)) as ledger:
        return ledger.batch(name), list(ledger.units(name))


def test_a_range_of_serials_becomes_a_batch(batch):
    code, out, error = create(batch, "mill-7", "--serials", "sn-0001..sn-0120", "--note", "PO 12")
    assert (code, error) == (0, "")
    assert out == (
        "batch mill-7: 120 boards planned (sn-0001 to sn-0120), "
        "the first as sn-sn-0001-mac-{mac}\n"
    )
    found, units = planned(batch, "mill-7")
    assert (found.board, found.id_scope, found.note) == (
        "ESP32_GENERIC_C3",
        "0ne00002193",
        "PO 12",
    )
    assert [one.serial for one in units][:2] == ["sn-0001", "sn-0002"]
    assert len(units) == 120


def test_a_list_of_boards_becomes_a_batch(batch):
    text = f"\ufeffMAC;Serial;Colour\r\n{MAC};1;red\r\n\r\n;2;blue\r\n".encode()
    code, out, _ = create(batch, "mill-7", "--csv", "-", "--json", stdin=text)
    assert code == 0
    assert json.loads(out)["units"] == 2
    units = planned(batch, "mill-7")[1]
    assert [(one.serial, one.mac, dict(one.extra)) for one in units] == [
        ("1", bytes.fromhex("a0b1c2d3e4f5"), {"Colour": "red"}),
        ("2", None, {"Colour": "blue"}),
    ]


def test_a_batch_is_listed_and_shown(batch):
    create(batch, "mill-7", "--serials", "1..9", "--note", "order [4711] " + "x" * 60)
    create(batch, "mill-8", "--serials", "a1..a9", "--template", "dev-{serial}-{mac}")
    code, out, _ = batch("list")
    assert code == 0
    assert "order [4711] " + "x" * 60 in out
    assert [line.split()[:1] for line in out.splitlines()] == [["batch"], ["mill-7"], ["mill-8"]]
    lines = [json.loads(line) for line in batch("list", "--json")[1].splitlines()]
    assert [(one["batch"], one["units"], one["states"]) for one in lines] == [
        ("mill-7", 9, {}), ("mill-8", 9, {}),
    ]  # fmt: skip
    out = batch("show", "mill-8")[1]
    assert "a1  dev-a1-{mac}" in out
    assert "and 4 more" in out
    assert json.loads(batch("show", "mill-8", "--json")[1])["template"] == "dev-{serial}-{mac}"


def test_what_was_made_of_it_is_counted(batch):
    create(batch, "mill-7", "--serials", "1..9")
    with open_ledger(str(batch.ledger)) as ledger:
        ledger.reserve("mill-7", bytes.fromhex("a0b1c2d3e4f5"), "esp32c3")
    assert "9, 8 free, 1 reserved" in batch("show", "mill-7")[1]


def test_a_board_that_was_made_is_shown_as_what_it_became(batch):
    create(batch, "mill-7", "--serials", "1..9")
    with open_ledger(str(batch.ledger)) as ledger:
        name = ledger.reserve("mill-7", bytes.fromhex("a0b1c2d3e4f5"), "esp32c3").registration_id
        ledger.append(name, "scrapped", reason="dropped")
    lines = batch("show", "mill-7")[1].splitlines()
    assert [line.split() for line in lines[-6:-3]] == [
        ["1", "sn-1-mac-a0-b1-c2-d3-e4-f5", "scrapped"],
        ["2", "sn-2-mac-{mac}", "free"],
        ["3", "sn-3-mac-{mac}", "free"],
    ]
    assert "rule           seed: a-z, 0-9 and -" in lines
    create(batch, "mill-8", "--serials", "1..9", "--template", "b-{serial}", "--serials-again")
    assert batch("show", "mill-8")[1].splitlines()[-6].split() == ["1", "b-1", "free"]


def test_the_serials_that_are_free_are_given_one_a_line(batch):
    text = f"serial,mac\n1,\n2,{MAC}\n3,\n".encode()
    create(batch, "mill-7", "--csv", "-", stdin=text)
    with open_ledger(str(batch.ledger)) as ledger:
        ledger.reserve("mill-7", bytes.fromhex("a0b1c2d3e4f6"), "esp32c3")
    code, out, _ = batch("show", "mill-7", "--free")
    named = f"sn-2-mac-{MAC.replace(':', '-')}"
    assert (code, out) == (0, f"2\t{named}\n3\tsn-3-mac-{{mac}}\n")
    told = [
        json.loads(line)
        for line in batch("show", "mill-7", "--free", "--json")[1].split("\n")[:-1]
    ]
    assert told == [
        {"serial": "2", "mac": MAC, "registrationId": named},
        {"serial": "3", "mac": None, "registrationId": "sn-3-mac-{mac}"},
    ]
    assert batch("show", "mill-9", "--free")[0] == 1


def test_a_dry_run_writes_nothing(batch):
    code, out, _ = create(batch, "mill-7", "--serials", "1..9", "--dry-run")
    assert code == 0
    assert "9 boards would be planned" in out
    assert not batch.ledger.exists()


LIKE_A_KEY = encode_key(bytes(32))


@pytest.mark.parametrize(
    ("name", "words", "stdin", "fault"),
    [
        ("mill\n7", ("--serials", "1..9"), b"", "a name has 1 to 64 letters"),
        ("mill-7", ("--csv", "-"), b"serial,key\n1,x\n", "line 2, serial 1: 'key' is not for a"),
        ("mill-7", ("--serials", "1..9", "--note", LIKE_A_KEY), b"", "'note' looks like a key"),
    ],
)
def test_a_dry_run_refuses_what_the_run_would(batch, tmp_path, name, words, stdin, fault):
    for there in (False, True):
        told = [create(batch, name, *words, *dry, stdin=stdin) for dry in (("--dry-run",), ())]
        assert told[0] == told[1]
        code, out, error = told[0]
        assert (code, out, error.count("\n")) == (1, "", 1)
        assert fault in error
        if not there:
            create(batch, "first", "--serials", "f1..f9")


def test_a_dry_run_says_that_there_is_no_ledger_yet(batch, tmp_path):
    error = create(batch, "mill-7", "--serials", "1..9", "--dry-run")[2]
    assert error == (
        f"keystead batch: note: there is no ledger at {batch.ledger}: `keystead batch create`"
        " makes one, or mend --ledger; the list was checked by itself\n"
    )
    place = str(tmp_path / "none" / "factory.db")
    for words in (("--ledger", place, "--dry-run"), ("--ledger", place)):
        code, out, error = create(batch, "mill-7", "--serials", "1..9", *words)
        assert (code, out) == (1, "")
        assert "there is no folder" in error


def test_a_list_with_two_columns_of_one_name_is_refused(batch):
    text = b"serial,note,,, note,\n1,first,,,second,\n"
    code, out, error = create(batch, "mill-7", "--csv", "-", stdin=text)
    assert (code, out) == (1, "")
    assert error.endswith("stdin: columns 2 and 5 are both called note: rename one\n")
    assert not batch.ledger.exists()


def test_serials_of_another_batch_are_refused_unless_on_purpose(batch):
    create(batch, "mill-7", "--serials", "1..1")
    for words in (("--dry-run",), ()):
        code, out, error = create(batch, "mill-8", "--serials", "1..9", *words)
        assert (code, out) == (1, "")
        assert "1 serial of 9 planned before: line 1, serial 1 in batch mill-7; if a" in error
    out = create(batch, "mill-8", "--serials", "1..1", "--serials-again")[1]
    assert out.startswith("batch mill-8: 1 board planned (1 to 1)")


def test_bad_rows_are_told_with_their_lines_and_nothing_is_written(batch, tmp_path):
    file = tmp_path / "boards.csv"
    file.write_text("serial\n1\nBad\n1\n")
    code, out, error = create(batch, "mill-7", "--csv", str(file))
    assert (code, out) == (1, "")
    first, second, last = error.splitlines()
    assert first.startswith(f"{file}:3: registration ID 'sn-Bad-mac-{{mac}}': character 'B'")
    assert second == f"{file}:4: serial 1 is on line 2 already"
    assert last.startswith("keystead batch: 2 bad rows, so nothing was written")
    assert not batch.ledger.exists()


def test_very_many_bad_rows_are_counted_and_json_has_them_all(batch):
    text = b"serial\n" + b"Bad\n" * 100
    code, _, error = create(batch, "mill-7", "--csv", "-", stdin=text)
    assert code == 1
    assert error.splitlines()[-2] == "and 80 more; --json tells all"
    code, out, _ = create(batch, "mill-7", "--csv", "-", "--json", stdin=text)
    assert code == 1
    rows = json.loads(out)["badRows"]
    assert [row["line"] for row in rows] == list(range(2, 102))


def test_a_serial_that_was_planned_before_is_refused_by_the_ledger(batch):
    create(batch, "mill-7", "--csv", "-", stdin=f"serial,mac\n1,{MAC}\n".encode())
    text = f"serial,mac\n7,\n1,{MAC}\n".encode()
    code, out, error = create(batch, "mill-8", "--csv", "-", stdin=text)
    assert (code, out, error.count("\n")) == (1, "", 1)
    assert len(batch("list")[1].splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("--serials", "1..9", "--board", "ESP99"), "no board 'ESP99': there are ESP32_GENERIC"),
        (("--serials", "1..9", "--id-scope", "0ne-1"), "--id-scope '0ne-1': letters and digits"),
        (("--serials", "1..9", "--endpoint", "http://x"), "write HOST or HOST:PORT"),
        (("--serials", "1..9", "--template", "{colour}"), "only {serial} and {mac}"),
        (("--serials", "9"), "write e.g. sn-0001..sn-9999"),
        (("--csv", "/none.csv"), "can not read /none.csv: No such file"),
        (("--csv", "-", "--mfg-config", "/none.csv"), "can not read /none.csv: No such file"),
    ],
)
def test_what_can_not_be_right_is_one_line_and_makes_no_ledger(batch, words, fault):
    code, out, error = create(batch, "mill-7", *words)
    assert (code, out, error.count("\n")) == (1, "", 1)
    assert fault in error
    assert not batch.ledger.exists()


CONFIG = """app,namespace,
firmware_key,data,hex2bin
serial_no,data,string,REPEAT
device_no,data,i32
"""
VALUES = """id,firmware_key,serial_no,device_no,mac
1,1a2b3c4d5e6faabb,A1,101,{}
2,1a2b3c4d5e6fccdd,,102,
"""


def test_mfg_gens_two_files_are_taken_as_they_are_and_its_values_not_kept(batch, tmp_path):
    config, values = tmp_path / "config.csv", tmp_path / "values.csv"
    config.write_text(CONFIG)
    values.write_text(VALUES.format(MAC))
    code, _, error = create(batch, "m", "--csv", str(values), "--mfg-config", str(config))
    assert (code, error) == (0, "")
    units = planned(batch, "m")[1]
    assert [(one.serial, one.mac, dict(one.extra)) for one in units] == [
        ("1", bytes.fromhex("a0b1c2d3e4f5"), {}), ("2", None, {}),
    ]  # fmt: skip
    for file in batch.ledger.parent.glob(f"{batch.ledger.name}*"):
        assert b"1a2b3c4d5e6faabb" not in file.read_bytes()


def test_a_key_that_two_namespaces_have_may_have_two_columns(batch, tmp_path):
    config, values = tmp_path / "config.csv", tmp_path / "values.csv"
    config.write_text("one,namespace,\nport,data,u8\ntwo,namespace,\nport,data,u8\n")
    values.write_text("id,port,port\n1,2,3\n")
    words = ("--csv", str(values), "--mfg-config", str(config))
    assert create(batch, "m", *words)[0] == 0
    values.write_text("id,port,port,note,note\n1,2,3,4,5\n")
    assert "4 and 5 are both called note" in create(batch, "n", *words)[2]


def test_a_value_that_mfg_gen_would_choke_on_is_told_with_its_line(batch, tmp_path):
    config, values = tmp_path / "config.csv", tmp_path / "values.csv"
    config.write_text(CONFIG)
    values.write_text(VALUES.format(MAC).replace("102", "many"))
    code, _, error = create(batch, "m", "--csv", str(values), "--mfg-config", str(config))
    assert code == 1
    assert error.startswith(f"{values}:3: ")
    assert not batch.ledger.exists()
