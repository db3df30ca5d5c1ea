"""keystead nvs: Espressif's bytes from Espressif's CSVs, secrets kept, and nothing left behind."""

import json
import stat
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from host_tools import cli, keys, nvs
from host_tools.nvs import Entry
from keystead.record import FactoryRecord
from tests.factory import nvs_tool
from tests.factory.nvs_tool import tool

CONFIG = """\
# mfg_gen's sample begins with a comment as well
app,namespace,
cloud_key,data,hex2bin
model,data,string,REPEAT
device_no,data,i32
"""
VALUES = """\
id,cloud_key,model,device_no
p-17,1a2b3c4d5e6faabb,A1,101
p-18,1a2b3c4d5e6fccdd,,102
"""
ENTRIES = '''\
key,type,encoding,value
# of the line
app,namespace,,
note,data,string," two, and ""more"""
cert,file,binary,cert.der
net,namespace,,
mask,data,hex2bin,00ff
device_no,data,i32,-7
'''
SIZE = 0x6000
MAC = bytes.fromhex("a0b1c2d3e4f5")
DEVICE_KEY, SECOND = bytes(range(100, 132)), bytes(range(32))


@dataclass
class Ran:
    code: int
    out: str
    err: str


class Command:
    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd

    def __call__(self, *words: object) -> Ran:
        self._capfd.readouterr()
        code = cli.main(["nvs", *map(str, words)])
        printed = self._capfd.readouterr()
        return Ran(code, printed.out, printed.err)


