"""keystead image: what it writes, what it refuses, and where device keys are and are not."""

import base64
import csv
import hashlib
import json
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from host_tools import boards, cli, keys
from host_tools.batch import Batch, Unit
from host_tools.images import filesystem, partitions, parts
from host_tools.images.stand_in import stand_in_image
from host_tools.ledger import open_ledger
from host_tools.nvs import read as read_nvs
from keystead import record
from tests.test_readme import Shell, commands

GROUP_KEY, SECOND_KEY = bytes(range(100, 164)), bytes(range(32))
MAC = bytes.fromhex("a0b1c2d3e4f5")
NAME = "sn-0001-mac-a0-b1-c2-d3-e4-f5"
STAND_IN = ("image", "--board", "ESP32_GENERIC_C3", "--stand-in")
ONE = ("--id-scope", "0ne00002193", "--serial", "0001", "--mac", "a0:b1:c2:d3:e4:f5")
CONFIG = {"wifi": [{"ssid": "hall 7", "password": "a wifi password"}]}


@dataclass
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture
def keystead(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> "Command":
    return Command(capfd, monkeypatch)


class Command:
    """The command with a group key in its environment, as a station has it."""

    def __init__(self, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capfd = capfd
        self._monkeypatch = monkeypatch

    def __call__(self, *words: object) -> Ran:
        self._monkeypatch.setenv("KEYSTEAD_GROUP_KEY", base64.b64encode(GROUP_KEY).decode())
        self._capfd.readouterr()
        code = cli.main([str(word) for word in words])
        printed = self._capfd.readouterr()
        return Ran(code, printed.out, printed.err)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(CONFIG))
    return file


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_shared_part_is_written_with_what_is_in_it(
    keystead: Command, tmp_path: Path, config: Path
) -> None:
    app = tmp_path / "own_app.py"
    app.write_text("def run(device):\n    pass\n")
    out = tmp_path / "new" / "folder"
    ran = keystead(*STAND_IN, "--config", config, "--app", app, "--output", out)
    assert (ran.code, ran.err) == (0, "")
    written = contents(out)
    for name in ("vfs.bin", "shared.bin"):  # the Wi-Fi password is in them
        assert stat.S_IMODE((out / name).stat().st_mode) == 0o600
    said = json.loads(written["image.json"])
    for entry in (said["shared"], *said["parts"]):
        data = written[entry["file"]]
        assert len(data) == entry["size"]
        assert hashlib.sha256(data).hexdigest() == entry["sha256"]
    image = stand_in_image("esp32c3", 4 << 20)
    vfs = written["vfs.bin"]
    assert written["micropython.bin"] == image
    assert written["shared.bin"] == image.ljust(0x200000, b"\xff") + vfs
    files = filesystem.read(vfs)
    assert json.loads(files["config.json"]) == CONFIG
    assert files["app.py"] == app.read_bytes()
    assert {"boot.py", "main.py", "lib/rim/start.mpy", "lib/board.mpy"} <= set(files)
    assert {path for path in files if path.endswith(".der")} == {
        "certs/digicert-global-root-g2.der", "certs/microsoft-rsa-root-2017.der",
    }  # fmt: skip


def test_esp_web_tools_gets_its_manifest(keystead: Command, tmp_path: Path) -> None:
    board = boards.get("ESP32_GENERIC")
    ran = keystead("image", "--board", board.name, "--stand-in", "--output", tmp_path / "out")
    assert ran.code == 0
    assert "no --config" in ran.err
    web = json.loads((tmp_path / "out" / "manifest.json").read_text())
    [build] = web["builds"]
    assert build["chipFamily"] == "ESP32"
    assert [(one["path"], one["offset"]) for one in build["parts"]] == [
        ("micropython.bin", 0x1000), ("vfs.bin", 0x200000),
    ]  # fmt: skip
    # the one file begins where the image does
    said = json.loads((tmp_path / "out" / "image.json").read_text())
    assert said["shared"]["offset"] == 0x1000
    assert (tmp_path / "out" / "shared.bin").stat().st_size == 0x400000 - 0x1000


def test_a_larger_flash_has_a_larger_filesystem(keystead: Command, tmp_path: Path) -> None:
    ran = keystead(*STAND_IN, "--flash-size", "16MB", "--json", "--output", tmp_path / "out")
    said: dict[str, Any] = json.loads(ran.out)
    assert said == json.loads((tmp_path / "out" / "image.json").read_text())
    assert said["flashSize"] == 16 << 20
    assert said["parts"][1]["size"] == 14 << 20
    assert said["littlefs"] == "2.1"


def test_the_same_command_writes_the_same_bytes(
    keystead: Command, tmp_path: Path, config: Path
) -> None:
    for name in ("one", "two"):
        assert keystead(*STAND_IN, "--config", config, "--output", tmp_path / name).code == 0
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_dry_run_tells_and_writes_nothing(keystead: Command, tmp_path: Path) -> None:
    out, own = tmp_path / "out", tmp_path / "own"
    ran = keystead(*STAND_IN, *ONE, "--output", out, "--with-secrets", own, "--dry-run")
    assert ran.code == 0
    assert "0x200000   2097152" in ran.out
    assert "own would get files of 1 of 1 boards" in ran.out
    assert list(tmp_path.iterdir()) == []


def own_record(nvs: bytes) -> record.FactoryRecord:
    blob = read_nvs(nvs)["keystead", "record"]
    assert isinstance(blob, bytes)
    return record.unpack(blob, MAC)


def test_one_boards_own_part_is_its_record_for_the_user_alone(
    keystead: Command, tmp_path: Path
) -> None:
    out, own = tmp_path / "out", tmp_path / "own"
    ran = keystead(*STAND_IN, *ONE, "--output", out, "--with-secrets", own)
    assert ran.code == 0
    assert "own: 1 file, with the device key" in ran.out
    assert "Delete them" in ran.err
    file = own / f"000001-{NAME}.nvs.bin"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    found = own_record(file.read_bytes())
    key = keys.derive_device_key(GROUP_KEY, NAME)
    assert (found.registration_id, found.id_scope) == (NAME, "0ne00002193")
    assert found.keys() == [key, b""]
    [row] = csv.DictReader((own / "index.csv").read_text().splitlines())
    assert row == {
        "file": file.name, "offset": "0x9000", "serial": "0001", "registration_id": NAME,
        "mac": "a0:b1:c2:d3:e4:f5", "fingerprint": keys.fingerprint(key),
    }  # fmt: skip
    for data in (*contents(out).values(), ran.out.encode(), ran.err.encode()):
        assert_no_key(data, key)
    assert_no_key((own / "index.csv").read_bytes(), key)


def assert_no_key(data: bytes, *more: bytes) -> None:
    for key in (GROUP_KEY, *more):
        assert key not in data
        assert base64.b64encode(key)[:40] not in data
        assert key.hex().encode() not in data


def test_a_merged_file_is_the_whole_flash(keystead: Command, tmp_path: Path) -> None:
    out, own = tmp_path / "out", tmp_path / "own"
    ran = keystead(
        "image", "--board", "ESP32_GENERIC", "--stand-in", *ONE,
        "--output", out, "--with-secrets", own, "--merged",
    )  # fmt: skip
    assert ran.code == 0
    whole = (own / f"000001-{NAME}.flash.bin").read_bytes()
    assert own_record(whole[0x9000:0xF000]).registration_id == NAME
    shared = (out / "shared.bin").read_bytes()
    assert whole[:0x1000] == b"\xff" * 0x1000
    assert whole[0x1000:0x9000] + whole[0xF000:] == shared[:0x8000] + shared[0xE000:]
    board = boards.get("ESP32_GENERIC")
    layout = partitions.layout(whole[0x1000:0x20000], board, 4 << 20)
    assert layout.vfs.end == len(whole) == 4 << 20


def test_the_many_own_parts_are_what_one_is() -> None:
    layout = partitions.place(
        [partitions.Partition("nvs", partitions.DATA, partitions.NVS, 0x9000, 0x6000)], 4 << 20
    )
    for key in (bytes(16), bytes(64)):
        packed = record.FactoryRecord(MAC, "0ne1", NAME, key).pack()
        one = parts.own(layout, packed)
        assert parts.OwnParts(layout).part(packed) == one
        assert one.secret
        assert "data" not in repr(one)


def plan(place: Path, units: list[Unit]) -> None:
    batch = Batch("pilot", "ESP32_GENERIC_C3", "0ne00002193")
    with open_ledger(str(place), create=True) as book:
        book.create_batch(batch, units)


def test_a_batch_gets_a_file_for_each_board_whose_mac_is_known(
    keystead: Command, tmp_path: Path
) -> None:
    ledger, out, own = tmp_path / "ledger.db", tmp_path / "out", tmp_path / "own"
    macs = [bytes.fromhex("a0b1c2d3e4f5"), *(bytes([2, 0, 0, 0, 0, n]) for n in range(200))]
    units = [Unit(f"{n:04}", mac) for n, mac in enumerate(macs, 1)]
    plan(ledger, [*units, Unit("later"), Unit("also-later")])
    with open_ledger(str(ledger)) as book:
        # one is reserved already, and the first without a MAC has found its board
        assert book.reserve("pilot", MAC, "esp32c3").registration_id == NAME
        book.reserve("pilot", bytes([2, 0, 0, 0, 1, 0]), "esp32c3")
    words = ("image", "--stand-in", "--ledger", ledger, "--batch", "pilot", "--output", out)
    dry = keystead(*words, "--with-secrets", own, "--dry-run")
    assert "files of 202 of 203 boards" in dry.out
    second = tmp_path / "second.key"
    second.write_text(base64.b64encode(SECOND_KEY).decode())
    second.chmod(0o600)
    ran = keystead(*words, "--with-secrets", own, "--secondary-group-key-file", second)
    assert ran.code == 0, ran.err
    assert "202 files" in ran.out
    assert "1 board of the batch has no MAC" in ran.out
    rows = list(csv.DictReader((own / "index.csv").read_text().splitlines()))
    assert len(rows) == len({row["registration_id"] for row in rows}) == 202
    for row in rows:
        data = (own / row["file"]).read_bytes()
        blob = read_nvs(data)["keystead", "record"]
        assert isinstance(blob, bytes)
        found = record.unpack(blob, bytes.fromhex(row["mac"].replace(":", "")))
        assert found.registration_id == row["registration_id"]
        key = keys.derive_device_key(GROUP_KEY, found.registration_id)
        again = keys.derive_device_key(SECOND_KEY, found.registration_id)
        assert found.keys() == [key, again]
        assert row["fingerprint"] == keys.fingerprint(key)
        assert_no_key(ledger.read_bytes(), key)


def test_the_key_of_another_group_is_refused_before_the_first_file(
    keystead: Command, tmp_path: Path
) -> None:
    ledger, own = tmp_path / "ledger.db", tmp_path / "own"
    plan(ledger, [Unit("0000", bytes([2, 0, 0, 0, 0, 1])), Unit("0001", MAC)])
    words = ("image", "--stand-in", "--ledger", ledger, "--batch", "pilot", "--output")
    with open_ledger(str(ledger)) as book:
        name = book.reserve("pilot", MAC, "esp32c3").registration_id
        for key, code in ((SECOND_KEY, 1), (GROUP_KEY, 0)):
            kept = keys.fingerprint(keys.derive_device_key(key, name))
            book.begin_attempt(name, "flashing", fingerprint=kept)
            ran = keystead(*words, tmp_path / "out", "--with-secrets", own)
            assert ran.code == code
            if code:
                assert f"{name} is not the one of its last run" in ran.err
                assert kept[:16] in ran.err
                assert not own.exists()
                assert not (tmp_path / "out").exists()
    assert len(contents(own)) == 3


def values(folder: Path, *rows: str) -> tuple[str, ...]:
    (folder / "keys.csv").write_text("app,namespace,\ncloud_key,data,hex2bin\nnumber,data,i32\n")
    (folder / "values.csv").write_text("\n".join(["serial,cloud_key,number", *rows]))
    return "--mfg-config", str(folder / "keys.csv"), "--mfg-values", str(folder / "values.csv")


def test_values_of_the_boards_own_are_beside_their_records(
    keystead: Command, tmp_path: Path
) -> None:
    ledger, own, other = tmp_path / "ledger.db", tmp_path / "own", bytes([2, 0, 0, 0, 0, 1])
    plan(ledger, [Unit("0001", MAC), Unit("0002", other), Unit("0003")])
    words = ("image", "--stand-in", "--ledger", ledger, "--batch", "pilot", "--output")
    given = values(tmp_path, "0001,00ff,-117", "0002,ee,204")
    for merged in ((), ("--merged",)):
        ran = keystead(*words, tmp_path / "out", "--with-secrets", own, *given, *merged)
        assert ran.code == 0, ran.err
        for row in csv.DictReader((own / "index.csv").read_text().splitlines()):
            image = (own / row["file"]).read_bytes()
            kept = read_nvs(image[0x9000 : 0x9000 + 0x6000] if merged else image)
            wanted = {"0001": (b"\x00\xff", -117), "0002": (b"\xee", 204)}[row["serial"]]
            assert (kept["app", "cloud_key"], kept["app", "number"]) == wanted
            found = kept["keystead", "record"]
            assert isinstance(found, bytes)
            mac = bytes.fromhex(row["mac"].replace(":", ""))
            assert record.unpack(found, mac).registration_id == row["registration_id"]
        own = tmp_path / "whole"


def test_a_board_that_has_values_is_refused_without_them_before_the_first_file(
    keystead: Command, tmp_path: Path
) -> None:
    ledger, own = tmp_path / "ledger.db", tmp_path / "own"
    plan(ledger, [Unit("0000", bytes([2, 0, 0, 0, 0, 1])), Unit("0001", MAC)])
    with open_ledger(str(ledger)) as book:
        name = book.reserve("pilot", MAC, "esp32c3").registration_id
        key = keys.fingerprint(keys.derive_device_key(GROUP_KEY, name))
        book.begin_attempt(name, "flashing", fingerprint=key, values=2)
    place = ("--ledger", ledger, "--batch", "pilot", "--output", tmp_path / "out")
    words = ("image", "--stand-in", *place, "--with-secrets", own)
    lacking = values(tmp_path, "0000,00,1")
    for more, told in (
        ((), f"{name} has values of its own beside its record, which would go: give its row by"),
        (("--dry-run",), "has values of its own"),
        (lacking, "has no row for serial 0001"),
        (lacking[:2], "--mfg-config and --mfg-values go together"),
    ):
        ran = keystead(*words, *more)
        assert ran.code == 1
        assert told in ran.err
    ran = keystead(*words, *values(tmp_path, "0000,0,1", "0001,00,x"))
    assert ran.code == 1
    assert [line.split(": ")[0].rpartition(":")[2] for line in ran.err.splitlines()[-3:-1]] == [
        "2", "3",
    ]  # fmt: skip
    assert "keystead image: 2 bad rows, so nothing was written: mend and try again" in ran.err
    assert not own.exists()
    assert not (tmp_path / "out").exists()


def test_a_batch_without_macs_is_told_to_be_flashed(keystead: Command, tmp_path: Path) -> None:
    ledger, own = tmp_path / "ledger.db", tmp_path / "own"
    plan(ledger, [Unit("1"), Unit("2")])
    ran = keystead(
        "image", "--stand-in", "--ledger", ledger, "--batch", "pilot",
        "--output", tmp_path / "out", "--with-secrets", own,
    )  # fmt: skip
    assert ran.code == 1
    assert "no board of batch pilot has a MAC yet" in ran.err


def test_a_batch_of_another_board_is_refused(keystead: Command, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    plan(ledger, [Unit("1")])
    ran = keystead(
        "image", "--board", "ESP32_GENERIC", "--stand-in", "--ledger", ledger, "--batch", "pilot",
        "--output", tmp_path / "out", "--with-secrets", tmp_path / "own",
    )  # fmt: skip
    assert (ran.code, ran.out) == (1, "")
    assert "batch pilot is of ESP32_GENERIC_C3, --board says ESP32_GENERIC" in ran.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((*STAND_IN,), "--output"),
        (("image", "--stand-in", "--output", "out"), "which board?"),
        (("image", "--board", "ESP8266", "--stand-in", "--output", "out"), "there are ESP32_"),
        ((*STAND_IN, "--output", "out", *ONE), "--with-secrets"),
        ((*STAND_IN, "--output", "out", "--with-secrets", "own"), "whose?"),
        ((*STAND_IN, "--output", "out", "--with-secrets", "own", *ONE, "--mfg-values", "x"),
         "are for a batch"),
        ((*STAND_IN, "--output", "out", "--with-secrets", "own", "--mac", "x"), "--id-scope"),
        ((*STAND_IN, "--output", "out", "--batch", "b", "--mac", "x"), "one board or many"),
        ((*STAND_IN, "--micropython", "x", "--output", "out"), "instead of"),
        ((*STAND_IN, "--config", "absent", "--output", "out"), "can not read absent"),
        ((*STAND_IN, "--config", "broken.json", "--output", "out"), "is not JSON"),
        ((*STAND_IN, "--config", "notepad.json", "--output", "out"), "byte order mark"),
        ((*STAND_IN, "--config", "wrong.json", "--output", "out"), "wrong.json: "),
        ((*STAND_IN, "--config", "long.json", "--output", "out"), "has 5000 bytes"),
        ((*STAND_IN, "--app", "broken.json", "--output", "out"), "is no program"),
        (("image", "--board", "ESP32_GENERIC", "--micropython", "broken.json", "--output", "out"),
         "--sha256"),
        ((*STAND_IN, "--output", "out", "--with-secrets", "full", *ONE), "full is not empty"),
        ((*STAND_IN, "--output", "broken.json/out"), "can not write"),
    ],
)  # fmt: skip
def test_what_can_not_be_done_is_one_line_and_nothing_is_written(
    keystead: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.json").write_text('{"wifi": [{"ssid": "x", "password": "secret word"')
    (tmp_path / "wrong.json").write_text('{"wifi": [{"ssid": "x", "password": 12345678}]}')
    (tmp_path / "notepad.json").write_text(json.dumps(CONFIG), encoding="utf-8-sig")
    (tmp_path / "long.json").write_text(json.dumps(CONFIG).ljust(5000))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "000001.nvs.bin").write_text("the only copy")
    before = sorted(tmp_path.rglob("*"))
    ran = keystead(*words)
    assert (ran.code, ran.out) == (1, "")
    [line] = [one for one in ran.err.splitlines() if "no --config" not in one]
    assert line.startswith("keystead image: ")
    assert told in line
    assert "secret word" not in line
    assert "12345678" not in line
    assert sorted(tmp_path.rglob("*")) == before


def test_a_flash_size_of_no_board_is_wrong_usage(keystead: Command) -> None:
    with pytest.raises(SystemExit) as ended:
        keystead(*STAND_IN, "--flash-size", "5MB", "--dry-run")
    assert ended.value.code == 2


def test_the_guide_to_images_prints_what_is_shown(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    for command in commands("docs/images.md"):
        printed = shell.run(command.words).splitlines()
        assert [shown(line) for line in printed] == [shown(line) for line in command.output]
    assert len(contents(tmp_path / "build" / "image")) == 5


def shown(line: str) -> str:
    """A line without the beginnings of hashes, which change with the firmware."""
    return re.sub(r"\b[0-9a-f]{16}\b", "#", line)
