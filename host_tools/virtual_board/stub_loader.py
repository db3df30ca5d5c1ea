"""esptool's flasher stub, pretended: the loader that follows the ROM's once it was uploaded.

Owns the commands that only a stub has and how its replies differ from the ROM's. Source: esptool's
"Serial Protocol" and esp-flasher-stub.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from host_tools.virtual_board.download import Download
from host_tools.virtual_board.flash_chip import SECTOR
from host_tools.virtual_board.loader_protocol import Board, Refused
from host_tools.virtual_board.rom_loader import RomLoader

ERASE_FLASH, ERASE_REGION, READ_FLASH, RUN_USER_CODE = 0xD0, 0xD1, 0xD2, 0xD3
GREETING = b"OHAI"
_FAILED_SPI = 0xC4


@dataclass
class _Reading:
    offset: int  # of what is sent next
    end: int
    block: int
    ahead: int  # blocks that may be sent before the first of them is acknowledged
    start: int
    acknowledged: int = 0


class StubLoader(RomLoader):
    """One run of the stub."""

    sync_value = 0
    tail = b""
    error_bad_length, error_bad_checksum, error_unknown = 0xC0, 0xC1, 0xFF
    error_write, error_deflate = _FAILED_SPI, 0xC7
    md5_in_hex = False

    def __init__(self, board: Board):
        super().__init__(board)
        board.flash_size = board.flash.size
        self._reading: _Reading | None = None
        self._commands[ERASE_FLASH] = self._erase_flash
        self._commands[ERASE_REGION] = self._erase_region
        self._commands[READ_FLASH] = self._read_flash

    def answer(self, frame: bytes) -> Iterable[bytes]:
        """Return the frames that answer a request, or what is read next once one is confirmed."""
        if self._reading:
            if len(frame) == 4:
                return self._confirmed(self._reading, int.from_bytes(frame, "little"))
            self._reading = None
        if frame[:2] == bytes((0, RUN_USER_CODE)):
            self.after = self.board.run_program
            return []
        replies = list(super().answer(frame))
        return replies + self._next_blocks(self._reading) if self._reading else replies

    def _begin(self, kind: type[Download], offset: int, size: int, encrypted: bool) -> None:
        if encrypted:
            raise Refused(_FAILED_SPI)
        self._check(offset, size)
        self._download = kind(self.board.flash, offset, size)

    def _flash_end(self, body: bytes, check: int) -> int:
        (stay,) = struct.unpack_from("<I", body)
        self._download = None
        if not stay:
            self.after = self.board.restart
        return 0

    def _erase_flash(self, body: bytes, check: int) -> int:
        self.board.flash.erase(0, self.board.flash.size)
        return 0

    def _erase_region(self, body: bytes, check: int) -> int:
        offset, size = struct.unpack_from("<II", body)
        if offset % SECTOR or size % SECTOR:
            raise Refused(_FAILED_SPI)
        self._check(offset, size)
        self.board.flash.erase(offset, size)
        return 0

    def _read_flash(self, body: bytes, check: int) -> int:
        offset, size, block, ahead = struct.unpack_from("<IIII", body)
        if not 0 < block <= 4 * SECTOR or not ahead:
            raise Refused(self.error_bad_length)
        self._check(offset, size)
        self._reading = _Reading(offset, offset + size, block, ahead, offset)
        return 0

    def _confirmed(self, reading: _Reading, total: int) -> list[bytes]:
        reading.acknowledged = total
        if total < reading.end - reading.start:
            return self._next_blocks(reading)
        self._reading = None
        return [self.digest(reading.start, reading.end - reading.start)]

    def _next_blocks(self, reading: _Reading) -> list[bytes]:
        blocks: list[bytes] = []
        limit = reading.start + reading.acknowledged + reading.ahead * reading.block
        while reading.offset < min(reading.end, limit):
            size = min(reading.block, reading.end - reading.offset)
            blocks.append(self.board.flash.read(reading.offset, size))
            reading.offset += size
        return blocks
