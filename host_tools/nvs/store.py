"""A live NVS upon NOR flash, as the chip keeps it: esp32.NVS of the virtual board.

Owns where the next entry goes, how the room of erased ones is won back, and what is done about
power that went away: whichever byte was the last to be written, every key has its old value or
its new one afterwards. Doesn't own a page (live_page.py). Follows ESP-IDF 5's nvs_storage.cpp and
nvs_pagemanager.cpp: new entry first, old one erased then; a blob's chunks first, its index then,
in turns from the numbers 0 and 128; one page is kept free for collecting garbage.
"""

from collections.abc import Collection, Iterator

import host_tools.nvs.page as page
from host_tools.nvs.errors import (
    NotEnoughSpace,
    NotFound,
    NvsError,
    ValueTooLong,
)
from host_tools.nvs.live_page import LivePage
from host_tools.nvs.memory_flash import Flash, MemoryFlash, Region
from host_tools.nvs.page import Item
from host_tools.nvs.page_list import PageList, full
from host_tools.nvs.writer import NAMESPACES

_SECOND = 0x80  # number of the first chunk of every other version of a blob
_TAIL = page.CHUNK // 10  # bytes; a blob does not begin in less
_Place = tuple[LivePage, int]


class Store:
    """The values in a region of the flash. Keys are found by namespace; all raise NvsError."""

    def __init__(self, flash: Flash, region: Region) -> None:
        """Load all pages and mend what a power cut left. Raises NvsError."""
        self._pages = PageList(flash, region)
        self._erase_older()
        self._erase_orphans()

    def open_namespace(self, namespace: str) -> None:
        """Make a namespace, if it is not there, as esp32.NVS(namespace) does."""
        self._namespace(namespace)

    def get_i32(self, namespace: str, key: str) -> int:
        """Return a number. Raises NotFound."""
        for where, place in self._all(self._number(namespace, key), key, page.I32):
            return where.items[place].number
        raise _missing(namespace, key)

    def get_blob(self, namespace: str, key: str) -> bytes:
        """Return a blob's bytes. Raises NotFound, also for one that is damaged."""
        number = self._number(namespace, key)
        found = [*self._all(number, key, page.BLOB_INDEX), *self._all(number, key, page.OLD_BLOB)]
        if not found:
            raise _missing(namespace, key)
        data = self._blob(*found[0])
        if data is None:
            self._erase_key(number, key)
            raise NotFound(f"NVS had a blob {key!r} in namespace {namespace!r}; it is damaged")
        return data

    def set_i32(self, namespace: str, key: str, value: int) -> None:
        """Store a number of 32 bits. Raises NotEnoughSpace; the old value is kept then."""
        page.check_name(key, "key")
        if not -(2**31) <= value < 2**31:
            raise NvsError(f"key {key!r}: the value has more than 32 bits")
        number = self._namespace(namespace)
        body = page.number(page.I32, value)
        if not self._same(number, key, page.I32, body):
            kept = self._append(Item(number, page.I32, 1, page.ANY_CHUNK, key, body))
            self._erase_key(number, key, [kept])

    def set_blob(self, namespace: str, key: str, value: bytes) -> None:
        """Store bytes. Raises NotEnoughSpace or ValueTooLong; the old value is kept then."""
        page.check_name(key, "key")
        pages = min(self._pages.count - 1, page.CHUNKS)
        if len(value) > pages * page.CHUNK:
            raise ValueTooLong(
                f"a blob of {len(value)} bytes: NVS takes {pages * page.CHUNK} here"
            )
        number = self._namespace(namespace)
        start = 0
        for where, place in self._all(number, key, page.BLOB_INDEX):
            if self._blob(where, place) == value:
                return
            start = 0 if where.items[place].index[2] else _SECOND
        self._erase_key(number, key, self._write_blob(number, key, value, start))

    def erase_key(self, namespace: str, key: str) -> None:
        """Remove a value of any kind. Raises NotFound."""
        number = self._number(namespace, key)
        if not any(self._all(number, key)):
            raise _missing(namespace, key)
        self._erase_key(number, key)

    def commit(self) -> None:
        """Do nothing, as in ESP-IDF: all is on flash as soon as it is set."""

    def _namespaces(self) -> dict[str, int]:
        return {
            item.key: item.number
            for one in self._pages
            for item in one.items.values()
            if item.namespace == 0 and item.kind == page.U8
        }

    def _namespace(self, name: str) -> int:
        known = self._namespaces()
        if name in known:
            return known[name]
        page.check_name(name, "namespace")
        taken = set(known.values())
        for number in range(1, NAMESPACES + 1):
            if number not in taken:
                body = page.number(page.U8, number)
                self._append(Item(0, page.U8, 1, page.ANY_CHUNK, name, body))
                return number
        raise NotEnoughSpace(f"NVS holds {NAMESPACES} namespaces, {name!r} is one more")

    def _number(self, namespace: str, key: str) -> int:
        number = self._namespaces().get(namespace)
        if number is None:
            raise _missing(namespace, key)
        return number

    def _all(self, number: int, key: str, kind: int = 0) -> Iterator[_Place]:
        """Yield where the entries of a key are, or those of one kind; no others may be written."""
        for one in list(self._pages):
            for place, item in list(one.items.items()):
                if item.namespace == number and item.key == key and kind in (0, item.kind):
                    yield one, place

    def _same(self, number: int, key: str, kind: int, body: bytes) -> bool:
        return any(
            where.items[place].kind == kind and where.items[place].body == body
            for where, place in self._all(number, key)
        )

    def _blob(self, where: LivePage, place: int) -> bytes | None:
        """Return the bytes of a blob, None if they are damaged."""
        item = where.items[place]
        if item.kind == page.OLD_BLOB:
            return where.data(place)
        length, count, start = item.index
        parts = [self._chunk(item.namespace, item.key, start + n) for n in range(count)]
        data = b"".join(part for part in parts if part is not None)
        return None if None in parts or len(data) != length else data

    def _chunk(self, number: int, key: str, chunk: int) -> bytes | None:
        for where, place in self._all(number, key, page.BLOB_DATA):
            if where.items[place].chunk == chunk:
                return where.data(place)
        return None

    def _append(self, item: Item) -> _Place:
        """Write an entry without data. Raises NotEnoughSpace."""
        if not self._pages.current.free:
            self._pages.turn()
        if not self._pages.current.free:
            raise full()
        return self._pages.current, self._pages.current.write(item)

    def _write_blob(self, number: int, key: str, value: bytes, start: int) -> set[_Place]:
        """Write chunks and index; return where they are. Leaves nothing if there is no room."""
        try:
            chunks = self._write_chunks(number, key, value, start)
        except NotEnoughSpace:
            self._erase_chunks(number, key, start)
            raise
        body = page.index(len(value), chunks, start)
        written = {self._append(Item(number, page.BLOB_INDEX, 1, page.ANY_CHUNK, key, body))}
        for where, place in self._all(number, key, page.BLOB_DATA):
            if start <= where.items[place].chunk < start + chunks:
                written.add((where, place))
        return written

    def _write_chunks(self, number: int, key: str, value: bytes, start: int) -> int:
        chunks, done = 0, 0
        room = self._pages.current.room
        if room < _TAIL and (room < len(value) or not room):
            self._pages.turn()
            if self._pages.current.room == room:
                raise full()
        while True:
            room = self._pages.current.room
            if not room:
                raise full()
            data = value[done : done + room]
            body, span = page.measure(data), page.span(len(data))
            item = Item(number, page.BLOB_DATA, span, start + chunks, key, body)
            self._pages.current.write(item, data)
            chunks, done = chunks + 1, done + len(data)
            if done < len(value) or room - len(data) < page.ENTRY:
                self._pages.turn()
            if done == len(value):
                return chunks

    def _erase_chunks(self, number: int, key: str, start: int) -> None:
        for where, place in list(self._all(number, key, page.BLOB_DATA)):
            if start <= where.items[place].chunk < start + _SECOND:
                where.erase_entry(place)

    def _erase_key(self, number: int, key: str, kept: Collection[_Place] = ()) -> None:
        """Erase the entries of a key but the kept ones, those that make others count first."""
        places = [found for found in self._all(number, key) if found not in kept]
        places.sort(key=lambda found: found[0].items[found[1]].kind == page.BLOB_DATA)
        for where, place in places:
            where.erase_entry(place)

    def _erase_older(self) -> None:
        """Of two entries of a key keep the newer: power went before the older was erased."""
        newest: dict[tuple[int, str], _Place] = {}
        for one in self._pages:
            for place, item in list(one.items.items()):
                if item.kind == page.BLOB_DATA:
                    continue
                older = newest.pop((item.namespace, item.key), None)
                newest[item.namespace, item.key] = one, place
                if older:
                    older[0].erase_entry(older[1])

    def _erase_orphans(self) -> None:
        """Erase chunks of blobs whose index is not there, or names others."""
        owned = set()
        for one in self._pages:
            for item in one.items.values():
                if item.kind == page.BLOB_INDEX:
                    _, count, start = item.index
                    owned |= {(item.namespace, item.key, start + n) for n in range(count)}
        for one in self._pages:
            for place, item in list(one.items.items()):
                name = item.namespace, item.key, item.chunk
                if item.kind == page.BLOB_DATA and name not in owned:
                    one.erase_entry(place)


def settled(image: bytes) -> bytes:
    """Return an image as a chip would leave it after its start: fit for reader.read.

    For an image that was read from a board which may have lost power. Raises NvsError.
    """
    flash = MemoryFlash(image)
    Store(flash, _Whole(0, len(image)))
    return bytes(flash.content)


class _Whole:
    def __init__(self, offset: int, size: int) -> None:
        self.offset = offset
        self.size = size


def _missing(namespace: str, key: str) -> NotFound:
    return NotFound(f"NVS has no such key {key!r} in namespace {namespace!r}")
