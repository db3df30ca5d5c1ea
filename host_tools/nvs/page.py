"""NVS pages and entries as bytes: the layout that ESP-IDF's nvs_flash gives a 4 KiB flash sector.

Owns the numbers, the CRCs and the two structures (page header, entry). Doesn't own what is put
into them (writer.py), how they are read (reader.py) or kept alive (live_page.py, store.py).

A page: header (32 bytes), the states of 126 entries (two bits each, 32 bytes), 126 entries of 32
bytes. Source: ESP-IDF Programming Guide, "NVS: Internals", and nvs_page.hpp, nvs_types.hpp.
"""

import re
import struct
import zlib
from dataclasses import dataclass

from host_tools.nvs.errors import InvalidName, KeyTooLong

SIZE = 4096
ENTRY = 32  # bytes
ENTRIES = 126  # in a page
STATES = 32  # offset of the states of entries
FIRST = 64  # offset of the first entry
KEY = 15  # characters, a NUL after them
CHUNK = (ENTRIES - 1) * ENTRY  # most bytes of one value in one page
CHUNKS = 127  # most chunks of a blob: two versions of it share the numbers 0 to 254
ANY_CHUNK = 0xFF  # chunk number of all that is not a chunk
VERSION_1, VERSION_2 = 0xFF, 0xFE  # without and with blobs that span pages

# states of a page; each is reached by clearing bits of the one before
BLANK, ACTIVE, FULL, FREEING = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFC, 0xFFFFFFF8
# states of an entry
EMPTY, WRITTEN, ERASED = 3, 2, 0

# kinds of entries
INTEGERS = {
    0x01: "<B", 0x11: "<b", 0x02: "<H", 0x12: "<h",
    0x04: "<I", 0x14: "<i", 0x08: "<Q", 0x18: "<q",
}  # fmt: skip
U8, I32 = 0x01, 0x14
STRING, OLD_BLOB, BLOB_DATA, BLOB_INDEX = 0x21, 0x41, 0x42, 0x48
LONG = frozenset((STRING, OLD_BLOB, BLOB_DATA))  # entries of data follow

_HEADER = struct.Struct("<IIB19sI")
_ITEM = struct.Struct("<BBBBI16s8s")
_LENGTH_CRC = struct.Struct("<HHI")
_INDEX = struct.Struct("<IBBH")
_NAME = re.compile(r"[\x20-\x7e]+")


def crc(data: bytes) -> int:
    """Return the CRC-32 that ESP-IDF computes: esp_rom_crc32_le(0xffffffff, ...)."""
    return zlib.crc32(data, 0xFFFFFFFF)


def check_name(text: str, what: str) -> None:
    """Raise KeyTooLong or InvalidName if text can not be a key or a namespace."""
    if not _NAME.fullmatch(text):
        raise InvalidName(f"{what} {text!r}: take 1 to {KEY} printable ASCII characters")
    if len(text) > KEY:
        raise KeyTooLong(f"{what} {text!r} has {len(text)} characters, NVS takes {KEY}")


def header(state: int, sequence: int, version: int = VERSION_2) -> bytes:
    """Return the 32 bytes at the begin of a page."""
    body = _HEADER.pack(state, sequence, version, b"\xff" * 19, 0)[:28]
    return body + struct.pack("<I", crc(body[4:]))


def states(written: int) -> bytes:
    """Return the 32 bytes of states of a page whose first entries are written, others empty."""
    bits = (1 << 256) - 1
    for index in range(written):
        bits &= ~(1 << (index * 2))
    return bits.to_bytes(32, "little")


@dataclass(frozen=True)
class Header:
    """A page's header as it was read; valid tells whether its CRC is right."""

    state: int
    sequence: int
    version: int
    valid: bool

    @classmethod
    def read(cls, page: bytes) -> "Header":
        """Read the first 32 bytes of a page."""
        state, sequence, version, _, checked = _HEADER.unpack_from(page)
        return cls(state, sequence, version, checked == crc(page[4:28]))


@dataclass(frozen=True)
class Item:
    """An entry: 32 bytes that hold a number, or say what the span - 1 entries behind it hold.

    body: 8 bytes, by kind: number(), measure() or index() below.
    """

    namespace: int
    kind: int
    span: int
    chunk: int
    key: str
    body: bytes

    def pack(self) -> bytes:
        """Return the 32 bytes with their CRC."""
        name = self.key.encode("latin-1")
        raw = _ITEM.pack(self.namespace, self.kind, self.span, self.chunk, 0, name, self.body)
        return raw[:4] + struct.pack("<I", crc(raw[:4] + raw[8:])) + raw[8:]

    @classmethod
    def read(cls, raw: bytes) -> "Item | None":
        """Return the entry in 32 bytes, None if its CRC is wrong."""
        namespace, kind, span, chunk, checked, name, body = _ITEM.unpack(raw)
        if checked != crc(raw[:4] + raw[8:]):
            return None
        return cls(namespace, kind, span, chunk, name.rstrip(b"\0").decode("latin-1"), body)

    @property
    def number(self) -> int:
        """Return the number in an entry of a kind in INTEGERS."""
        (value,) = struct.unpack_from(INTEGERS[self.kind], self.body)
        return int(value)

    @property
    def length(self) -> int:
        """Return how many bytes are behind an entry of a kind in LONG."""
        return int(_LENGTH_CRC.unpack(self.body)[0])

    @property
    def data_crc(self) -> int:
        """Return the CRC-32 of the bytes behind an entry of a kind in LONG."""
        return int(_LENGTH_CRC.unpack(self.body)[2])

    @property
    def fits(self) -> bool:
        """Tell whether the entry says to take as many places as its kind and length need."""
        if self.kind in LONG:
            return self.span == span(self.length)
        return self.span == 1 or (self.kind not in INTEGERS and self.kind != BLOB_INDEX)

    @property
    def index(self) -> tuple[int, int, int]:
        """Return length of the whole blob, count of its chunks, number of the first of them."""
        size, count, start, _ = _INDEX.unpack(self.body)
        return size, count, start


def number(kind: int, value: int) -> bytes:
    """Return the body of an integer's entry. Raises struct.error when it is out of range."""
    return struct.pack(INTEGERS[kind], value).ljust(8, b"\xff")


def measure(data: bytes) -> bytes:
    """Return the body of an entry with data behind it."""
    return _LENGTH_CRC.pack(len(data), 0xFFFF, crc(data))


def index(length: int, chunks: int, start: int = 0) -> bytes:
    """Return the body of a blob's index."""
    return _INDEX.pack(length, chunks, start, 0xFFFF)


def span(length: int) -> int:
    """Return the entries that length bytes take, with the one before them."""
    return 1 + -(-length // ENTRY)


def padded(data: bytes) -> bytes:
    """Return data filled up to whole entries, as flash leaves the rest."""
    return data.ljust((span(len(data)) - 1) * ENTRY, b"\xff")
