"""The ESP32 partition table: read out of a MicroPython image, and the layout that follows from it.

Source: ESP-IDF, "Partition Tables", and gen_esp32part.py: at 0x8000 of the flash, 32 bytes an
entry (magic AA 50, type, subtype, offset, size, label of 16 bytes, flags; little-endian), ended by
an MD5 row (EB EB, 14 bytes of FF, MD5 of all rows before) and then by FF.
"""

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from host_tools.boards import Board, Region
from host_tools.errors import CommandError
from host_tools.images.esp_image import chip_and_flash

TABLE_OFFSET = 0x8000  # in flash, on every chip
TABLE_SIZE = 0xC00  # bytes: 96 rows at most
SECTOR = 4096  # bytes that flash is erased in
APP, DATA = 0, 1  # types
NVS, PHY, FAT = 2, 1, 0x81  # subtypes of DATA
_ROW = struct.Struct("<2sBBLL16sL")
_MAGIC = b"\xaa\x50"
_MD5 = b"\xeb\xeb" + b"\xff" * 14
_END = b"\xff" * 32


@dataclass(frozen=True)
class Partition:
    """One row of the table: offset and size in bytes."""

    label: str
    kind: int
    subtype: int
    offset: int
    size: int
    flags: int = 0

    @property
    def region(self) -> Region:
        """Where it lies."""
        return Region(self.offset, self.size)


@dataclass(frozen=True)
class Layout:
    """Where things lie in a board's flash.

    app: the first application's partition. computed: the table has no `vfs`, MicroPython makes
    one when it starts, from the end of the last partition to the end of the flash.
    """

    nvs: Region
    vfs: Region
    app: Region | None
    flash_size: int
    computed: bool
    partitions: tuple[Partition, ...] = ()


def layout(image: bytes, board: Board, flash_size: int) -> Layout:
    """Return the layout that this MicroPython image has on a flash of so many bytes.

    image: as published, its first byte belongs at board.flash_offset. CommandError if it is for
    another chip or a larger flash, or leaves no room for a filesystem.
    """
    _check_header(image, board, flash_size)
    start = TABLE_OFFSET - board.flash_offset
    found = place(parse(image[start : start + TABLE_SIZE]), flash_size)
    end = board.flash_offset + len(image)
    if end > found.vfs.offset:
        raise CommandError(
            f"the image ends at 0x{end:x}, within the filesystem at 0x{found.vfs.offset:x}: "
            "give the image as MicroPython's build makes it"
        )
    return found


def _check_header(image: bytes, board: Board, flash_size: int) -> None:
    chip, made_for = chip_and_flash(image)
    if chip != board.chip:
        raise CommandError(f"the image is for {chip}, {board.name} has {board.chip}")
    for what, size in ("is made for", made_for), ("takes", board.flash_offset + len(image)):
        if size > flash_size:
            raise CommandError(
                f"the image {what} a flash of {mib(size)}, this one has {mib(flash_size)}"
            )


def parse(table: bytes) -> tuple[Partition, ...]:
    """Read the bytes at TABLE_OFFSET. CommandError if they are not a whole, sound table."""
    rows: list[Partition] = []
    for start in range(0, len(table), _ROW.size):
        row = table[start : start + _ROW.size]
        if row == _END and rows:
            return tuple(rows)
        if row.startswith(_MD5):
            if row[16:] != hashlib.md5(table[:start]).digest():
                raise CommandError("the partition table is damaged: its MD5 does not fit")
        else:
            rows.append(_partition(row))
    raise CommandError("no partition table, or one without an end")


def _partition(row: bytes) -> Partition:
    if len(row) < _ROW.size or not row.startswith(_MAGIC):
        raise CommandError("no partition table at 0x8000: is this a whole MicroPython image?")
    _, kind, subtype, offset, size, label, flags = _ROW.unpack(row)
    return Partition(label.split(b"\0")[0].decode("latin-1"), kind, subtype, offset, size, flags)


def pack(partitions: Iterable[Partition]) -> bytes:
    """Return the table as it stands in flash, TABLE_SIZE bytes."""
    rows = b"".join(
        _ROW.pack(
            _MAGIC, one.kind, one.subtype, one.offset, one.size, one.label.encode(), one.flags
        )
        for one in partitions
    )
    return (rows + _MD5 + hashlib.md5(rows).digest()).ljust(TABLE_SIZE, b"\xff")


def place(partitions: Iterable[Partition], flash_size: int) -> Layout:
    """Return the layout of these partitions on a flash of so many bytes. Raises CommandError.

    Source: boardctrl_startup() in MicroPython's ports/esp32/main.c, 1.26 and later: where no
    partition is called vfs or ffat, vfs begins at the end of the last one and takes what is left.
    Up to 1.25 the table has it.
    """
    rows = tuple(partitions)
    _check_rows(rows, flash_size)
    nvs = next((one for one in rows if one.kind == DATA and one.subtype == NVS), None)
    if nvs is None:
        raise CommandError("the partition table has no NVS partition, where the record goes")
    app = next((one.region for one in rows if one.kind == APP), None)
    named = {one.label: one.region for one in rows if one.kind == DATA}
    if "ffat" in named and "vfs" not in named:
        raise CommandError("this image keeps its files on FAT (partition ffat), not on LittleFS")
    vfs = named.get("vfs") or _rest(rows, flash_size)
    return Layout(nvs.region, vfs, app, flash_size, "vfs" not in named, rows)


def _rest(rows: tuple[Partition, ...], flash_size: int) -> Region:
    end = max(one.region.end for one in rows)
    size = (flash_size - end) // SECTOR * SECTOR
    if size < 2 * SECTOR:  # LittleFS needs two blocks for its root
        raise CommandError(
            f"no room for a filesystem: the partitions end at 0x{end:x}, "
            f"the flash has {mib(flash_size)}"
        )
    return Region(end, size)


def _check_rows(rows: tuple[Partition, ...], flash_size: int) -> None:
    """Refuse what ESP-IDF's own gen_esp32part.py does: overlaps, odd offsets, beyond the flash."""
    before = TABLE_OFFSET + SECTOR
    for one in sorted(rows, key=lambda row: row.offset):
        what = f"partition {one.label!r} at 0x{one.offset:x}"
        if one.offset % SECTOR or not one.size:
            raise CommandError(f"{what} is not of whole sectors of {SECTOR} bytes")
        if one.offset < before:
            raise CommandError(f"{what} lies over what is before it")
        if one.region.end > flash_size:
            raise CommandError(
                f"{what} ends at 0x{one.region.end:x}, beyond a flash of {mib(flash_size)}"
            )
        before = one.region.end


def mib(size: int) -> str:
    """Return a size as people say it, e.g. 4 MiB."""
    return f"{size / (1 << 20):.4g} MiB"
