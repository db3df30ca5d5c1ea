"""The NVS writer: its images are those of esp-idf-nvs-partition-gen, to the last byte."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host_tools.nvs import (
    BlobImages,
    Entry,
    NotEnoughSpace,
    NvsError,
    encrypt,
    lint,
    partition,
    read,
)
from host_tools.nvs.entry import NUMBERS, STRING_LIMIT, prepare
from host_tools.nvs.page import Item
from host_tools.nvs.reader import Found, stored
from tests.factory import nvs_tool

RECORD = random.Random(5).randbytes(140)
SIZE = 0x6000


def blob(size: int, key: str = "blob", namespace: str = "a") -> Entry:
    return Entry(namespace, key, "binary", random.Random(size).randbytes(size))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(nvs_tool.ENTRIES)
def test_any_entries_give_the_image_that_the_tool_gives(entries: list[Entry]) -> None:
    assert partition(entries, 0x20000) == nvs_tool.image(entries, 0x20000)


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 3967, 3968, 3969, 4000, 4001, 9000, 15000])
@pytest.mark.parametrize("before", [0, 1, 120, 122, 123, 124, 125, 126])
def test_a_blob_that_meets_a_pages_end_is_split_as_the_tool_splits_it(
    size: int, before: int
) -> None:
    entries = [*(Entry("a", f"n{n}", "u8", n) for n in range(before)), blob(size)]
    entries.append(Entry("a", "after", "i32", -1))
    assert partition(entries, SIZE) == nvs_tool.image(entries, SIZE)


@pytest.mark.parametrize("size", [0, 30, 31, 32, STRING_LIMIT - 1])
@pytest.mark.parametrize("before", [0, 1, 122, 123, 124, 125])
def test_a_string_goes_to_the_next_page_when_the_tools_does(size: int, before: int) -> None:
    entries = [*(Entry("a", f"n{n}", "u8", n) for n in range(before))]
    entries += [Entry("a", "text", "string", "x" * size), Entry("b", "after", "i32", -1)]
    assert partition(entries, SIZE) == nvs_tool.image(entries, SIZE)


@pytest.mark.parametrize(
    ("encoding", "value"),
    [
        ("u8", "255"),
        ("i64", " -9223372036854775808"),
        ("hex2bin", " 00ffAB\n"),
        ("base64", "AP+r"),
        ("binary", "plain text"),
        ("string", "Zürich ☃"),
        ("string", b"bytes of text"),
        ("blob_fill(8;0xFF)", "abc"),
        ("blob_fill(4;0x00)", ""),
        ("blob_sz_fill(8;0xA5)", "abc"),
    ],
)
def test_values_may_be_text_as_in_a_csv(encoding: str, value: str | bytes) -> None:
    entries = [Entry("a", "k", encoding, value)]
    assert partition(entries, SIZE) == nvs_tool.image(entries, SIZE)


@pytest.mark.parametrize("mode", ["2", "0"])
def test_wifi_keys_bring_the_entries_that_the_tool_adds(mode: str) -> None:
    entries = [
        Entry("net", "sta.ssid", "string", "works"),
        Entry("net", "sta.pswd", "string", "secret words"),
        Entry("net", "ap.ssid", "string", "works"),
        Entry("net", "ap.passwd", "string", "secret words"),
        Entry("net", "ap.authmode", "u8", mode),
    ]
    assert partition(entries, SIZE) == nvs_tool.image(entries, SIZE)


@pytest.mark.parametrize("size", [0x1000, 0x2000, 0x3000])
def test_small_partitions_are_made_read_only_as_the_tool_does(size: int) -> None:
    assert partition([blob(140)], size) == nvs_tool.image([blob(140)], size)


def test_an_entry_returns_to_the_namespace_that_it_names() -> None:
    entries = [Entry("a", "x", "i32", 1), Entry("b", "x", "i32", 2), Entry("a", "y", "i32", 3)]
    assert read(partition(entries, SIZE)) == {("a", "x"): 1, ("b", "x"): 2, ("a", "y"): 3}


@pytest.mark.parametrize(
    ("size", "entries"),
    [
        (SIZE, [blob(30_000)]),
        (0x3000, [blob(4000), blob(4000, "two")]),
        (0x1000, [Entry("a", f"n{n}", "u8", 0) for n in range(126)]),
    ],
)
def test_what_does_not_fit_is_refused_as_the_tool_refuses_it(
    size: int, entries: list[Entry]
) -> None:
    with pytest.raises(NotEnoughSpace, match="make it larger"):
        partition(entries, size)
    with pytest.raises(nvs_tool.tool.InsufficientSizeError):
        nvs_tool.image(entries, size)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (Entry("a", "k" * 16, "u8", 1), "has 16 characters, NVS takes 15"),
        (Entry("n" * 16, "k", "u8", 1), "has 16 characters, NVS takes 15"),
        (Entry("a", "", "u8", 1), "printable ASCII"),
        (Entry("a", "schlüssel", "u8", 1), "printable ASCII"),
        (Entry("a", "k", "u8", 256), "no number that fits u8"),
        (Entry("a", "k", "i32", 2**31), "no number that fits i32"),
        (Entry("a", "k", "i32", "seven"), "no number that fits i32"),
        (Entry("a", "k", "i32", b"7"), "takes a number"),
        (Entry("a", "k", "float", "7"), "there is no encoding 'float'"),
        (Entry("a", "k", "hex2bin", "abc"), "not hexadecimal digits"),
        (Entry("a", "k", "base64", "AP+"), "not Base64"),
        (Entry("a", "k", "string", "x" * STRING_LIMIT), "at most 3967 bytes"),
        (Entry("a", "k", "string", "x\0y"), "holds no NUL"),
        (Entry("a", "k", "string", b"\xff"), "not UTF-8"),
        (Entry("a", "k", "string", 7), "takes text"),
        (Entry("a", "k", "blob_fill(2;0x00)", "abc"), "3 bytes are more than 2"),
    ],
)
def test_a_bad_entry_is_refused_with_its_name_and_without_its_value(
    entry: Entry, why: str
) -> None:
    with pytest.raises(NvsError, match=why):
        partition([entry], SIZE)


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(NvsError, match="key 'k' in namespace 'a' is there twice"):
        partition([Entry("a", "k", "u8", 1), Entry("a", "k", "i32", 2)], SIZE)


@pytest.mark.parametrize("size", [0, 100, 4097, -4096])
def test_a_size_that_is_no_partitions_is_refused(size: int) -> None:
    with pytest.raises(NvsError, match="can not hold NVS"):
        partition([], size)


def test_no_value_shows_in_an_entrys_text() -> None:
    assert "140" not in repr(blob(140))
    assert "value" not in repr(blob(140))


def test_no_value_shows_in_the_text_of_what_is_written_or_was_read() -> None:
    secret = Entry("keystead", "record", "binary", b"device key, device key")
    image = partition([secret], SIZE)
    for shown in (
        *prepare([secret]),
        *stored(image),
        Found(0, Item.read(image[64:96]), b"device key"),
    ):
        assert "device key" not in repr(shown)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9000), st.binary(min_size=64, max_size=64))
def test_patched_images_are_those_of_the_writer(size: int, key: bytes) -> None:
    images = BlobImages("keystead", "record", SIZE)
    data = random.Random(size).randbytes(size)
    plain = partition([Entry("keystead", "record", "binary", data)], SIZE)
    for _ in range(2):  # the second is patched
        assert images.image(data) == plain
        if key[:32] != key[32:]:
            assert images.image(data, key) == encrypt(plain, key)


def test_patched_images_do_not_mix_up_two_boards() -> None:
    images = BlobImages("keystead", "record", SIZE)
    for number in range(3):
        data = bytes([number]) * 140
        assert read(images.image(data)) == {("keystead", "record"): data}


def test_the_lint_says_what_micropython_can_not_read() -> None:
    lines = lint(
        [
            Entry("keystead", "record", "binary", RECORD),
            Entry("app", "count", "i32", 1),
            Entry("app", "mode", "u8", 1),
            Entry("app", "name", "string", "x"),
            Entry("app", "k" * 16, "hex2bin", ""),
        ]
    )
    assert lines == [
        "app/mode: esp32.NVS reads no u8; store it as i32 and read it by get_i32",
        "app/name: esp32.NVS reads no string; store it as binary and read it by get_blob",
        f"app/{'k' * 16}: the key has 16 characters, NVS takes 1 to 15",
    ]


@pytest.mark.parametrize("encoding", sorted(NUMBERS.keys() - {"i32"}))
def test_the_lint_knows_every_number_that_micropython_can_not_read(encoding: str) -> None:
    for spelled in (encoding, encoding.upper()):
        (line,) = lint([Entry("app", "n", spelled, 1)])
        assert (
            line == f"app/n: esp32.NVS reads no {encoding}; store it as i32 and read it by get_i32"
        )
