"""The text in a label's QR code: who the board is, its key's fingerprint, its batch.

    KS1|sn-0007-mac-a1-b2-c3-d4-e5-f6|0123456789abcdef|mill-7|ebcd

KS1 is the version; the last field checks the rest (CRC-16/XMODEM, four hex digits), which finds a
scanner that is set to another keyboard than the computer, and what was typed by hand. No field can
hold the |. There is no secret in it: the fingerprint is the first 16 of 64 hex digits.
"""

import binascii
import re
from dataclasses import dataclass

from host_tools.errors import CommandError
from keystead.registration_id import InvalidRegistrationID, check

VERSION = "KS1"
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_BATCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class NotALabel(CommandError):
    """What was scanned is no label of ours, or was read wrongly."""


@dataclass(frozen=True)
class Label:
    """What is in the code; fingerprint: 16 hex digits."""

    registration_id: str
    fingerprint: str
    batch: str

    def text(self) -> str:
        """Return the code's text; ASCII."""
        body = "|".join((VERSION, self.registration_id, self.fingerprint, self.batch))
        return f"{body}|{_check(body)}"


def _check(body: str) -> str:
    return f"{binascii.crc_hqx(body.encode(), 0):04x}"


def read(text: str) -> Label:
    """Return what a scanner read. Raises NotALabel."""
    line = text.strip()
    if not line.isascii() or not line.isprintable() or len(line) > 300:
        raise NotALabel("this is no label of Keystead: it has characters that none has")
    version, *fields = line.split("|")
    if version != VERSION and re.fullmatch(r"KS[0-9]{1,3}", version):
        raise NotALabel(f"this label is of version {version}, this keystead reads {VERSION}")
    if version != VERSION or len(fields) != 4:
        raise NotALabel(
            f"this is no label of Keystead, which begins with {VERSION}| and has five fields:"
            " was another code scanned?"
        )
    name, fingerprint, batch, checked = fields
    if checked.lower() != _check("|".join((VERSION, name, fingerprint, batch))):
        raise NotALabel("the label was misread (its check is wrong): scan it again")
    if not _FINGERPRINT.fullmatch(fingerprint) or not _BATCH.fullmatch(batch):
        raise NotALabel("this label was not made by Keystead: its fields can not be")
    try:
        return Label(check(name, wide=True), fingerprint, batch)
    except InvalidRegistrationID as error:
        raise NotALabel(f"this label was not made by Keystead: {error}") from None
