"""An image that plays MicroPython's where the real one is not at hand: for rehearsals.

Well-formed from header to hash, so that every check and every tool takes it; there is no program
in it. The virtual board runs the Unix port of MicroPython in its place.
"""

import hashlib

import keystead
from host_tools.images import app_image, esp_image, partitions
from host_tools.images.esp_image import Segment
from host_tools.images.partitions import APP, DATA, NVS, PHY, Partition

PROJECT = "keystead-stand-in"
# what stock images have: MicroPython's partitions-4MiBplus.csv, partitions-2MiB.csv
STOCK = (
    Partition("nvs", DATA, NVS, 0x9000, 0x6000),
    Partition("phy_init", DATA, PHY, 0xF000, 0x1000),
    Partition("factory", APP, 0, 0x10000, 0x1F0000),
)
SMALL = (*STOCK[:2], Partition("factory", APP, 0, 0x10000, 0x160000))
_SIZE = 48 << 10  # bytes of the application: enough to take several blocks on the wire
# where a program's constants and its code are seen, and RAM for the bootloader's
_DROM = {"esp32": 0x3F400020, "esp32c3": 0x3C000020, "esp32s3": 0x3C000020}
_IRAM = {"esp32": 0x40080000, "esp32c3": 0x40380000, "esp32s3": 0x40378000}


def stand_in_image(chip: str, flash_size: int, app_size: int = _SIZE) -> bytes:
    """Return a merged image for the chip; its first byte belongs at the board's flash_offset.

    flash_size: bytes; 2 MiB gets MicroPython's small partition table. app_size: bytes of the
    application, which deflate to 2/3, about as MicroPython's. The same arguments, the same bytes.
    """
    table = partitions.pack(SMALL if flash_size <= 2 << 20 else STOCK)
    start = _IRAM[chip]
    boot = esp_image.build(chip, flash_size, start, [Segment(start, _filler(0x400))])
    offset = 0x1000 if chip == "esp32" else 0
    image = boot.ljust(partitions.TABLE_OFFSET - offset, b"\xff") + table
    return image.ljust(STOCK[-1].offset - offset, b"\xff") + _app(chip, flash_size, app_size)


def _app(chip: str, flash_size: int, size: int) -> bytes:
    body = _filler(size - app_image.DESCRIPTION.size)
    elf = hashlib.sha256(body).digest()
    said = app_image.pack(PROJECT, keystead.__version__, "none", elf)
    return esp_image.build(chip, flash_size, _IRAM[chip], [Segment(_DROM[chip], said + body)])


def _filler(size: int) -> bytes:
    """Bytes that deflate as code does: 32 of each 48 are chance."""
    blocks = (
        hashlib.sha256(b"%d" % number).digest() + bytes(16) for number in range(size // 48 + 1)
    )
    return b"".join(blocks)[: size // 4 * 4]
