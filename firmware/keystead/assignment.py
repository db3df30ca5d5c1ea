"""The assignment that DPS made, as a device keeps it: with it, a boot needs no DPS.

Owns the layout and its checks. Whether it is too old, or a hub's refusal makes it void, is the
caller's to say; wholeness is the slot's.

    offset  bytes  field (little-endian)
    0       1      version, 1
    1       4      CRC of the factory record of the device that was assigned
    5       4      Unix time of the assignment
    9       ...    two texts, each one length byte and that many bytes: hub's host name, device ID
"""

import struct

from keystead.record import join, split

_HEAD = "<BII"
_HEAD_SIZE = 9


def pack(hub: str, device_id: str, assigned_at: int, owner: int) -> bytes:
    """Return the bytes to keep, b"" for names that are no assignment.

    owner: FactoryRecord.crc(), so that another record makes the assignment void.
    """
    names = [hub.encode(), device_id.encode()]
    if not hub or not device_id or max(map(len, names)) > 255:
        return b""
    return struct.pack(_HEAD, 1, owner, assigned_at) + join(names)


def unpack(blob: bytes | None, owner: int) -> tuple[str, str, int] | None:
    """Return (hub, device ID, Unix time assigned), or None where that can not be relied on."""
    if not blob or len(blob) < _HEAD_SIZE:
        return None
    version, kept_for, assigned_at = struct.unpack(_HEAD, blob[:_HEAD_SIZE])
    names = split(blob[_HEAD_SIZE:])
    if version != 1 or kept_for != owner or len(names) != 2 or b"" in names:
        return None
    try:
        return names[0].decode(), names[1].decode(), assigned_at
    except UnicodeError:
        return None
