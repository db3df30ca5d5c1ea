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

    image: as published, its first byte belongs at board.flash_offset. Raises CommandError.
    """
    start = TABLE_OFFSET - board.flash_offset
    return place(parse(image[start : start + TABLE_SIZE]), flash_size)


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
        _ROW.pack(_MAGIC, one.kind, one.subtype, one.offset, one.size, one.label.encode(), one.flags)
        for one in partitions
    )
    return (rows + _MD5 + hashlib.md5(rows).digest()).ljust(TABLE_SIZE, b"\xff")


def place(partitions: Iterable[Partition], flash_size: int) -> Layout:
    """Return the layout of these partitions on a flash of so many bytes. Raises CommandError."""
    rows = tuple(partitions)
    named = {one.label: one for one in rows if one.kind == DATA}
    nvs = next((one for one in rows if one.kind == DATA and one.subtype == NVS), None)
    if nvs is None:
        raise CommandError("the partition table has no NVS partition, where the record goes")
    app = next((one.region for one in rows if one.kind == APP), None)
    own = named.get("vfs")
    end = max(one.offset + one.size for one in rows)
    vfs = own.region if own else Region(end, (flash_size - end) // SECTOR * SECTOR)
    return Layout(nvs.region, vfs, app, flash_size, own is None, rows)
