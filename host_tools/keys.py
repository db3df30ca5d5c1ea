"""Keys: Base64 text to bytes, a group key to device keys, and a device key's fingerprint.

Owns how device keys are derived, one or many. Doesn't own where a group key comes from: that is
key_sources.
"""

import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence

from host_tools.errors import CommandError

SIZES = range(16, 65)  # bytes, as DPS accepts; none is longer than SHA-256's block
_BLOCK = 64  # bytes
_BASE64 = re.compile(
    rb"\s*((?:[A-Za-z0-9+/]{4}){0,1400}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)\s*"
)
# the two pads of HMAC (RFC 2104, section 2), as what every byte of a key becomes
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))


def decode_key(text: str, what: str) -> bytes:
    """Return the 16 to 64 bytes of a Base64 key; CommandError names `what`, never the key."""
    return bytes(decode_secret(bytearray(text.encode(errors="replace")), what))


def decode_secret(text: bytearray, what: str) -> bytearray:
    """Return the 16 to 64 bytes of a Base64 key, for the caller to overwrite; CommandError.

    No copy of the text or of the key is left behind in memory, but for pieces of three bytes.
    """
    match = _BASE64.fullmatch(text)
    if match is None:
        raise CommandError(f"{what} is not Base64: copy it whole, with the = signs at its end")
    key = bytearray(SIZES.stop + 3)  # all it can be, and one piece more: never moved by growing
    size = 0
    for start in range(*match.span(1), 4):
        piece = binascii.a2b_base64(text[start : start + 4])
        key[size : size + len(piece)] = piece
        size += len(piece)
    if size not in SIZES:
        raise CommandError(f"{what} has {size} bytes, DPS takes 16 to 64")
    del key[size:]
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
        padded = bytearray(_BLOCK)
        padded[: len(group_key)] = group_key
        self._inner = _keyed(padded, _INNER)
        self._outer = _keyed(padded, _OUTER)
        padded[:] = bytes(_BLOCK)

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


def _keyed(padded: bytearray, pad: bytes) -> "hashlib._Hash":
    block = padded.translate(pad)
    state = hashlib.sha256(block)
    block[:] = bytes(_BLOCK)
    return state


def fingerprint(device_key: bytes) -> str:
    """Return what may be written down of a device key: 64 hex digits that do not lead back to it.

    The prefix makes it another hash than any that the key's use could show. People compare the
    first 16 digits.
    """
    return hashlib.sha256(b"keystead device key" + device_key).hexdigest()
