"""The partition table: read from an image, and where MicroPython puts its files by it.

The tables are MicroPython's own: ports/esp32/partitions-*.csv of v1.26.1 and v1.24.0.
"""

import struct
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools import boards
from host_tools.boards import Region
from host_tools.errors import CommandError
from host_tools.images import partitions
from host_tools.images.partitions import APP, DATA, FAT, NVS, PHY, TABLE_OFFSET, Partition
from host_tools.images.stand_in import SMALL, STOCK, stand_in_image

MIB = 1 << 20
OTA = (
    Partition("nvs", DATA, NVS, 0x9000, 0x4000),
    Partition("otadata", DATA, 0, 0xD000, 0x2000),
    Partition("phy_init", DATA, PHY, 0xF000, 0x1000),
    Partition("ota_0", APP, 0x10, 0x10000, 0x180000),
    Partition("ota_1", APP, 0x11, 0x190000, 0x180000),
)
# up to 1.25 the table had it
OLD = (*STOCK, Partition("vfs", DATA, FAT, 0x200000, 0x200000))


@pytest.mark.parametrize("name", boards.names())
@pytest.mark.parametrize(
    ("megabytes", "vfs"),
    [
        (2, Region(0x170000, 0x90000)),
        (4, Region(0x200000, 2 * MIB)),
        (8, Region(0x200000, 6 * MIB)),
        (16, Region(0x200000, 14 * MIB)),
    ],
)
def test_vfs_reaches_from_the_last_partition_to_the_end(
    name: str, megabytes: int, vfs: Region
) -> None:
    board = boards.get(name)
    size = megabytes * MIB
    layout = partitions.layout(stand_in_image(board.chip, size), board, size)
    assert (layout.vfs, layout.computed) == (vfs, True)
    assert layout.nvs == board.nvs
    assert layout.app is not None
    assert layout.app.offset == 0x10000


def test_an_image_for_a_small_flash_uses_all_of_a_larger_one() -> None:
    board = boards.get("ESP32_GENERIC_C3")
    layout = partitions.layout(stand_in_image("esp32c3", 4 * MIB), board, 16 * MIB)
    assert layout.vfs == Region(0x200000, 14 * MIB)


def test_behind_two_applications_vfs_begins_later() -> None:
    assert partitions.place(OTA, 4 * MIB).vfs == Region(0x310000, 0xF0000)


def test_a_vfs_in_the_table_is_taken_as_it_is() -> None:
    layout = partitions.place(OLD, 8 * MIB)
    assert (layout.vfs, layout.computed) == (Region(0x200000, 2 * MIB), False)


def test_a_row_is_written_as_esp_idf_does() -> None:
    assert partitions.pack(STOCK)[:32] == bytes.fromhex(
        "aa50 01 02 00900000 00600000 6e767300000000000000000000000000 00000000"
    )
    assert partitions.pack(STOCK)[96:112] == b"\xeb\xeb" + b"\xff" * 14


def test_a_table_without_its_md5_row_is_read() -> None:
    # CONFIG_PARTITION_TABLE_MD5 may be off
    rows = partitions.pack(STOCK)[:96]
    assert partitions.parse(rows.ljust(0xC00, b"\xff")) == STOCK


@pytest.mark.parametrize("place", [0, 3, 4, 40, 95, 96, 111, 112, 127])
def test_a_changed_byte_is_seen(place: int) -> None:
    table = bytearray(partitions.pack(STOCK))
    table[place] ^= 1
    with pytest.raises(CommandError):
        partitions.parse(bytes(table))


@pytest.mark.parametrize(
    ("rows", "flash", "told"),
    [
        ((), 4 * MIB, "no NVS partition"),
        (STOCK[1:], 4 * MIB, "no NVS partition"),
        (STOCK, 2 * MIB - 4096, "beyond a flash"),
        (STOCK, 2 * MIB, "no room for a filesystem"),
        (OLD, 2 * MIB, "'vfs' at 0x200000 ends at 0x400000, beyond a flash of 2 MiB"),
        ((*STOCK, replace(OLD[3], label="ffat")), 4 * MIB, "FAT"),
        ((*STOCK, replace(OLD[3], offset=0x1FF000)), 4 * MIB, "lies over"),
        ((replace(STOCK[0], offset=0x8000), *STOCK[1:]), 4 * MIB, "lies over"),
        ((replace(STOCK[0], offset=0x9004), *STOCK[1:]), 4 * MIB, "whole sectors"),
        ((replace(STOCK[0], size=0), *STOCK[1:]), 4 * MIB, "whole sectors"),
    ],
)
def test_a_layout_that_can_not_be_is_refused(
    rows: tuple[Partition, ...], flash: int, told: str
) -> None:
    with pytest.raises(CommandError, match=told):
        partitions.place(rows, flash)


