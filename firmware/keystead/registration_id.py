"""Registration IDs: what a device is called at DPS, and which names are allowed.

Owns the two rules and the template. Doesn't own uniqueness: that is the factory's ledger.
Sources: "How to provision legacy devices using symmetric keys" (the seed rule: lower-case
alphanumerics and dashes) and "DPS terminology" (the service's newer, wider rule).
"""

import binascii

LONGEST = 128  # characters, both rules
TEMPLATE = "sn-{serial}-mac-{mac}"

_ALPHANUMERIC = "abcdefghijklmnopqrstuvwxyz0123456789"
_WIDE = _ALPHANUMERIC + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class InvalidRegistrationID(ValueError):
    """The text can not name a device; the message says which character at which place."""


def check(text: str, wide: bool = False) -> str:
    """Return text if it is a registration ID, else raise InvalidRegistrationID.

    The seed rule is a safe part of the service's rule; wide=True allows all of the latter:
    capitals and . _ : as well, a dash at either end.
    """
    if not text:
        raise InvalidRegistrationID("registration ID is empty")
    if len(text) > LONGEST:
        raise InvalidRegistrationID(
            "registration ID has %d characters, at most %d are allowed" % (len(text), LONGEST)
        )
    letters = _WIDE if wide else _ALPHANUMERIC
    for place, character in enumerate(text):
        if character not in letters + ("-._:" if wide else "-"):
            _refuse(text, place, _why(character, wide))
    if not wide and text[0] == "-":
        _refuse(text, 0, "it must begin with a letter or digit")
    if text[-1] not in letters + ("-" if wide else ""):
        _refuse(text, len(text) - 1, "it must end with a letter or digit")
    return text


def _why(character: str, wide: bool) -> str:
    if not wide and "A" <= character <= "Z":
        return "capitals are not allowed; write it in lower case"
    if wide:
        return "only letters, digits and - . _ : are allowed"
    return "only a-z, 0-9 and - are allowed"


def _refuse(text: str, place: int, why: str) -> None:
    raise InvalidRegistrationID(
        "registration ID %r: character %r at place %d: %s" % (text, text[place], place + 1, why)
    )


def format_mac(mac: bytes, separator: str = "-") -> str:
    """Return six bytes as lower-case hex pairs, e.g. "a1-b2-c3-d4-e5-f6"."""
    return separator.join("%02x" % byte for byte in mac)


def parse_mac(text: str) -> bytes:
    """Return the six bytes of a MAC written with : or - or nothing between its pairs.

    Raises ValueError.
    """
    separator = text[2:3]
    digits = text.split(separator) if separator in (":", "-") else [text]
    try:
        mac = binascii.unhexlify("".join(digits))
    except ValueError:
        mac = b""
    # a digit too many in one pair and too few in another would be another board's MAC
    if len(mac) != 6 or (len(digits) > 1 and [len(pair) for pair in digits] != [2] * 6):
        raise ValueError("MAC %r: write six bytes in hex, e.g. a1:b2:c3:d4:e5:f6" % text)
    return mac


def render(template: str, serial: str, mac: bytes, wide: bool = False) -> str:
    """Return the registration ID of one board: {serial} and {mac} of template filled in.

    Raises InvalidRegistrationID.
    """
    text = template.replace("{serial}", serial).replace("{mac}", format_mac(mac))
    return check(text, wide)
