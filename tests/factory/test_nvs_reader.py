"""The NVS reader: it reads what is written, and says where anything else is damaged."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host_tools.nvs import Entry, NvsError, page, partition, read, settled
from host_tools.nvs.entry import BLOBS, NUMBERS, prepare
from host_tools.nvs.page import Item
from tests.factory import nvs_tool

SIZE = 0x6000
RECORD = random.Random(5).randbytes(140)
IMAGE = partition([Entry("keystead", "record", "binary", RECORD), Entry("a", "n", "i32", 7)], SIZE)


def expected(entry: Entry) -> int | bytes | str:
    if entry.encoding in NUMBERS:
        return int(entry.value)
    (prepared,) = prepare([entry])
    return prepared.data if entry.encoding in BLOBS else prepared.data[:-1].decode()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(nvs_tool.ENTRIES)
def test_whatever_is_written_is_read_back(entries: list[Entry]) -> None:
    values = {(entry.namespace, entry.key): expected(entry) for entry in entries}
    image = partition(entries, 0x20000)
    assert read(image) == values
    assert settled(image) == image


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 3), st.data())
def test_foreign_bytes_give_an_error_or_values_and_nothing_else(
    junk: bytes, pages: int, data: st.DataObject
) -> None:
    image = bytearray(
        IMAGE[: pages * 4096] if data.draw(st.booleans()) else b"\xff" * 4096 * pages
    )
    where = data.draw(st.integers(0, len(image)))
    image[where : where + len(junk)] = junk
    for function in (read, settled):
        try:
            function(bytes(image))
        except NvsError as error:
            assert "\n" not in str(error)


ITEMS = st.lists(
    st.builds(
        Item,
        st.integers(0, 3),
        st.sampled_from([*page.INTEGERS, *page.LONG, page.BLOB_INDEX, 0x99]),
        st.integers(0, 130),
        st.sampled_from([0, 1, 128, 255]),
        st.sampled_from(["k", "app", ""]),
        st.binary(min_size=8, max_size=8),
    ),
    max_size=20,
)
STATE = st.sampled_from([page.ACTIVE, page.FULL, page.FREEING])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(STATE, ITEMS, st.integers(0, 126)), max_size=4))
def test_entries_with_right_crcs_and_wrong_fields_give_an_error_or_values(
    pages: list[tuple[int, list[Item], int]],
) -> None:
    image = b""
    for number, (state, items, written) in enumerate(pages):
        raw = page.header(state, number) + page.states(written)
        image += (raw + b"".join(item.pack() for item in items)).ljust(page.SIZE, b"\xff")
    image += b"\xff" * page.SIZE
    for function in (read, settled):
        try:
            function(image)
        except NvsError as error:
            assert "\n" not in str(error)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 64 + 10 * 32), st.integers(1, 255))
def test_no_flipped_bit_changes_a_value_unseen(where: int, flip: int) -> None:
    image = bytearray(IMAGE)
    image[where] ^= flip
    try:
        values = read(bytes(image))
    except NvsError as error:
        assert "0x" in str(error)
    else:
        # only an entry's state may be lost without notice: flash tells no erased entry from one
        # that never was
        assert set(values.items()) <= set(read(IMAGE).items()) or 32 <= where < 64


@pytest.mark.parametrize(
    ("offset", "patch", "why"),
    [
        (0, b"\xf0", "0x0: a page has no state 0xfffffff0"),
        (4, b"\x01", "0x1c: the CRC of the page's header is wrong"),
        (0x20, b"\xa6", "0x20: entry 1 has no state 1"),
        (0x20, b"\xae", "0x60: something was written here and not finished"),
        (0x41, b"\x02", "0x44: the CRC of the entry is wrong"),
        (0x85, b"\x02", "0x7c: the CRC of the 140 bytes behind it is wrong"),
        (0x1000, b"\x00", "0x1000: a page has no state"),
        (0x1FFF, b"\x00", "0x1fff: a page that is not in use is not blank"),
    ],
)
def test_damage_is_told_by_its_offset(offset: int, patch: bytes, why: str) -> None:
    image = bytearray(IMAGE)
    image[offset : offset + len(patch)] = patch
    with pytest.raises(NvsError, match=why):
        read(bytes(image))


def whole(*entries: tuple[Item, bytes], number: int = 0) -> bytes:
    """A page with these entries and their data, all of its CRCs right."""
    body = b"".join(item.pack() + page.padded(data) for item, data in entries)
    head = page.header(page.ACTIVE, number) + page.states(len(body) // page.ENTRY)
    return (head + body).ljust(page.SIZE, b"\xff")


def numbered(namespace: int, kind: int, key: str, value: int) -> tuple[Item, bytes]:
    return Item(namespace, kind, 1, page.ANY_CHUNK, key, page.number(kind, value)), b""


def text(data: bytes) -> tuple[Item, bytes]:
    span = page.span(len(data))
    return Item(1, page.STRING, span, page.ANY_CHUNK, "k", page.measure(data)), data


NAMED = numbered(0, page.U8, "a", 1)


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (whole(NAMED) + whole(number=0), "0x1004: a second page has the number 0"),
        (whole(NAMED, text(b"abc")), "0x80: a string does not end with NUL"),
        (whole(NAMED, text(b"\xff\0")), "0x80: a string is not UTF-8"),
        (whole(NAMED, numbered(2, page.I32, "k", 1)), "0x60: its namespace has no name"),
        (whole(numbered(0, page.I32, "a", 1)), "0x41: a namespace's number is not an u8"),
    ],
)
def test_what_no_writer_makes_is_damage_though_its_crcs_are_right(image: bytes, why: str) -> None:
    with pytest.raises(NvsError, match=why):
        read(image)


def test_a_page_of_ones_own_making_is_read() -> None:
    image = whole(NAMED, text(b"abc\0"), numbered(1, page.I32, "n", -1)) + whole(number=1)
    assert read(image) == {("a", "k"): "abc", ("a", "n"): -1}


@pytest.mark.parametrize("image", [b"", b"\xff", IMAGE[:-1]])
def test_an_image_of_odd_length_is_refused(image: bytes) -> None:
    with pytest.raises(NvsError, match="whole pages of 4096 bytes"):
        read(image)


def test_a_blank_partition_holds_nothing() -> None:
    assert read(b"\xff" * SIZE) == {}


def test_of_two_entries_with_one_key_the_newer_holds() -> None:
    one = partition([Entry("a", "k", "i32", 1)], SIZE)
    two = partition([Entry("a", "k", "i32", 2)], SIZE)
    image = bytearray(one)
    image[128:160] = two[96:128]
    image[0x20] &= 0b11101111
    assert read(bytes(image)) == {("a", "k"): 2}
    assert read(settled(bytes(image))) == {("a", "k"): 2}


def test_a_blob_without_all_its_chunks_is_damage_and_its_chunks_alone_are_nothing() -> None:
    image = bytearray(partition([Entry("a", "k", "binary", bytes(40))], SIZE))
    image[0x20] &= 0b00000011  # chunk erased
    with pytest.raises(NvsError, match="of a blob of 40 bytes only 0 are there"):
        read(bytes(image))
    image = bytearray(partition([Entry("a", "k", "binary", bytes(40))], SIZE))
    image[0x21] &= 0b11111100  # index erased
    assert read(bytes(image)) == {}
