"""Percent-encoding, as tokens and property bags want it (RFC 3986, section 2)."""

import binascii

# RFC 3986 "unreserved", and the percent sign of what is quoted already
_KEPT = "abcdefghijklmnopqrstuvwxyz0123456789-.ABCDEFGHIJKLMNOPQRSTUVWXYZ_~%"


def quote(text: str) -> str:
    """Percent-encode text as RFC 3986 asks: upper-case hex, only unreserved characters stay."""
    # a slash is in every resource: replaced at once, it leaves less behind than found below
    text = text.replace("%", "%25").replace("/", "%2F")
    # a search that runs in C: a loop over the characters costs ten of it
    rest = text.lstrip(_KEPT)
    while rest:
        text = text.replace(rest[0], _escape(rest[0]))
        rest = text.lstrip(_KEPT)
    return text


def _escape(character: str) -> str:
    return "%" + binascii.hexlify(character.encode(), "%").decode().upper()