@pytest.fixture
def command(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Command:
    monkeypatch.chdir(tmp_path)
    Path("config.csv").write_text(CONFIG)
    Path("values.csv").write_text(VALUES)
    Path("entries.csv").write_text(ENTRIES)
    Path("cert.der").write_bytes(b"\x30\x00\xff")
    Path("plain").mkdir(mode=0o755)
    private("key.bin", nvs_tool.KEY)
    private("hmac.bin", DEVICE_KEY)
    return Command(capfd)


def private(name: str, data: bytes) -> Path:
    Path(name).write_bytes(data)
    Path(name).chmod(0o600)
    return Path(name)


def device(row: int) -> list[Entry]:
    return [
        Entry("app", "cloud_key", "hex2bin", ("1a2b3c4d5e6faabb", "1a2b3c4d5e6fccdd")[row]),
        Entry("app", "model", "string", "A1"),
        Entry("app", "device_no", "i32", str(101 + row)),
    ]


def below(folder: str) -> dict[str, bytes]:
    """What files are below a folder; all of it for the user alone."""
    files = {}
    for path in Path(folder).rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
        if path.is_file():
            files[str(path.relative_to(folder))] = path.read_bytes()
    return files


def test_each_row_becomes_the_partition_that_the_tool_makes_under_mfg_gens_name(
    command: Command,
) -> None:
    ran = command("make", "config.csv", "values.csv", "--output", "a/line", "--prefix", "pump")
    assert (ran.code, ran.out) == (0, "a/line: 2 partitions of 24576 bytes in bin\n")
    assert ran.err == (
        "warning: app/model: esp32.NVS reads no string; store it as binary and read it by"
        " get_blob\n"
    )
    assert stat.S_IMODE(Path("a/line").stat().st_mode) == 0o700
    assert below("a/line") == {
        f"bin/pump-{row + 1}.bin": nvs_tool.image(device(row), SIZE) for row in range(2)
    }
    made = command(
        "make", "config.csv", "values.csv", "--output", "plain", "--fileid", "id",
        "--size", "0x3000",
    )  # fmt: skip
    assert made.code == 0
    assert below("plain") == {
        f"bin/nvs-p-{row + 17}.bin": nvs_tool.image(device(row), 0x3000) for row in range(2)
    }
    assert not list(Path().glob("values_*"))  # mfg_gen leaves such


def test_a_csv_of_entries_becomes_the_partition_that_the_tool_makes(command: Command) -> None:
    ran = command("make", "entries.csv", "--output", "own.bin")
    assert (ran.code, ran.out) == (0, "own.bin: 4 keys, 24576 bytes\n")
    words = {"input": "entries.csv", "output": "tool.bin", "size": "0x6000", "version": 2}
    tool.generate(SimpleNamespace(**words, outdir=str(Path.cwd())))
    assert Path("own.bin").read_bytes() == Path("tool.bin").read_bytes()
    assert stat.S_IMODE(Path("own.bin").stat().st_mode) == 0o600


def test_a_given_key_encrypts_as_the_tool_does(command: Command) -> None:
    words = ("make", "config.csv", "values.csv", "--output")
    assert command(*words, "line", "--key-file", "key.bin").code == 0
    assert below("line") == {
        f"bin/nvs-{row + 1}.bin": nvs_tool.image(device(row), SIZE, nvs_tool.KEY)
        for row in range(2)
    }
    ran = command(*words, "by_hmac", "--hmac-key-file", "hmac.bin")
    assert "stock MicroPython reads no encrypted NVS" in ran.err
    derived = nvs.key_of_hmac(DEVICE_KEY)
    assert below("by_hmac") == {
        f"bin/nvs-{row + 1}.bin": nvs_tool.image(device(row), SIZE, derived) for row in range(2)
    }
    assert "1a2b3c4d5e6faabb" in command(
        "show", "by_hmac/bin/nvs-1.bin", "--values", "--key-file", "hmac.bin"
    ).out  # fmt: skip


def test_encrypt_gives_each_partition_a_key_of_its_own(command: Command) -> None:
    ran = command("make", "config.csv", "values.csv", "--output", "line", "--encrypt")
    assert "whoever has line/keys can read them" in ran.out
    files = below("line")
    assert len(files) == 4
    found = [nvs.read_key_partition(files[f"keys/keys-nvs-{row + 1}.bin"]) for row in range(2)]
    assert found[0] != found[1]
    for row, key in enumerate(found):
        assert files[f"bin/nvs-{row + 1}.bin"] == nvs_tool.image(device(row), SIZE, key)
    made = command("make", "entries.csv", "--output", "own.bin", "--encrypt")
    assert "whoever has keys-own.bin can read them" in made.out
    shown = command("show", "own.bin", "--key-file", "keys-own.bin", "--values", "--json")
    assert {one["key"]: one["value"] for one in json.loads(shown.out)["entries"]} == {
        "note": ' two, and "more"', "cert": "3000ff", "mask": "00ff", "device_no": -7,
    }  # fmt: skip


def test_values_are_shown_on_demand_only(command: Command) -> None:
    command("make", "entries.csv", "--output", "own.bin")
    ran = command("show", "own.bin")
    assert ran.out.splitlines() == [
        "own.bin: 24576 bytes, namespaces: 2, keys: 4",
        "  app              note             string     16",
        "  app              cert             blob        3",
        "  net              mask             blob        2",
        "  net              device_no        i32         4",
    ]
    assert '16  " two, and \\"more\\""' in command("show", "own.bin", "--values").out
    told = json.loads(command("show", "own.bin", "--json").out)["entries"]
    assert told[0] == {"namespace": "app", "key": "note", "type": "string", "size": 16}
    assert not any("value" in one for one in told)


def test_a_factory_record_is_shown_without_its_keys_whatever_is_asked_for(
    command: Command,
) -> None:
    packed = FactoryRecord(MAC, "0ne1", "sn-1", DEVICE_KEY, SECOND).pack()
    entries = [
        Entry("keystead", "record", "binary", packed),
        Entry("keystead", "keys0", "binary", SECOND),  # rotated keys are there
        Entry("keystead", "failure", "i32", 3),
        Entry("copy", "cut", "binary", packed[:-1]),
    ]
    private("board.bin", nvs.partition(entries, SIZE))
    ran = command("show", "board.bin", "--values")
    one, other = keys.fingerprint(DEVICE_KEY), keys.fingerprint(SECOND)
    assert "record of sn-1, MAC a0:b1:c2:d3:e4:f5, ID scope 0ne1" in ran.out
    assert f"key fingerprint {one[:16]} and {other[:16]}" in ran.out
    assert "of no use: record-truncated" in ran.out
    told = command("show", "board.bin", "--values", "--json").out
    assert json.loads(told)["entries"][0]["record"]["fingerprints"] == [one, other]
    assert json.loads(told)["entries"][2]["value"] == 3
    for key in (DEVICE_KEY, SECOND):
        assert key.hex() not in ran.out + told


def test_damage_is_told_with_its_offset(command: Command) -> None:
    image = bytearray(nvs.partition(device(0), SIZE))
    image[0x81] ^= 1
    private("hurt.bin", image)
    ran = command("show", "hurt.bin")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("keystead nvs: hurt.bin: the NVS image is damaged at 0x7c: ")
    private("secret.bin", nvs.encrypt(nvs.partition(device(0), SIZE), nvs_tool.KEY))
    assert "is the image encrypted?" in command("show", "secret.bin").err
    wrong = command("show", "secret.bin", "--key-file", "hmac.bin")
    assert "secret.bin, decrypted with hmac.bin: the NVS image is damaged at 0x44" in wrong.err


def test_lint_tells_what_micropython_can_not_read(command: Command) -> None:
    for name, key in (("config.csv", "app/model"), ("entries.csv", "app/note")):
        ran = command("lint", name)
        assert (ran.code, ran.err) == (1, "")
        assert [line.split(":")[0] for line in ran.out.splitlines()] == [key]
    Path("config.csv").write_text(CONFIG.replace("string", "binary"))
    ran = command("lint", "config.csv")
    assert (ran.code, ran.out) == (0, "config.csv: MicroPython can read all of it (3 keys)\n")


def test_every_bad_row_is_told_with_its_line_and_nothing_is_written(command: Command) -> None:
    before = sorted(Path().rglob("*"))
    Path("values.csv").write_text(VALUES + "p-17,00,,1\na/b,00,,1\n")
    ran = command("make", "config.csv", "values.csv", "--output", "line", "--fileid", "id")
    assert ran.code == 1
    assert ran.err.splitlines() == [
        "values.csv:4: column id: the same is in line 2",
        "values.csv:5: column id: as part of a file name it is to be printable characters but"
        " / and \\",
        "keystead nvs: 2 bad rows, so nothing was written: mend and try again",
    ]
    Path("values.csv").write_text(VALUES + "p-19,secret,,1\np-20,00,,x\n")
    ran = command("make", "config.csv", "values.csv", "--output", "line", "--encrypt")
    assert [line.partition(" ")[0] for line in ran.err.splitlines()[:2]] == [
        "values.csv:4:", "values.csv:5:",
    ]  # fmt: skip
    assert "secret" not in ran.err
    Path("entries.csv").write_text(
        ENTRIES + "a,data,i32\nb,data,float,secret\nmask,data,i32,1\nc,data,i32,1,secret\n"
    )
    ran = command("make", "entries.csv", "--output", "own.bin")
    assert [line.split(":")[1] for line in ran.err.splitlines()[:2]] == ["9", "12"]
    Path("entries.csv").write_text(ENTRIES + "b,data,float,secret\nmask,data,i32,1\n")
    ran = command("make", "entries.csv", "--output", "own.bin")
    assert [line.split(":")[1] for line in ran.err.splitlines()[:2]] == ["9", "10"]
    assert "secret" not in ran.err
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("make config.csv values.csv --output full", "full is not empty"),
        ("make config.csv values.csv --output cert.der", "can not write cert.der"),
        ("make entries.csv --output cert.der", "cert.der exists"),
        ("make entries.csv --output own.bin --encrypt", "keys-own.bin exists"),
        ("make config.csv --output own.bin", "name the file of VALUES too"),
        ("make entries.csv values.csv --output line", "takes no file of VALUES"),
        ("make entries.csv --output own --fileid id", "--fileid is a column of VALUES"),
        ("make config.csv values.csv --output line --fileid none", "has no column none"),
        ("make config.csv values.csv --output line --prefix a/b", "--prefix 'a/b'"),
        ("make absent.csv --output own", "can not read absent.csv"),
        ("make entries.csv --output own --size 5000", "a partition of 5000 bytes"),
        ("make entries.csv --output own --size 0x100000000", "at most 64 MiB"),
        ("make entries.csv --output own --key-file cert.der", "others may read it"),
        ("make entries.csv --output own --hmac-key-file key.bin", "key.bin: an HMAC eFuse key"),
        ("show entries.csv", "an NVS image has whole pages"),
        ("show absent.bin", "can not read absent.bin"),
        ("show blank.bin --key-file keys-own.bin", "this is no nvs_keys partition"),
    ],
)
def test_what_can_not_be_done_is_one_line_and_nothing_is_written(
    command: Command, words: str, told: str
) -> None:
    Path("full").mkdir()
    Path("full/nvs-1.bin").write_text("the only copy")
    private("keys-own.bin", b"the only key")
    private("blank.bin", b"\xff" * SIZE)
    Path("endless.csv").write_text(ENTRIES.replace("cert.der", "/dev/zero"))
    before = {path: path.is_file() and path.read_bytes() for path in Path().rglob("*")}
    ran = command(*words.split())
    assert (ran.code, ran.out) == (1, "")
    [line] = ran.err.splitlines()
    assert line.startswith("keystead nvs: ")
    assert told in line
    assert {path: path.is_file() and path.read_bytes() for path in Path().rglob("*")} == before


def test_what_fails_on_the_way_leaves_no_file_behind(
    command: Command,
) -> None:
    # the first is written; of the second prefix and column are too long together
    Path("values.csv").write_text(VALUES.replace("p-18", "p" * 199))
    words = ("make", "config.csv", "values.csv", "--encrypt", "--fileid", "id")
    ran = command(*words, "--prefix", "p" * 100, "--output", "line")
    assert (ran.code, ran.out) == (1, "")
    assert "File name too long" in ran.err
    assert not Path("line").exists()


@pytest.mark.parametrize("verb", ["make", "show", "lint"])
def test_the_sub_verbs_explain_themselves_in_80_columns(
    verb: str, command: Command, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        command(verb, "--help")
    assert max(map(len, capfd.readouterr().out.splitlines())) <= 80
