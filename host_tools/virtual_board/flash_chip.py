"""The flash chip of a virtual board: a file that keeps the rules of NOR flash.

Owns the file, what a write and an erase may do to it, and the moment at which power fails. Doesn't
own what lies in it (images, nvs) nor the SPI commands that reach it (spi_flash).
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from host_tools.errors import CommandError

SECTOR = 4096  # bytes, the least that can be erased
_CHUNK = 1 << 20
_BEGINNINGS = (b"", b"\xe9", b"\xff")  # of a file: empty, an image for offset 0, for a later one


class PowerCut(Exception):
    """The power went while the flash was being written: nothing runs any more."""


class FlashChip:
    """A NOR flash of `size` bytes upon a file; blank is 0xFF, writing only clears bits.

    The file is made if there is none and filled up with 0xFF if it is shorter and begins as a
    flash does; CommandError if not. It may be read by others at any time: nothing is held back in
    memory.
    """

    def __init__(self, path: Path, size: int):
        self.path, self.size = path, size
        # bytes that may still be written, and sectors that may be erased, before the power goes
        self.bytes_left: int | None = None
        self.sectors_left: int | None = None
        self.power_cut: Callable[[], None] = lambda: None  # told when it does
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._fill_up()
        except OSError as error:
            raise CommandError(f"can not use {path} as flash: {error.strerror}") from None

    def _fill_up(self) -> None:
        length = os.fstat(self._file).st_size
        if length > self.size:
            os.close(self._file)
            raise CommandError(
                f"{self.path} has {length} bytes, more than a flash of {self.size}:"
                " give a larger --flash-size or another file"
            )
        if length < self.size and os.pread(self._file, 1, 0) not in _BEGINNINGS:
            os.close(self._file)
            raise CommandError(
                f"{self.path} is no flash, it begins with another byte than 0xE9 or 0xFF:"
                " it was left as it is, name another file"
            )
        for offset in range(length, self.size, _CHUNK):
            self._put(offset, b"\xff" * min(_CHUNK, self.size - offset))

    def close(self) -> None:
        """Give the file back."""
        os.close(self._file)

    def read(self, offset: int, n: int) -> bytes:
        """Return n bytes; ValueError where there is no flash."""
        self._check(offset, n)
        return os.pread(self._file, n, offset)

    def write(self, offset: int, data: bytes) -> None:
        """Clear the bits that are 0 in data; ValueError where there is no flash; PowerCut."""
        self._check(offset, len(data))
        if self.bytes_left is not None:
            if len(data) > self.bytes_left:
                self._program(offset, data[: self.bytes_left])
                self._fail()
            self.bytes_left -= len(data)
        self._program(offset, data)

    def erase(self, offset: int, n: int) -> None:
        """Set n bytes to 0xFF, whole sectors only, else ValueError; PowerCut."""
        if offset % SECTOR or n % SECTOR:
            raise ValueError(f"can not erase {n} bytes at {offset:#x}: not whole sectors")
        self._check(offset, n)
        if self.sectors_left is not None:
            if n > self.sectors_left * SECTOR:
                # the sector that was being erased is left half done
                self._blank(offset, self.sectors_left * SECTOR + SECTOR // 2)
                self._fail()
            self.sectors_left -= n // SECTOR
        self._blank(offset, n)

    def _check(self, offset: int, n: int) -> None:
        if offset < 0 or n < 0 or offset + n > self.size:
            raise ValueError(f"{n} bytes at {offset:#x} are not within {self.size:#x} of flash")

    def _program(self, offset: int, data: bytes) -> None:
        there = os.pread(self._file, len(data), offset)
        if there.count(0xFF) != len(there):
            both = int.from_bytes(there, "little") & int.from_bytes(data, "little")
            data = both.to_bytes(len(there), "little")
        self._put(offset, data)

    def _blank(self, offset: int, n: int) -> None:
        for start in range(offset, offset + n, _CHUNK):
            self._put(start, b"\xff" * min(_CHUNK, offset + n - start))

    def _put(self, offset: int, data: bytes) -> None:
        written = os.pwrite(self._file, data, offset)
        while written < len(data):  # a full disk raises, a short write goes on
            written += os.pwrite(self._file, data[written:], offset + written)

    def _fail(self) -> NoReturn:
        self.bytes_left = self.sectors_left = None
        self.power_cut()
        raise PowerCut
