"""Keys: Base64 text to bytes, a group key to device keys, and a device key's fingerprint.

Owns how device keys are derived, one or many. Doesn't own where a group key comes from: that is
key_sources.
"""

import binascii
import hashlib
import hmac
from collections.abc import Sequence

from host_tools.errors import CommandError

SIZES = range(16, 65)  # bytes, as DPS accepts; none is longer than SHA-256's block
_BLOCK = 64  # bytes
# the two pads of HMAC (RFC 2104, section 2), as what every byte of a key becomes
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))


def decode_key(text: str | bytes | bytearray, what: str) -> bytes:
    """Return the 16 to 64 bytes of a Base64 key; CommandError names `what`, never the key."""
    try:
        raw = text.encode() if isinstance(text, str) else text
        key = binascii.a2b_base64(raw.strip(), strict_mode=True)
    except ValueError:
        raise CommandError(
            f"{what} is not Base64: copy it whole, with the = signs at its end"
        ) from None
    if len(key) not in SIZES:
        raise CommandError(f"{what} has {len(key)} bytes, DPS takes 16 to 64")
    return key


def encode_key(key: bytes) -> str:
    """Return the Base64 text of a key."""
    return binascii.b2a_base64(key, newline=False).decode()


def derive_device_key(group_key: bytes, registration_id: str) -> bytes:
    """Return the 32-byte device key of one member of an enrollment group.

    Source: "How to provision legacy devices using symmetric keys": HMAC-SHA256 of the
    registration ID, keyed with the group key.
    """
    return hmac.digest(group_key, registration_id.encode(), "sha256")


class Deriver:
    """What derives device keys, many times faster than from the group key each time.

    Holds SHA-256's state after each of HMAC's two pads. The group key can not be read back from
    them, but whoever has them can derive every device key of the group.
    """

    def __init__(self, group_key: bytes | bytearray) -> None:
        if len(group_key) not in SIZES:
            raise ValueError("a group key has 16 to 64 bytes")
        padded = group_key.ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(padded.translate(_INNER))
        self._outer = hashlib.sha256(padded.translate(_OUTER))

    def __repr__(self) -> str:
        return "Deriver()"

    def derive(self, registration_id: str) -> bytes:
        """Return what derive_device_key() does."""
        return self.many([registration_id.encode()])[0]

    def many(self, registration_ids: Sequence[bytes]) -> list[bytes]:
        """Return the 32-byte device keys of members of the group, in their order."""
        inner, outer, found = self._inner.copy, self._outer.copy, []
        for name in registration_ids:
            inside = inner()
            inside.update(name)
            outside = outer()
            outside.update(inside.digest())
            found.append(outside.digest())
        return found


def fingerprint(device_key: bytes) -> str:
    """Return what may be written down of a device key: 64 hex digits that do not lead back to it.

    The prefix makes it another hash than any that the key's use could show. People compare the
    first 16 digits.
    """
    return hashlib.sha256(b"keystead device key" + device_key).hexdigest()
