"""Read an NVS image strictly: all it holds, or an error that says at which offset it is damaged.

Owns what counts as damage. Doesn't mend: what a power cut may leave behind is put right by
store.Store, as a chip does when it starts; `settled` does so to a copy of an image.

Erased entries are skipped; of two with the same key the newer one holds, as on the chip.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import host_tools.nvs.page as page
from host_tools.nvs.entry import NUMBERS, Value
from host_tools.nvs.errors import NvsError
from host_tools.nvs.page import Header, Item

_STATES = (page.ACTIVE, page.FULL, page.FREEING)
_TYPES = {kind: name for name, kind in NUMBERS.items()}


@dataclass(frozen=True)
class Found:
    """An entry that is in force, where it lies (bytes from the begin), and its data."""

    offset: int
    item: Item
    data: bytes = field(repr=False, default=b"")


@dataclass(frozen=True)
class Stored:
    """A value as it is stored. type: u8 to i64, string, blob; size: bytes, without a NUL."""

    namespace: str
    key: str
    type: str
    size: int
    value: Value = field(repr=False)  # it may be a device key


def read(image: bytes) -> dict[tuple[str, str], Value]:
    """Return the values by namespace and key: numbers as int, strings as str, blobs as bytes.

    The image is a plain one (see encryption.decrypt), of whole pages. Raises NvsError.
    """
    return {(one.namespace, one.key): one.value for one in stored(image)}


def stored(image: bytes) -> list[Stored]:
    """Return what read() does, with types and sizes. Raises NvsError."""
    found = [entry for _, offset in _pages(image) for entry in _entries(image, offset)]
    namespaces = _namespaces(found)
    chunks = {
        (entry.item.namespace, entry.item.key, entry.item.chunk): entry
        for entry in found
        if entry.item.kind == page.BLOB_DATA
    }
    values: dict[tuple[str, str], Stored] = {}
    for entry in found:
        if entry.item.namespace and entry.item.kind != page.BLOB_DATA:
            if entry.item.namespace not in namespaces:
                raise _damaged(entry.offset, "its namespace has no name")
            one = _stored(namespaces[entry.item.namespace], entry, _value(entry, chunks))
            values[one.namespace, one.key] = one
    return list(values.values())


def _stored(namespace: str, entry: Found, value: Value) -> Stored:
    if isinstance(value, int):
        kind, size = _TYPES[entry.item.kind], int(_TYPES[entry.item.kind][1:]) // 8
    elif isinstance(value, str):
        kind, size = "string", len(value.encode())
    else:
        kind, size = "blob", len(value)
    return Stored(namespace, entry.item.key, kind, size, value)


def _damaged(offset: int, why: str) -> NvsError:
    return NvsError(f"the NVS image is damaged at 0x{offset:x}: {why}")


def _pages(image: bytes) -> list[tuple[int, int]]:
    """Return sequence number and offset of the pages in use, the oldest first."""
    if not image or len(image) % page.SIZE:
        raise NvsError(
            f"an NVS image has whole pages of {page.SIZE} bytes; this one has {len(image)} bytes"
        )
    pages: dict[int, int] = {}
    for offset in range(0, len(image), page.SIZE):
        head = Header.read(image[offset : offset + page.ENTRY])
        if head.state == page.BLANK:
            _check_blank(image, offset)
            continue
        if head.state not in _STATES:
            raise _damaged(offset, f"a page has no state 0x{head.state:08x}; is it encrypted?")
        if not head.valid:
            raise _damaged(offset + 28, "the CRC of the page's header is wrong")
        if head.version not in (page.VERSION_1, page.VERSION_2):
            raise _damaged(offset + 8, f"pages of version 0x{head.version:02x} are not known")
        if head.sequence in pages:
            raise _damaged(offset + 4, f"a second page has the number {head.sequence}")
        pages[head.sequence] = offset
    return sorted(pages.items())


def _check_blank(image: bytes, offset: int) -> None:
    content = image[offset : offset + page.SIZE]
    rest = len(content.lstrip(b"\xff"))
    if rest:
        raise _damaged(offset + page.SIZE - rest, "a page that is not in use is not blank")


def _entries(image: bytes, offset: int) -> Iterator[Found]:
    """Yield the entries in force of the page at offset."""
    table = int.from_bytes(image[offset + page.STATES : offset + page.FIRST], "little")
    states = [(table >> (index * 2)) & 3 for index in range(page.ENTRIES)]
    index = 0
    while index < page.ENTRIES:
        where = offset + page.FIRST + index * page.ENTRY
        if states[index] == page.WRITTEN:
            item = _item(image, where)
            if any(state != page.WRITTEN for state in states[index : index + item.span]):
                raise _damaged(where, "the entry is not written to its end")
            if index + item.span > page.ENTRIES:
                raise _damaged(where + 2, "the entry is longer than its page")
            yield Found(where, item, _data(image, where, item))
            index += item.span
            continue
        if states[index] == page.EMPTY:
            _check_empty(image, where)
        elif states[index] != page.ERASED:
            raise _damaged(offset + page.STATES + index // 4, f"entry {index} has no state 1")
        index += 1


def _check_empty(image: bytes, where: int) -> None:
    if image[where : where + page.ENTRY] != b"\xff" * page.ENTRY:
        raise _damaged(where, "something was written here and not finished")


def _item(image: bytes, where: int) -> Item:
    item = Item.read(image[where : where + page.ENTRY])
    if item is None:
        raise _damaged(where + 4, "the CRC of the entry is wrong; is the image encrypted?")
    if item.kind not in (*page.INTEGERS, *page.LONG, page.BLOB_INDEX):
        raise _damaged(where + 1, f"entries of kind 0x{item.kind:02x} are not known")
    if not item.fits:
        raise _damaged(where + 2, f"the entry says to take {item.span} places, which is wrong")
    return item


def _data(image: bytes, where: int, item: Item) -> bytes:
    if item.kind not in page.LONG:
        return b""
    data = image[where + page.ENTRY : where + page.ENTRY + item.length]
    if page.crc(data) != item.data_crc:
        raise _damaged(where + 28, f"the CRC of the {item.length} bytes behind it is wrong")
    return data


def _namespaces(found: list[Found]) -> dict[int, str]:
    names: dict[int, str] = {}
    for entry in found:
        if entry.item.namespace == 0:
            if entry.item.kind != page.U8:
                raise _damaged(entry.offset + 1, "a namespace's number is not an u8")
            names[entry.item.number] = entry.item.key
    return names


def _value(entry: Found, chunks: dict[tuple[int, str, int], Found]) -> Value:
    item = entry.item
    if item.kind in page.INTEGERS:
        return item.number
    if item.kind == page.OLD_BLOB:
        return entry.data
    if item.kind == page.STRING:
        return _string(entry)
    length, count, start = item.index
    parts = [chunks.get((item.namespace, item.key, start + number)) for number in range(count)]
    data = b"".join(part.data for part in parts if part is not None)
    if None in parts or len(data) != length:
        raise _damaged(
            entry.offset + 24, f"of a blob of {length} bytes only {len(data)} are there"
        )
    return data


def _string(entry: Found) -> str:
    try:
        text = entry.data.decode()
    except UnicodeError:
        raise _damaged(entry.offset + page.ENTRY, "a string is not UTF-8") from None
    if not text.endswith("\0"):
        raise _damaged(entry.offset + page.ENTRY, "a string does not end with NUL")
    return text[:-1]
