"""One page of a live NVS: entries are appended and marked erased, nothing is ever overwritten.

Owns what a chip may find on a page after power was cut at any byte, and how it is put right: an
entry counts when its state says written, and that of all its data; what is half there is marked
erased. Doesn't own which page is written to (store.py). The order of writes is that of ESP-IDF's
nvs_page.cpp: bytes first, then states; states of a longer entry from its end to its begin; but an
entry is erased after its data.
"""

import struct

import host_tools.nvs.page as page
from host_tools.nvs.errors import NvsError
from host_tools.nvs.memory_flash import Flash
from host_tools.nvs.page import Header, Item

CORRUPT = 0  # torn while it was erased or begun: as good as blank, once it is erased
_IN_WORD = 16  # states in the 4 bytes that are written at once


class LivePage:
    """A page upon flash at base, in bytes; items are the entries in force by their place."""

    def __init__(self, flash: Flash, base: int) -> None:
        """Read the page and mend it. Raises NvsError if a newer ESP-IDF wrote it."""
        self._flash = flash
        self.base = base
        self.sequence = 0
        self._clear()
        raw = flash.read(base, page.SIZE)
        self.state = self._read_header(raw)
        if self.in_use:
            self._read_entries(raw)

    def _clear(self) -> None:
        self.state = page.BLANK
        self.items: dict[int, Item] = {}
        self._states = [page.EMPTY] * (page.ENTRIES + 2)  # the last two are spare
        self._next = 0

    def _read_header(self, raw: bytes) -> int:
        head = Header.read(raw)
        if head.state == page.BLANK:
            return CORRUPT if raw.strip(b"\xff") else page.BLANK
        if head.state not in (page.ACTIVE, page.FULL, page.FREEING) or not head.valid:
            return CORRUPT
        if head.version < page.VERSION_2:
            raise NvsError(f"the NVS page at 0x{self.base:x} is of a newer version than ours")
        self.sequence = head.sequence
        return head.state

    def _read_entries(self, raw: bytes) -> None:
        table = int.from_bytes(raw[page.STATES : page.FIRST], "little")
        self._states = [(table >> (place * 2)) & 3 for place in range(page.ENTRIES + 2)]
        self._next = page.ENTRIES
        if self.state == page.ACTIVE:
            self._find_end(raw)
        place = 0
        while place < self._next:
            place += self._read_entry(raw, place)

    def _find_end(self, raw: bytes) -> None:
        # not the first that is empty, as in ESP-IDF: power that goes again while a torn entry is
        # erased leaves empty places among erased ones, and what is written there meets those
        used = [
            place
            for place, state in enumerate(self._states[: page.ENTRIES])
            if state != page.EMPTY
        ]
        self._next = used[-1] + 1 if used else 0
        # power may have gone between an entry's bytes and its state
        while self._next < page.ENTRIES and _entry(raw, self._next)[:4] != b"\xff" * 4:
            self._mark(self._next, self._next + 1, page.ERASED)
            self._next += 1

    def _read_entry(self, raw: bytes, place: int) -> int:
        """Take or erase the entry at place; return how many places it has."""
        if self._states[place] != page.WRITTEN:
            if self.state == page.ACTIVE and self._states[place] != page.ERASED:
                self._mark(place, place + 1, page.ERASED)
            return 1
        item = Item.read(_entry(raw, place))
        if item is None:
            self._mark(place, place + 1, page.ERASED)
            return 1
        end = min(place + max(item.span, 1), page.ENTRIES)
        if (
            not item.fits
            or end != place + item.span
            or any(state != page.WRITTEN for state in self._states[place:end])
        ):
            self._erase(place, end)
            self._next = max(self._next, end)
        else:
            self.items[place] = item
        return end - place

    @property
    def in_use(self) -> bool:
        """Tell whether the page holds entries, or is to hold them next."""
        return self.state in (page.ACTIVE, page.FULL, page.FREEING)

    @property
    def used(self) -> int:
        """How many places are taken by entries in force."""
        return sum(item.span for item in self.items.values())

    @property
    def free(self) -> int:
        """How many places can still be written to."""
        if self.state == page.BLANK:
            return page.ENTRIES
        return page.ENTRIES - self._next if self.state == page.ACTIVE else 0

    @property
    def room(self) -> int:
        """How many bytes of data fit, besides the entry before them."""
        return max(self.free - 1, 0) * page.ENTRY

    def data(self, place: int) -> bytes | None:
        """Return the bytes behind the entry at place, None if their CRC is wrong."""
        item = self.items[place]
        where = self.base + page.FIRST + (place + 1) * page.ENTRY
        data = self._flash.read(where, item.length)
        return data if page.crc(data) == item.data_crc else None

    def write(self, item: Item, data: bytes = b"") -> int:
        """Append an entry, for which there must be room; return its place."""
        if self.state == page.BLANK:
            self._begin()
        place = self._next
        self._append(item.pack())
        whole = len(data) - len(data) % page.ENTRY
        if whole:
            self._append(data[:whole])
        if data[whole:]:
            self._append(data[whole:].ljust(page.ENTRY, b"\xff"))
        self.items[place] = item
        return place

    def _begin(self) -> None:
        self._flash.write(self.base, page.header(page.ACTIVE, self.sequence))
        self.state = page.ACTIVE

    def _append(self, raw: bytes) -> None:
        end = self._next + len(raw) // page.ENTRY
        self._flash.write(self.base + page.FIRST + self._next * page.ENTRY, raw)
        self._mark(self._next, end, page.WRITTEN)
        self._next = end

    def erase_entry(self, place: int) -> None:
        """Mark an entry and its data erased."""
        self._erase(place, place + self.items[place].span)
        del self.items[place]

    def _erase(self, begin: int, end: int) -> None:
        # the entry last, where ESP-IDF may be cut off with it erased and its data not: bytes of a
        # blob that look like an entry would be one
        if end - begin > 1:
            self._mark(begin + 1, end, page.ERASED)
        self._mark(begin, begin + 1, page.ERASED)

    def _mark(self, begin: int, end: int, state: int) -> None:
        for place in range(begin, end):
            self._states[place] = state
        for word in range((end - 1) // _IN_WORD, begin // _IN_WORD - 1, -1):
            bits = 0
            for state in reversed(self._states[word * _IN_WORD : (word + 1) * _IN_WORD]):
                bits = bits << 2 | state
            self._flash.write(self.base + page.STATES + word * 4, struct.pack("<I", bits))

    def turn(self, state: int) -> None:
        """Write the page's next state: FULL or FREEING."""
        self._flash.write(self.base, struct.pack("<I", state))
        self.state = state

    def copy_to(self, other: "LivePage") -> None:
        """Append all entries in force to another page."""
        for place, item in self.items.items():
            other.write(item, self._raw(place, item))

    def _raw(self, place: int, item: Item) -> bytes:
        # not data(): what is damaged is moved as it is, for whoever reads it to find out
        where = self.base + page.FIRST + (place + 1) * page.ENTRY
        return self._flash.read(where, (item.span - 1) * page.ENTRY)

    def erase(self) -> None:
        """Make the page blank."""
        self._flash.erase(self.base, page.SIZE)
        self._clear()


def _entry(raw: bytes, place: int) -> bytes:
    return raw[page.FIRST + place * page.ENTRY : page.FIRST + (place + 1) * page.ENTRY]
