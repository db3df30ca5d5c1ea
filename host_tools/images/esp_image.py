"""The format of one ESP32 image, a bootloader or an application: header, segments, checksum, hash.

Source: ESP-IDF, "App Image Format" (esp_image_header_t, esp_image_segment_header_t): a header of
24 bytes, segments of address, length and data, padding so that the checksum (EF, and every byte of
data, exclusive or) is the last of 16 bytes, and a SHA-256 of all before. What an application says
of itself is in host_tools.images.app_image.
"""

import functools
import hashlib
import operator
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from host_tools.errors import CommandError

MAGIC = 0xE9
CHIP_IDS = {"esp32": 0, "esp32c3": 5, "esp32s3": 9}
# others there are, so that an error can name them: esp_chip_id_t
_NAMES = {2: "esp32s2", 12: "esp32c2", 13: "esp32c6", 16: "esp32h2", 18: "esp32p4"} | {
    number: name for name, number in CHIP_IDS.items()
}
# magic, segments, mode, size and speed, entry, pins and drive, chip, revisions, -, hash appended
HEADER = struct.Struct("<BBBBL4sHBHH4sB")
_SEGMENT = struct.Struct("<LL")
_NO_PINS = b"\xee\0\0\0"  # the ROM leaves the flash's write-protect pin alone
_MOST_SEGMENTS = 16  # ESP_IMAGE_MAX_SEGMENTS
_DIO = 2
_SMALLEST = 1 << 20  # bytes; sizes in the header are this times a power of two


@dataclass(frozen=True)
class Segment:
    """Data and where in the chip's address space it belongs."""

    address: int
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class EspImage:
    """A sound image. size: its bytes, hash included. flash_size: what it was made for."""

    chip: str
    flash_size: int
    entry: int
    segments: tuple[Segment, ...]
    size: int
    sha256: str


def chip_and_flash(data: bytes) -> tuple[str, int]:
    """Return chip and flash size (bytes) that a header names. CommandError if it is none."""
    if len(data) < HEADER.size or data[0] != MAGIC:
        raise CommandError("not an ESP32 image: it does not begin with E9")
    _, _, _, size_speed, _, _, number, *_ = HEADER.unpack_from(data)
    return _NAMES.get(number, f"chip number {number}"), _SMALLEST << (size_speed >> 4)


def parse(data: bytes) -> EspImage:
    """Read the image at the beginning of data. CommandError if it is not whole and sound."""
    chip, flash_size = chip_and_flash(data)
    _, count, _, _, entry, *_, hashed = HEADER.unpack_from(data)
    if not 1 <= count <= _MOST_SEGMENTS:
        raise CommandError(f"a damaged ESP32 image: {count} segments")
    segments, end = _segments(data, count)
    end += 16 - end % 16
    if data[end - 1 : end] != bytes([_checksum(segments)]):
        raise CommandError("a damaged ESP32 image: its checksum does not fit")
    digest = hashlib.sha256(data[:end])
    if hashed and data[end : end + 32] != digest.digest():
        raise CommandError("a damaged ESP32 image: its SHA-256 does not fit")
    size = end + 32 if hashed else end
    return EspImage(chip, flash_size, entry, segments, size, digest.hexdigest())


def _segments(data: bytes, count: int) -> tuple[tuple[Segment, ...], int]:
    """Return the segments, and where the last one ends."""
    place, found = HEADER.size, []
    for _ in range(count):
        begin = place + _SEGMENT.size
        if begin > len(data):
            raise CommandError("an ESP32 image that is cut off")
        address, length = _SEGMENT.unpack_from(data, place)
        place = begin + length
        if place > len(data):
            raise CommandError("an ESP32 image that is cut off")
        found.append(Segment(address, data[begin:place]))
    return tuple(found), place


def build(chip: str, flash_size: int, entry: int, segments: Iterable[Segment]) -> bytes:
    """Return the image of these segments, whose data are multiples of four bytes.

    flash_size: a power of two from 1 MiB on.
    """
    whole = tuple(segments)
    size = (flash_size // _SMALLEST).bit_length() - 1
    data = bytearray(
        HEADER.pack(
            MAGIC, len(whole), _DIO, size << 4, entry, _NO_PINS, CHIP_IDS[chip], 0, 0, 0xFFFF,
            bytes(4), 1,
        )
    )  # fmt: skip
    for one in whole:
        data += _SEGMENT.pack(one.address, len(one.data)) + one.data
    data += bytes(15 - len(data) % 16) + bytes([_checksum(whole)])
    return bytes(data + hashlib.sha256(data).digest())


def _checksum(segments: Iterable[Segment]) -> int:
    return functools.reduce(operator.xor, (_folded(one.data) for one in segments), 0xEF)


def _folded(data: bytes) -> int:
    """Exclusive or of all bytes; in one step where a loop would take a second a megabyte."""
    width = 1 << max(0, (len(data) - 1).bit_length())
    number = int.from_bytes(data, "little")
    while width > 1:
        width //= 2
        number = (number >> (8 * width)) ^ (number & ((1 << (8 * width)) - 1))
    return number
