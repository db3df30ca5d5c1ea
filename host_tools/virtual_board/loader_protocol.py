"""What the loaders of ROM and stub have in common: commands, errors, and what they work upon.

Source: esptool's "Serial Protocol" documentation.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from host_tools.virtual_board.efuses import Efuses
from host_tools.virtual_board.flash_chip import FlashChip
from host_tools.virtual_board.models import Model
from host_tools.virtual_board.registers import Registers


class Op:
    """The commands that the ROM knows, and the stub, too."""

    FLASH_BEGIN, FLASH_DATA, FLASH_END = 0x02, 0x03, 0x04
    MEM_BEGIN, MEM_END, MEM_DATA = 0x05, 0x06, 0x07
    SYNC, WRITE_REG, READ_REG = 0x08, 0x09, 0x0A
    SPI_SET_PARAMS, SPI_ATTACH, READ_FLASH_SLOW, CHANGE_BAUD = 0x0B, 0x0D, 0x0E, 0x0F
    DEFLATE_BEGIN, DEFLATE_DATA, DEFLATE_END = 0x10, 0x11, 0x12
    SPI_FLASH_MD5, SECURITY_INFO = 0x13, 0x14


class Error:
    """What the ROM says went wrong."""

    INVALID, FAILED, BAD_CHECKSUM = 0x05, 0x06, 0x07
    WRITE, LENGTH, DEFLATE = 0x08, 0x0A, 0x0B


LONGEST = 2 * 0x4000 + 64  # bytes of a frame on the wire: every byte of a stub's block escaped

ROM_FLASH_SIZE = 2 << 20  # bytes, what the ROM takes the flash for before SPI_SET_PARAMS


class Refused(Exception):
    """A command that fails; the argument is the error byte of the reply."""


class Jumped(Exception):
    """A command that never returns to the loader: there is no reply."""


@dataclass
class Board:
    """What a loader works upon, and what it can do to its chip once its reply is sent."""

    model: Model
    flash: FlashChip
    efuses: Efuses
    registers: Registers
    set_baud: Callable[[int], None]
    start_stub: Callable[[], None]
    run_program: Callable[[], None]
    restart: Callable[[], None]  # a software reset: the strapping pins stay as they were latched
    flash_size: int = field(default=ROM_FLASH_SIZE)  # as the chip was told


def checksum(data: bytes) -> int:
    """Return 0xEF xor all bytes of data."""
    number, length = int.from_bytes(data, "little"), len(data)
    while length > 1:  # fold one half upon the other
        length = length + 1 >> 1
        number = number >> 8 * length ^ number & (1 << 8 * length) - 1
    return 0xEF ^ number
