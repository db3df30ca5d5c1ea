"""The pages of a live NVS: which is written to, which come before it, which are free.

Owns how a new page is taken, and how the room of erased entries is won back when only one page is
free: the emptiest is moved to it. Doesn't own what the entries mean (store.py). Follows ESP-IDF
5's nvs_pagemanager.cpp; what was under way when power went is done again.
"""

from collections.abc import Iterator

import host_tools.nvs.live_page as live_page
import host_tools.nvs.page as page
from host_tools.nvs.errors import NoFreePages, NotEnoughSpace
from host_tools.nvs.live_page import LivePage
from host_tools.nvs.memory_flash import Flash, Region
from host_tools.nvs.writer import check_size


class PageList:
    """The pages in use, the oldest first; current is the one that is written to."""

    def __init__(self, flash: Flash, region: Region) -> None:
        """Load all pages and mend them. Raises NvsError."""
        check_size(region.size)
        bases = range(region.offset, region.offset + region.size, page.SIZE)
        pages = [LivePage(flash, base) for base in bases]
        self.count = len(pages)
        self._used = sorted((one for one in pages if one.in_use), key=lambda one: one.sequence)
        self._free = [one for one in pages if not one.in_use]
        for torn in (one for one in self._free if one.state == live_page.CORRUPT):
            torn.erase()  # at once, where ESP-IDF waits until it needs the page
        self._sequence = self._used[-1].sequence + 1 if self._used else 0
        self._finish_freeing()
        if not self._free:
            raise NoFreePages("NVS has no free page: make its partition at least 0x3000 bytes")
        if not self._used:
            self._activate()

    def __iter__(self) -> Iterator[LivePage]:
        return iter(list(self._used))

    @property
    def current(self) -> LivePage:
        """Return the page that is written to; it may be full."""
        return self._used[-1]

    def turn(self) -> None:
        """End the present page and begin another, of which some may be taken by moved entries."""
        if self._used[-1].state == page.ACTIVE:
            self._used[-1].turn(page.FULL)
        if len(self._free) > 1:
            self._activate()
            return
        emptiest = min(self._used, key=lambda one: one.used)
        if emptiest.used == page.ENTRIES:
            raise full()
        emptiest.turn(page.FREEING)
        self._move(emptiest)

    def _activate(self) -> None:
        if not self._free:
            raise full()
        taken = self._free.pop(0)
        taken.sequence = self._sequence
        self._sequence += 1
        self._used.append(taken)

    def _move(self, freeing: LivePage) -> None:
        self._activate()
        freeing.copy_to(self._used[-1])
        freeing.erase()
        self._used.remove(freeing)
        self._free.append(freeing)

    def _finish_freeing(self) -> None:
        """Do again what was under way when power went while a page's entries were moved."""
        for freeing in [one for one in self._used if one.state == page.FREEING]:
            copy = self._used[-1]
            if copy.state == page.ACTIVE:
                copy.erase()
                self._used.remove(copy)
                self._free.append(copy)
            self._move(freeing)
            break  # no chip leaves two


def full() -> NotEnoughSpace:
    """Return what to raise when no room is left."""
    return NotEnoughSpace("NVS is full: erase keys, or give its partition more room")
