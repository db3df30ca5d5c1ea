"""What a chip does between reset and MicroPython: find the bootloader and the partition table.

Owns the checks and what is printed when there is nothing to run. Doesn't own the ROM's first
lines (models.py) nor what runs then (program.py).
"""

from host_tools.errors import CommandError
from host_tools.images import partitions
from host_tools.images.partitions import Layout
from host_tools.virtual_board import models
from host_tools.virtual_board.flash_chip import FlashChip

_MAGIC = 0xE9  # first byte of a bootloader, and of any image that the ROM loads


class NothingToRun(Exception):
    """There is no program in flash; the text is what the chip prints, again and again."""


def find(flash: FlashChip, chip: str) -> Layout:
    """Return how the flash is laid out, or raise NothingToRun."""
    header = flash.read(models.get(chip).bootloader, 4)
    if header[0] != _MAGIC:
        raise NothingToRun(f"invalid header: 0x{int.from_bytes(header, 'little'):08x}")
    try:
        table = flash.read(partitions.TABLE_OFFSET, partitions.TABLE_SIZE)
        layout = partitions.place(partitions.parse(table), flash.size)
    except CommandError:
        raise NothingToRun("E (31) boot: Failed to verify partition table") from None
    if layout.app is None or flash.read(layout.app.offset, 1)[0] != _MAGIC:
        raise NothingToRun("E (36) boot: No bootable app partitions in the partition table")
    if layout.vfs.end > flash.size:
        raise NothingToRun(f"E (36) boot: partition vfs exceeds flash chip size 0x{flash.size:x}")
    return layout
