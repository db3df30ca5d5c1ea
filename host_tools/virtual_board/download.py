"""A download into flash: where the next block goes, and what must be erased before.

Owns one FLASH_BEGIN or FLASH_DEFL_BEGIN up to its end. Doesn't own frames and checks (rom_loader).
"""

import zlib

from host_tools.virtual_board.flash_chip import SECTOR, FlashChip

_AT_ONCE = 64 << 10  # bytes inflated before they are written


class Download:
    """Writes what comes, one block after the other, from `offset` on."""

    class NotDeflated(Exception):
        """The stream can not be inflated."""

    def __init__(self, flash: FlashChip, offset: int, size: int):
        self._flash = flash
        self._next = offset
        self._erased = offset - offset % SECTOR  # up to here
        self._end = -(-(offset + size) // SECTOR) * SECTOR
        self.room = size  # bytes that may still come

    def erase_all(self) -> None:
        """Erase all that will be written, as the ROM does; a stub erases as it goes."""
        self._erase_to(self._end)

    def _erase_to(self, end: int) -> None:
        end = min(-(-end // SECTOR) * SECTOR, self._end, self._flash.size)
        if end > self._erased:
            self._flash.erase(self._erased, end - self._erased)
            self._erased = end

    def write(self, block: bytes) -> None:
        """Write a block; NotDeflated, or ValueError where there is no flash."""
        raise NotImplementedError

    def _put(self, data: bytes) -> None:
        self._erase_to(self._next + len(data))
        self._flash.write(self._next, data)
        self._next += len(data)
        self.room -= len(data)


class Plain(Download):
    """Blocks as they are, the last one filled up with 0xFF by the client."""

    def write(self, block: bytes) -> None:
        """Write a block; what lies beyond the size is padding."""
        self._put(block[: max(self.room, 0)])


class Deflated(Download):
    """Blocks of one zlib stream."""

    def __init__(self, flash: FlashChip, offset: int, size: int):
        super().__init__(flash, offset, size)
        self._inflate = zlib.decompressobj()

    def write(self, block: bytes) -> None:
        """Inflate a block and write what it makes."""
        while block:
            try:
                data = self._inflate.decompress(block, _AT_ONCE)
            except zlib.error:
                raise Download.NotDeflated from None
            if len(data) > self.room:
                raise ValueError("more than was announced")
            self._put(data)
            block = self._inflate.unconsumed_tail
