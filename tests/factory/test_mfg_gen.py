"""mfg_gen's config and values CSVs: accepted as they are, and every bad row told."""

import io
from pathlib import Path

import pytest

from host_tools.batch import BadRows
from host_tools.batch.mfg_gen import read_config, read_values
from host_tools.errors import CommandError
from host_tools.nvs import Entry, lint, partition
from tests.factory import nvs_tool

# ESP-IDF Programming Guide, "Manufacturing Utility"
CONFIG = """\
app,namespace,
firmware_key,data,hex2bin
serial_no,data,string,REPEAT
device_no,data,i32
"""
VALUES = """\
id,firmware_key,serial_no,device_no
1,1a2b3c4d5e6faabb,A1,101
2,1a2b3c4d5e6fccdd,,102
3,1a2b3c4d5e6feeff,,103
"""


def columns(text: str = CONFIG):
    return read_config(io.StringIO(text))


def test_the_guides_example_gives_the_images_that_the_tool_gives() -> None:
    devices = read_values(io.StringIO(VALUES), columns(), 0x3000)
    assert [device.metadata for device in devices] == [{"id": "1"}, {"id": "2"}, {"id": "3"}]
    keys = ("1a2b3c4d5e6faabb", "1a2b3c4d5e6fccdd", "1a2b3c4d5e6feeff")
    for number, (device, key) in enumerate(zip(devices, keys, strict=True)):
        entries = [
            Entry("app", "firmware_key", "hex2bin", key),
            Entry("app", "serial_no", "string", "A1"),
            Entry("app", "device_no", "i32", str(101 + number)),
        ]
        assert device.line == number + 2
        assert partition(device.entries, 0x3000) == nvs_tool.image(entries, 0x3000)
    assert len(lint(devices[0].entries)) == 1


def test_columns_in_any_order_bom_crlf_and_semicolons_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "config.csv").write_bytes(b"\xef\xbb\xbf" + CONFIG.replace("\n", "\r\n").encode())
    text = "device_no;note;serial_no;firmware_key\r\n7;x;A;00\r\n"
    (tmp_path / "values.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    (device,) = read_values(tmp_path / "values.csv", read_config(tmp_path / "config.csv"))
    assert [entry.value for entry in device.entries] == ["00", "A", "7"]
    assert device.metadata == {"note": "x"}


def test_a_key_may_be_in_two_namespaces_and_takes_its_columns_in_turn() -> None:
    config = "a,namespace,\nk,data,u8\nb,namespace,\nk,data,u8\n"
    (device,) = read_values(io.StringIO("k,k\n1,2\n"), columns(config))
    assert [(entry.namespace, entry.value) for entry in device.entries] == [("a", "1"), ("b", "2")]


def test_files_are_read_beside_the_values(tmp_path: Path) -> None:
    (tmp_path / "cert.der").write_bytes(b"\x00\xff")
    (tmp_path / "values.csv").write_text("cert\ncert.der\n")
    found = columns("a,namespace,\ncert,file,binary\n")
    (device,) = read_values(tmp_path / "values.csv", found)
    assert device.entries[0].value == b"\x00\xff"
    (tmp_path / "values.csv").write_text("cert\nnone.der\n")
    with pytest.raises(BadRows, match=r"line 2: can not read the file 'none\.der'"):
        read_values(tmp_path / "values.csv", found)


def test_every_bad_row_of_the_values_is_told_with_its_line() -> None:
    rows = VALUES + "4,1a2b3,A1,104\n5,00,A1\n6,00,A1,x\n7,00,A1,107\n"
    with pytest.raises(BadRows) as caught:
        read_values(io.StringIO(rows), columns())
    assert [(row.line, row.problem) for row in caught.value.rows] == [
        (5, "key 'firmware_key' in namespace 'app': the value is not hexadecimal digits,"
            " two a byte"),
        (6, "has 3 fields, the head has 4"),
        (7, "key 'device_no' in namespace 'app': the value is no number that fits i32"),
    ]  # fmt: skip
    assert str(caught.value).endswith("(and 2 more)")


def test_a_row_that_does_not_fit_the_partition_is_bad() -> None:
    rows = f"firmware_key,serial_no,device_no\n{'00' * 9000},A,1\n00,A,1\n"
    with pytest.raises(BadRows) as caught:
        read_values(io.StringIO(rows), columns(), 0x3000)
    assert [row.line for row in caught.value.rows] == [2]


def test_every_bad_row_of_the_config_is_told_with_its_line() -> None:
    config = (
        "early,data,u8\napp,namespace,\nk,data,float\nk2,blob,u8\nk3,data\n"
        "kkkkkkkkkkkkkkkk,data,u8\nk4,data,u8,TWICE\nk5,data,u8\nk5,data,u8\n"
    )
    with pytest.raises(BadRows) as caught:
        columns(config)
    assert [row.line for row in caught.value.rows] == [1, 3, 4, 5, 6, 7, 9]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ("firmware_key,device_no\n00,1\n", "no column for serial_no"),
        ("firmware_key,serial_no,device_no\n", "no devices below its head"),
        ("", "stdin is empty"),
    ],
)
def test_values_that_are_none_are_refused(values: str, why: str) -> None:
    with pytest.raises(CommandError, match=why):
        read_values(io.StringIO(values), columns())


def test_a_config_without_keys_is_refused() -> None:
    with pytest.raises(CommandError, match="has no keys"):
        columns("app,namespace,\n")
