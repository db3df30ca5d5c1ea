"""The forms in which a key could be somewhere: what is looked for in all that a run leaves."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from functools import cache
from urllib.parse import quote

_BLOCK = 64  # bytes; HMAC-SHA256 begins with the key, filled up and changed so
_PADS = (0x36, 0x5C)


@cache
def forms(key: bytes) -> frozenset[bytes]:
    """Return a key raw, in hex, Base64 and what is made of these, without padding."""
    written = {key, repr(key)[2:-1].encode(), key[::-1]}
    written |= {bytes(byte ^ pad for byte in key.ljust(_BLOCK, b"\0")) for pad in _PADS}
    for text in (binascii.hexlify(key), key.hex(":").encode(), key.hex(" ").encode()):
        written |= {text, text.upper()}
    for text in _in_base64(key):
        written |= {text, text.replace(b"+", b"-").replace(b"/", b"_"), quote(text, "").encode()}
    return frozenset(written)


def _in_base64(key: bytes) -> Iterator[bytes]:
    """Give what is surely in the Base64 of any text that holds the key, wherever it begins."""
    for before in range(3):
        text = base64.b64encode(b"\0" * before + key + b"\0\0")
        yield text[-(-before * 8 // 6) : (before + len(key)) * 8 // 6]


def found(keys: Mapping[str, bytes], content: bytes) -> set[str]:
    """Return the names of the keys that are in a content, in any form."""
    return {name for name, key in keys.items() if any(form in content for form in forms(key))}
