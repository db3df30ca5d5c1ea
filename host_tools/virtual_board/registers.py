"""The registers of a virtual chip that a ROM loader's client reads and writes.

Owns the address space: the windows of eFuses and SPI, the few registers that do something, and
words for all others. Doesn't own what lies behind the windows.
"""

import struct
from collections.abc import Callable

from host_tools.virtual_board.efuses import Efuses
from host_tools.virtual_board.models import Model
from host_tools.virtual_board.spi_flash import SpiFlash

_USER_COMMAND = 1 << 18  # of SPI_CMD
_CRYSTAL = 40_000_000  # Hz
_STARTED = 1 << 31  # of the watchdog's first register


class Registers:
    """32-bit words by address; ValueError for an address that is not one of a word.

    baud: asks the UART its rate. watchdog: told when a client starts it to reset the chip.
    """

    def __init__(
        self,
        model: Model,
        efuses: Efuses,
        spi: SpiFlash,
        baud: Callable[[], int],
        watchdog: Callable[[], None],
    ):
        self._model, self._efuses, self._spi = model, efuses, spi
        self._baud, self._watchdog = baud, watchdog
        self._words = dict(model.registers)

    def strapped(self, download: bool) -> None:
        """Latch the strapping pins: whether the boot pin was low at reset."""
        self._words = dict(self._model.registers)
        self._words[self._model.strapping] = 0 if download else 1 << 3

    def read(self, address: int) -> int:
        """Return the word at an address."""
        _check(address)
        window = self._model.efuses
        if window.base <= address < window.base + window.size:
            return self._efuses.read_register(address - window.base)
        if address == self._model.clock_divider:
            return _CRYSTAL // self._baud()
        return self._words.get(address, 0)

    def write(self, address: int, value: int, mask: int) -> None:
        """Write the bits of a word that are in mask."""
        _check(address)
        window, model = self._model.efuses, self._model
        if mask != 0xFFFFFFFF:
            value = self.read(address) & ~mask | value & mask
        if window.base <= address < window.base + window.size:
            self._efuses.write_register(address - window.base, value)
        elif address == model.spi.base + model.spi.cmd:
            if value & _USER_COMMAND:
                self._spi_command()
        else:
            self._words[address] = value
            if address == model.watchdog and value & _STARTED:
                self._watchdog()

    def _spi_command(self) -> None:
        spi = self._model.spi
        code = self._words.get(spi.base + spi.usr2, 0) & 0xFF
        data = b"".join(
            struct.pack("<I", self._words.get(spi.base + spi.w0 + 4 * i, 0)) for i in range(16)
        )
        sent, wanted = self._lengths()
        answer = self._spi.command(code, self._spi_address(), data[:sent], wanted)
        self._words[spi.base + spi.w0] = answer & 0xFFFFFFFF

    def _lengths(self) -> tuple[int, int]:
        """Return the bytes to send and to receive; the registers hold bits less one."""
        spi = self._model.spi
        phases = self._words.get(spi.base + spi.usr1 - 4, 0)
        mosi, miso = (self._words.get(spi.base + spi.usr2 + step, 0) + 1 for step in (4, 8))
        sent = min(mosi, 512) // 8 if phases >> 27 & 1 else 0
        return sent, min(miso, 32) // 8 if phases >> 28 & 1 else 0

    def _spi_address(self) -> int:
        spi = self._model.spi
        phases = self._words.get(spi.base + spi.usr1 - 4, 0)
        if not phases >> 30 & 1:
            return 0
        address = self._words.get(spi.base + spi.addr, 0)
        bits = (self._words.get(spi.base + spi.usr1, 0) >> 26) + 1
        return address >> 32 - bits if spi.address_on_top else address & (1 << bits) - 1


def _check(address: int) -> None:
    if address % 4:
        raise ValueError(f"{address:#x} is not the address of a word")
