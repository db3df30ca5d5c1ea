"""mfg_gen's values on boards that `keystead flash` makes: whose row, and what becomes of it."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from host_tools import cli, keys, nvs
from host_tools.batch import BadRows, Batch, units_from_range
from host_tools.batch.mfg_gen import read_config
from host_tools.errors import CommandError
from host_tools.flash import check, own_values
from host_tools.flash.failure import FlashFailure
from host_tools.flash.own_values import NoValues, OwnValues
from host_tools.images import parts
from host_tools.ledger import Identity, Ledger, open_ledger
from host_tools.retrofit.port import Port
from host_tools.virtual_board import farm
from host_tools.virtual_board.board_setting import BoardSetting
from keystead.record import FactoryRecord
from tests.factory.model_line import (
    BATCH,
    GROUP_KEY,
    LAYOUT,
    UNITS,
    Fuse,
    ModelBoard,
    ModelPort,
    line,
    mac,
    order,
)

MAC = mac(1)
CONFIG = "app,namespace,\ncloud_key,data,hex2bin\nmodel,data,string,REPEAT\ndevice_no,data,i32\n"
SECRET = hashlib.sha256(b"a canary").digest()
VALUES = f"""\
serial,cloud_key,model,device_no,customer
0001,{SECRET.hex()},A1,101,Hall 7
0002,{"00" * 700},,102,Hall 7
"""
OWN = {("app", "cloud_key"): SECRET, ("app", "model"): "A1", ("app", "device_no"): 101}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(str(tmp_path / "ledger.db"), create=True) as book:
        book.create_batch(BATCH, UNITS)
        yield book


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "keys.csv").write_text(CONFIG)
    (tmp_path / "values.csv").write_text(VALUES)
    return tmp_path / "keys.csv"


def values(config: Path, text: str = VALUES, size: int = 0x6000) -> OwnValues:
    file = config.with_name("values.csv")
    file.write_text(text)
    return own_values.read(read_config(config), file, None, BATCH, size)


def bench(number: int = 1) -> ModelPort:
    return ModelPort(ModelBoard(mac(number)), Fuse())


def kept(port: ModelPort) -> dict[tuple[str, str], Any]:
    image = bytes(port.board.flash[LAYOUT.nvs.offset : LAYOUT.nvs.end])
    return {name: value for name, value in nvs.read(image).items() if name[0] != "keystead"}


def refused(step: Any) -> FlashFailure:
    with pytest.raises(FlashFailure) as caught:
        step()
    return caught.value


def test_each_board_has_its_rows_values_beside_its_record(ledger: Ledger, config: Path) -> None:
    what = order(values=values(config).of)
    first, second = bench(1), bench(2)
    name = line(first, ledger, what).flash().registration_id
    line(second, ledger, what).flash()
    assert kept(first) == OWN
    assert kept(second)["app", "device_no"] == 102
    assert first.board.record().keys()[0] == keys.derive_device_key(GROUP_KEY, name)
    (begun,) = [event for event in ledger.events(name) if event.kind == "flashing"]
    assert begun.facts["values"] == 3
    told = str([dict(event.facts) for event in ledger.events()])
    assert SECRET.hex() not in told
    assert SECRET.hex() not in repr(what.values(ledger.identity(name)))


def test_a_board_that_is_made_again_keeps_its_values(ledger: Ledger, config: Path) -> None:
    port = bench()
    line(port, ledger, order(values=values(config).of)).flash()
    newer = values(config, VALUES.replace("101", "901"))
    line(port, ledger, order(values=newer.of)).flash()
    assert kept(port) == OWN | {("app", "device_no"): 901}
    before = bytes(port.board.flash)
    failure = refused(line(port, ledger, order(values=NoValues(ledger.events, False).of)).flash)
    assert (failure.reason, failure.step) == ("values-absent", "reserve")
    assert port.board.flash == before
    (known,) = ledger.identities()
    assert known.state == "good"
    for replaces in (True, False):  # the second time there are none to lose
        line(port, ledger, order(values=NoValues(ledger.events, replaces).of)).flash()
        assert kept(port) == {}


def test_a_board_that_never_had_values_needs_none(ledger: Ledger) -> None:
    ledger.reserve(BATCH.name, MAC, "esp32c3")
    assert ledger.begin_attempt(next(ledger.identities()).registration_id, "retrofitting") == 1
    for _ in range(2):
        line(bench(), ledger, order(values=NoValues(ledger.events, False).of)).flash()


ROW = f"{SECRET.hex()},A1,101,Hall 7"


@pytest.mark.parametrize(
    ("head", "row", "words"),
    [
        ("serial", "0009", "has no row for serial 0001"),
        ("serial,mac", "0001,a0:b1:c2:d3:e4:f5", "line 2: serial 0001 is of another board's MAC"),
        ("serial,registration_id", "0001,pump", "serial 0001 is pump, the ledger has it as sn-0"),
    ],
)
def test_a_board_without_a_row_is_refused_before_it_is_anybody(
    ledger: Ledger, config: Path, head: str, row: str, words: str
) -> None:
    port = bench()
    text = f"{head},cloud_key,model,device_no,customer\n{row},{ROW}\n"
    run = line(port, ledger, order(values=values(config, text).of))
    for step in (run.preview, run.flash):
        failure = refused(step)
        assert (failure.reason, failure.step) == ("values-absent", "reserve")
        assert words in str(failure)
    assert not list(ledger.identities())
    assert port.board.flash == b"\xff" * len(port.board.flash)


@pytest.mark.parametrize(
    ("batch", "column", "serial"),
    [
        (BATCH, "id", "0001"),
        (BATCH, "Serial No", "0001"),
        (replace(BATCH, template="b-{mac}"), "mac", MAC.hex()),
        (BATCH, "registration_id", "pump"),
    ],
)
def test_rows_are_found_by_whatever_the_batch_was_planned_by(
    config: Path, batch: Batch, column: str, serial: str
) -> None:
    values_csv = config.with_name("values.csv")
    values_csv.write_text(f"{column},cloud_key,model,device_no,customer\n{serial},{ROW}\n")
    name = serial if column == "registration_id" else "b-1"
    whose = Identity(name, "pilot", serial, MAC, None, "reserved", "esp32c3", "")
    found = own_values.read(read_config(config), values_csv, None, batch, 0x6000)
    assert [entry.value for entry in found.of(whose)] == [SECRET.hex(), "A1", "101"]


def test_every_bad_row_is_told_before_any_board_and_one_that_leaves_no_room(config: Path) -> None:
    long = f"0003,{'00' * 17_000},A,3,x\n"
    values(config, VALUES + long, 0x7000)  # it would fit 0x6000 bytes, but not with what is ours
    with pytest.raises(BadRows) as caught:
        values(config, f"{VALUES}{long}0004,0,A,x,y\n")
    assert [row.line for row in caught.value.rows] == [4, 5]
    with pytest.raises(BadRows, match="serial 0001 is on line 2 already"):
        values(config, VALUES.replace("0002,", "0001,"))


def test_flash_tells_every_bad_row_with_its_line(
    ledger: Ledger, config: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("KEYSTEAD_GROUP_KEY", keys.encode_key(GROUP_KEY))
    file = config.with_name("values.csv")
    file.write_text(f"{VALUES}0003,0,A,3,x\n0004,00,A,many,y\n")
    place = ["--ledger", str(config.with_name("ledger.db")), "--batch", BATCH.name]
    given = ["--mfg-config", str(config), "--mfg-values", str(file)]
    port = ["--port", "rfc2217://127.0.0.1:9", "--stand-in"]
    assert cli.main(["flash", *place, *port, *given]) == 1
    *_, first, second, last = capsys.readouterr().err.splitlines()
    assert first.startswith(f"{file}:4: ")
    assert second.startswith(f"{file}:5: ")
    assert last == "keystead flash: 2 bad rows, so nothing was flashed: mend and try again"


def test_the_firmwares_own_namespace_is_taken(config: Path) -> None:
    config.write_text("keystead,namespace,\nrecord,data,hex2bin\n")
    with pytest.raises(CommandError, match="the firmware's: take another"):
        values(config, "serial,record\n0001,00\n")


def test_values_that_were_not_kept_or_are_too_many_are_found_out(config: Path) -> None:
    record = FactoryRecord(MAC, "0ne0", "sn-1", bytes(32))
    whose = Identity("sn-1", "pilot", "0001", MAC, None, "reserved", "esp32c3", "")
    row = values(config).of(whose)
    image = parts.own(LAYOUT, record.pack(), row).data
    check.nvs(image, record, row)
    assert "app/cloud_key in NVS" in str(refused(lambda: check.nvs(image, record, row[1:])))
    assert "app/device_no in NVS" in str(
        refused(lambda: check.nvs(parts.own(LAYOUT, record.pack(), row[:2]).data, record, row))
    )


def test_the_program_on_a_board_reads_them(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    place = ["--ledger", str(tmp_path / "line.db"), "--batch", "pilot"]
    with open_ledger(place[1], create=True) as book:
        book.create_batch(BATCH, units_from_range("0001..0002"))
    with farm.started([BoardSetting(mac=MAC)]) as (board,):
        run = ["flash", *place, "--port", board.urls[0], "--stand-in", "--mfg-config", str(config)]
        monkeypatch.setenv("KEYSTEAD_GROUP_KEY", keys.encode_key(GROUP_KEY))
        assert cli.main(run) == 1
        assert "--mfg-config and --mfg-values go together" in capfd.readouterr().err
        monkeypatch.setenv("KEYSTEAD_GROUP_KEY", keys.encode_key(GROUP_KEY))
        assert cli.main([*run, "--mfg-values", str(config.with_name("values.csv"))]) == 0
        said = "".join(capfd.readouterr())
        with Port(board.urls[0]) as port:
            port.repl.enter(20)
            read = "import esp32\nn = esp32.NVS('app')\nb = bytearray(32)\n"
            read += "print((n.get_i32('device_no'), n.get_blob('cloud_key', b), bytes(b)))"
            assert port.repl.evaluate_printed(read) == (101, 32, SECRET)
    assert "warning: app/model: esp32.NVS reads no string" in said
    assert SECRET.hex() not in said
    assert not any(
        SECRET in file.read_bytes() or SECRET.hex() in file.read_text(errors="replace")
        for file in tmp_path.iterdir() if file.name.startswith("line.db")
    )  # fmt: skip
