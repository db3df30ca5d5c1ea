"""The flash chip as the SPI bus sees it: commands of one byte, an address, data.

Owns identity, status registers, SFDP and the write-enable latch. Doesn't own what is stored
(flash_chip). Source: data sheets of the W25Q family, JESD216 for SFDP.
"""

import struct

from host_tools.virtual_board.flash_chip import SECTOR, FlashChip

MANUFACTURER, KIND = 0xEF, 0x40  # Winbond, W25Q
_WRITE_ENABLE, _QUAD_ENABLE = 0x02, 0x02  # bits of the first and of the second status register
_STATUS_READS, _STATUS_WRITES = (0x05, 0x35, 0x15), (0x01, 0x31, 0x11)
_ERASES = {0x20: SECTOR, 0x52: 32 << 10, 0xD8: 64 << 10}
_NOTHING = 0


class SpiFlash:
    """A flash chip's answers to SPI commands."""

    def __init__(self, chip: FlashChip):
        self._chip = chip
        self._status = [0, _QUAD_ENABLE, 0]
        self._sfdp = _sfdp(chip.size)

    @property
    def identity(self) -> bytes:
        """Return the three bytes of RDID: maker, kind, size as a power of two."""
        return bytes((MANUFACTURER, KIND, self._chip.size.bit_length() - 1))

    def command(self, code: int, address: int, data: bytes, n: int) -> int:
        """Do one command; return the n bytes of its answer as a number, first byte lowest."""
        if code == 0x9F:
            return int.from_bytes(self.identity, "little")
        if code == 0x5A:
            return int.from_bytes(self._sfdp[address : address + n].ljust(n, b"\xff"), "little")
        if code in _STATUS_READS:
            return self._status[_STATUS_READS.index(code)]
        if code == 0x03:
            return int.from_bytes(self._chip.read(address % self._chip.size, n), "little")
        if code in (0x06, 0x50):
            self._status[0] |= _WRITE_ENABLE
        elif code in (0x04, 0x99):
            self._status[0] &= ~_WRITE_ENABLE
        elif self._status[0] & _WRITE_ENABLE:
            self._change(code, address % self._chip.size, data)
        return _NOTHING

    def _change(self, code: int, address: int, data: bytes) -> None:
        if code in _STATUS_WRITES:
            first = _STATUS_WRITES.index(code)
            for index, value in enumerate(data[: 3 - first], first):
                self._status[index] = value
        elif code == 0x02:
            self._chip.write(address, data[: self._chip.size - address])
        elif code in _ERASES:
            self._chip.erase(address - address % _ERASES[code], _ERASES[code])
        elif code in (0x60, 0xC7):
            self._chip.erase(0, self._chip.size)
        self._status[0] &= ~_WRITE_ENABLE


def _sfdp(size: int) -> bytes:
    """Return the parameters that a W25Q of this size tells: header, and one basic table."""
    header = b"SFDP" + bytes((0x00, 0x01, 0x00, 0xFF))
    table_at = 0x30
    table_header = bytes((0x00, 0x00, 0x01, 9)) + table_at.to_bytes(3, "little") + b"\xff"
    table = struct.pack(
        "<9I", 0xFFF120E5, size * 8 - 1, 0x6B08EB44, 0xBB423B08, 0xFFFFFFEE, 0xFF00FFFF,
        0xFF00FFFF, 0x520F200C, 0xFF00D810,
    )  # fmt: skip
    return (header + table_header).ljust(table_at, b"\xff") + table
