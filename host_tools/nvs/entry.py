"""Entries as people give them: namespace, key, encoding and value, made into what a page holds.

Owns which encodings there are and what values they take. Doesn't own bytes on flash (page.py).
The encodings are those of esp-idf-nvs-partition-gen.
"""

import binascii
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

import host_tools.nvs.page as page
from host_tools.nvs.errors import NvsError, ValueTooLong

Value = int | bytes | str

NUMBERS = {
    "u8": 0x01, "i8": 0x11, "u16": 0x02, "i16": 0x12,
    "u32": 0x04, "i32": 0x14, "u64": 0x08, "i64": 0x18,
}  # fmt: skip
BLOBS = ("hex2bin", "base64", "binary")
ENCODINGS = (*NUMBERS, "string", *BLOBS)

# the tool keeps one entry of a page free besides a string's; so what ESP-IDF would still take
# (4000 bytes) has no image of the tool's to be equal to
STRING_LIMIT = page.CHUNK - page.ENTRY
_FILL = re.compile(r"blob(_sz)?_fill\((\d{1,6});(0x[0-9a-fA-F]{2})\)")


@dataclass(frozen=True)
class Entry:
    """One value of one key.

    encoding: u8 to i64 with a number (or its text), string with text, hex2bin and base64 with
    text that stands for bytes, binary with bytes, blob_fill(LENGTH;0xFF) and
    blob_sz_fill(LENGTH;0xFF) with text that is filled up.
    """

    namespace: str
    key: str
    encoding: str
    value: Value = field(repr=False)  # it may be a device key


@dataclass(frozen=True)
class Prepared:
    """A checked entry: its kind of page.py (OLD_BLOB for any blob) and its bytes."""

    namespace: str
    key: str
    kind: int
    data: bytes = field(repr=False)


def prepare(entries: Iterable[Entry]) -> list[Prepared]:
    """Check entries and return what to store. Raises NvsError that names the first bad one."""
    prepared, seen = [], set()
    for entry in entries:
        page.check_name(entry.namespace, "namespace")
        page.check_name(entry.key, "key")
        if (entry.namespace, entry.key) in seen:
            raise NvsError(f"{_named(entry)} is there twice")
        seen.add((entry.namespace, entry.key))
        kind, data = _encode(entry)
        prepared.append(Prepared(entry.namespace, entry.key, kind, data))
    return prepared


def _named(entry: Entry) -> str:
    return f"key {entry.key!r} in namespace {entry.namespace!r}"


def _encode(entry: Entry) -> tuple[int, bytes]:
    encoding = entry.encoding.lower()
    if encoding in NUMBERS:
        return NUMBERS[encoding], _number(entry, NUMBERS[encoding])
    if encoding == "string":
        return page.STRING, _string(entry)
    if encoding in BLOBS:
        return page.OLD_BLOB, _blob(entry, encoding)
    filled = _FILL.fullmatch(entry.encoding)
    if filled:
        return page.OLD_BLOB, _filled(entry, bool(filled[1]), int(filled[2]), int(filled[3], 0))
    raise NvsError(
        f"{_named(entry)}: there is no encoding {entry.encoding!r}; take {', '.join(ENCODINGS)}"
    )


def _number(entry: Entry, kind: int) -> bytes:
    value = entry.value
    if isinstance(value, (bytes, bool)):
        raise NvsError(f"{_named(entry)}: {entry.encoding} takes a number")
    try:
        return page.number(kind, _integer(value) if isinstance(value, str) else value)
    except (ValueError, struct.error):
        raise NvsError(
            f"{_named(entry)}: the value is no number that fits {entry.encoding}"
        ) from None


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return int(text, 0)


def _text(entry: Entry) -> str:
    value = entry.value
    if isinstance(value, int):
        raise NvsError(f"{_named(entry)}: {entry.encoding} takes text, not a number")
    try:
        text = value.decode() if isinstance(value, bytes) else value
        text.encode()
    except UnicodeError:
        raise NvsError(f"{_named(entry)}: the text is not UTF-8") from None
    return text


def _string(entry: Entry) -> bytes:
    data = _text(entry).encode() + b"\0"
    if data.index(0) != len(data) - 1:
        raise NvsError(f"{_named(entry)}: a string holds no NUL; store it as binary")
    if len(data) > STRING_LIMIT:
        raise ValueTooLong(
            f"{_named(entry)}: a string has at most {STRING_LIMIT - 1} bytes, not {len(data) - 1};"
            " store it as binary"
        )
    return data


def _blob(entry: Entry, encoding: str) -> bytes:
    if encoding == "binary" and isinstance(entry.value, bytes):
        return entry.value
    text = _text(entry)
    if encoding == "binary":
        return text.encode()
    try:
        if encoding == "hex2bin":
            return binascii.a2b_hex(text.strip())
        return binascii.a2b_base64("".join(text.split()), strict_mode=True)
    except ValueError:
        what = "hexadecimal digits, two a byte" if encoding == "hex2bin" else "Base64"
        raise NvsError(f"{_named(entry)}: the value is not {what}") from None


def _filled(entry: Entry, with_size: bool, length: int, fill: int) -> bytes:
    data = _text(entry).encode()
    if len(data) > length:
        raise ValueTooLong(f"{_named(entry)}: {len(data)} bytes are more than {length}")
    size = struct.pack("<I", len(data)) if with_size else b""
    return size + data.ljust(length, bytes([fill]))