def c3(data: bytes, flash_size: int = 4 * MIB) -> partitions.Layout:
    return partitions.layout(data, boards.get("ESP32_GENERIC_C3"), flash_size)


def test_an_image_for_another_chip_is_refused() -> None:
    with pytest.raises(CommandError, match="for esp32s3, ESP32_GENERIC_C3 has esp32c3"):
        c3(stand_in_image("esp32s3", 4 * MIB))
    other = bytearray(stand_in_image("esp32c3", 4 * MIB))
    struct.pack_into("<H", other, 12, 13)
    with pytest.raises(CommandError, match="for esp32c6"):
        c3(bytes(other))


def test_an_image_that_the_flash_is_too_small_for_is_refused() -> None:
    with pytest.raises(CommandError, match="made for a flash of 8 MiB, this one has 4 MiB"):
        c3(stand_in_image("esp32c3", 8 * MIB))
    with pytest.raises(CommandError, match="takes a flash of"):
        c3(stand_in_image("esp32c3", 2 * MIB).ljust(2 * MIB + 1, b"\xff"), 2 * MIB)


def test_a_whole_flash_is_no_image() -> None:
    whole = stand_in_image("esp32c3", 4 * MIB).ljust(3 * MIB, b"\xff")
    with pytest.raises(CommandError, match="within the filesystem at 0x200000"):
        c3(whole)


@pytest.mark.parametrize("data", [b"", b"\xe9", b"MZ" * 999, b"\xff" * 0x9000])
def test_what_is_no_image_is_told_so(data: bytes) -> None:
    with pytest.raises(CommandError, match="not an ESP32 image"):
        c3(data)


def test_an_application_alone_is_no_image() -> None:
    # MicroPython publishes .app-bin too, for updates over the air
    with pytest.raises(CommandError, match="no partition table at 0x8000"):
        c3(stand_in_image("esp32c3", 4 * MIB)[0x10000:])


def test_an_image_that_is_cut_off_is_told_so() -> None:
    with pytest.raises(CommandError, match="partition table"):
        c3(stand_in_image("esp32c3", 4 * MIB)[: TABLE_OFFSET + 64])


labels = st.text("abcdefghijklmnopqrstuvwxyz_0", min_size=1, max_size=15)
rows = st.builds(
    Partition,
    labels | st.just("vfs"),
    st.sampled_from([APP, DATA]),
    st.integers(0, 255),
    st.integers(0, 64).map(lambda number: 0x9000 + number * 0x10000) | st.integers(0, 2**32 - 1),
    st.integers(0, 32).map(lambda number: number * 4096) | st.integers(0, 2**32 - 1),
    st.integers(0, 3),
)


@given(st.binary(max_size=400) | st.lists(rows, max_size=6).map(partitions.pack))
def test_no_bytes_do_more_than_be_refused(table: bytes) -> None:
    try:
        found = partitions.parse(table)
        layout = partitions.place(found, 4 * MIB)
    except CommandError:
        return
    ends = sorted((one.offset, one.offset + one.size) for one in found)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(ends))
    assert layout.vfs.end <= 4 * MIB
    if layout.computed:
        assert layout.vfs.offset == ends[-1][1]
        assert 4 * MIB - layout.vfs.end < 4096


@given(st.lists(rows, min_size=1, max_size=8))
def test_what_is_written_is_read(table: list[Partition]) -> None:
    assert partitions.parse(partitions.pack(table)) == tuple(table)


def test_the_tables_here_are_micropythons() -> None:
    assert [(one.label, one.offset, one.size) for one in STOCK] == [
        ("nvs", 0x9000, 0x6000), ("phy_init", 0xF000, 0x1000), ("factory", 0x10000, 0x1F0000),
    ]  # fmt: skip
    assert SMALL[-1].size == 0x160000
