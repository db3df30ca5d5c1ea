"""Keys: Base64 text to bytes, a group key to a device key, and where a group key comes from.

The only code that ever holds an enrollment group's key. It is read from the environment, a file
or a prompt, never from the command line, where every process of the machine could see it.
"""

import binascii
import hashlib
import hmac
import os
import sys
from getpass import getpass
from pathlib import Path

from host_tools.errors import CommandError

VARIABLE = "KEYSTEAD_GROUP_KEY"
SIZES = range(16, 65)  # bytes, as DPS accepts
_LONGEST = 4096  # characters looked at in a key's file


def decode_key(text: str, what: str) -> bytes:
    """Return the 16 to 64 bytes of a Base64 key; CommandError names `what`, never the key."""
    try:
        key = binascii.a2b_base64(text.strip().encode(), strict_mode=True)
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


def fingerprint(device_key: bytes) -> str:
    """Return what may be written down of a device key: 64 hex digits that do not lead back to it.

    The prefix makes it another hash than any that the key's use could show. People compare the
    first 16 digits.
    """
    return hashlib.sha256(b"keystead device key" + device_key).hexdigest()


def group_key(file: Path | None = None) -> bytes:
    """Return the group key from file, else from the environment, else from a prompt."""
    if file is not None:
        return decode_key(_read(file), f"the group key in {file}")
    text = os.environ.get(VARIABLE)
    if text is not None:
        return decode_key(text, f"the group key in {VARIABLE}")
    if sys.stdin is None or not sys.stdin.isatty():
        raise CommandError(f"no group key: set {VARIABLE}, or name a file with --group-key-file")
    return decode_key(getpass("Group key (Base64, not shown): "), "the group key")


def _read(file: Path) -> str:
    try:
        with open(file, encoding="ascii", errors="replace") as text:
            return text.read(_LONGEST)
    except OSError as error:
        raise CommandError(f"can not read {file}: {error.strerror}") from None
