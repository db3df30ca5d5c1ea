"""Write an NVS partition from entries: version 2 pages, equal to the last byte to those of
esp-idf-nvs-partition-gen 0.3 for the same entries.

Owns where entries go. Doesn't own their layout (page.py) nor their values (entry.py). This is the
one truth of how an image is made; template.py only repeats its result faster.
"""

from collections.abc import Iterable

import host_tools.nvs.page as page
from host_tools.nvs.entry import Entry, Prepared, prepare
from host_tools.nvs.errors import NotEnoughSpace, NvsError, ValueTooLong
from host_tools.nvs.page import Item
from host_tools.nvs.wifi_extras import with_extras

NAMESPACES = 254
LARGEST = 64 << 20  # bytes: more than any chip's flash has
READ_WRITE = 3 * page.SIZE  # the least that a chip can write to


def partition(entries: Iterable[Entry], size: int) -> bytes:
    """Return the image of a partition of size bytes, with one page kept free as a chip needs it.

    As the tool does it, less than 0x3000 bytes make a read-only partition: without a free page,
    and not filled up to its size. Raises NvsError.
    """
    check_size(size)
    writable = size >= READ_WRITE
    pages = _Pages(size // page.SIZE - writable)
    namespaces: dict[str, int] = {}
    for entry in prepare(with_extras(entries)):
        if entry.namespace not in namespaces:
            namespaces[entry.namespace] = _open(pages, entry.namespace, len(namespaces) + 1)
        _write(pages, entry, namespaces[entry.namespace])
    image = pages.image()
    return image.ljust(size, b"\xff") if writable else image


def check_size(size: int) -> None:
    """Raise NvsError if size can not be a partition's."""
    if size < page.SIZE or size % page.SIZE or size > LARGEST:
        raise NvsError(
            f"a partition of {size} bytes can not hold NVS: take a multiple of {page.SIZE},"
            f" at least {READ_WRITE}, at most {LARGEST >> 20} MiB"
        )


def _open(pages: "_Pages", name: str, index: int) -> int:
    if index > NAMESPACES:
        raise NotEnoughSpace(f"NVS holds {NAMESPACES} namespaces, {name!r} is one more")
    pages.put(Item(0, page.U8, 1, page.ANY_CHUNK, name, page.number(page.U8, index)))
    return index


def _write(pages: "_Pages", entry: Prepared, namespace: int) -> None:
    if entry.kind == page.OLD_BLOB:
        _write_blob(pages, entry, namespace)
        return
    if entry.kind != page.STRING:
        pages.put(Item(namespace, entry.kind, 1, page.ANY_CHUNK, entry.key, entry.data))
        return
    span = page.span(len(entry.data))
    if pages.free <= span:  # the tool leaves the last entry free
        pages.turn()
    body = page.measure(entry.data)
    pages.put(Item(namespace, page.STRING, span, page.ANY_CHUNK, entry.key, body), entry.data)


def _write_blob(pages: "_Pages", entry: Prepared, namespace: int) -> None:
    if not pages.free:
        pages.turn()
    chunks, written, length = 0, 0, len(entry.data)
    while True:
        room = (pages.free - 1) * page.ENTRY
        data = entry.data[written : written + room]
        span, body = page.span(len(data)), page.measure(data)
        pages.put(Item(namespace, page.BLOB_DATA, span, chunks, entry.key, body), data)
        chunks, written = chunks + 1, written + len(data)
        if chunks > page.CHUNKS:
            raise ValueTooLong(f"key {entry.key!r}: {length} bytes are more than a blob has")
        if written < length or room - len(data) < page.ENTRY:
            pages.turn()
        if written == length:
            break
    body = page.index(length, chunks)
    pages.put(Item(namespace, page.BLOB_INDEX, 1, page.ANY_CHUNK, entry.key, body))


class _Pages:
    """Pages being filled, one after the other."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._full: list[bytes] = []
        self._entries = bytearray()

    @property
    def free(self) -> int:
        """How many entries the present page has left."""
        return page.ENTRIES - len(self._entries) // page.ENTRY

    def put(self, item: Item, data: bytes = b"") -> None:
        """Append an entry with its data, to the next page if the present one has no entry left."""
        if not self.free:
            self.turn()
        self._entries += item.pack() + page.padded(data)

    def turn(self) -> None:
        """Begin the next page. Raises NotEnoughSpace."""
        if len(self._full) + 1 >= self._limit:
            size = self._limit * page.SIZE
            raise NotEnoughSpace(
                f"the entries do not fit the {size} bytes of the partition that may be filled:"
                " make it larger"
            )
        self._full.append(self._page(page.FULL))
        self._entries.clear()

    def image(self) -> bytes:
        """Return all pages, the present one active."""
        return b"".join((*self._full, self._page(page.ACTIVE)))

    def _page(self, state: int) -> bytes:
        head = page.header(state, len(self._full))
        written = len(self._entries) // page.ENTRY
        return (head + page.states(written) + self._entries).ljust(page.SIZE, b"\xff")
