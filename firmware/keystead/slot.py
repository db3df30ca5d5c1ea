"""A slot: one of the two places in flash between which a value alternates.

Owns the layout, and which of two slots counts. A value is written over the older slot, so that
power may fail at any moment: what is left is the old value or the new one.

    offset  bytes  field (little-endian)
    0       2      b"S1"
    2       4      generation: how often the value has been written, it wraps
    6       2      length of the payload
    8       ...    payload
    end-4   4      CRC-32 of all before
"""

import binascii
import struct

_HEAD = "<2sIH"
_HEAD_SIZE = 8
OVERHEAD = _HEAD_SIZE + 4  # bytes around a payload
_WRAP = 0xFFFFFFFF


def pack(generation: int, payload: bytes) -> bytes:
    """Return the bytes of a slot; payload has at most 65535."""
    body = struct.pack(_HEAD, b"S1", generation & _WRAP, len(payload)) + payload
    return body + struct.pack("<I", binascii.crc32(body))


def newest(first: bytes, second: bytes) -> tuple[int, bytes, int] | None:
    """Return (generation, payload, 0 or 1) of the newer slot that is whole, None if neither is."""
    one = _unpack(first)
    two = _unpack(second)
    # a generation is newer if it is less than half the way round ahead
    if two and (not one or 0 < (two[0] - one[0]) & _WRAP <= _WRAP >> 1):
        return two[0], two[1], 1
    return one and (one[0], one[1], 0)


def _unpack(blob: bytes) -> tuple[int, bytes] | None:
    size = len(blob) - OVERHEAD
    if size < 0 or struct.unpack("<I", blob[-4:])[0] != binascii.crc32(blob[:-4]):
        return None
    magic, generation, length = struct.unpack(_HEAD, blob[:_HEAD_SIZE])
    if magic != b"S1" or length != size:
        return None
    return generation, blob[_HEAD_SIZE:-4]
