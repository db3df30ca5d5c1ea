"""Mask: foreign text as it may be shown, with secrets and what a terminal can not show gone.

Owns which names are secret's names, how their values are found in JSON and in other text, whole
or cut off, and how much of a body is shown. When in doubt it hides too much. Doesn't own where
text comes from.
"""

import json
import re
from collections.abc import Iterator
from urllib.parse import unquote

LONGEST = 200  # characters of a body that are shown
HIDDEN = "***"

_SECRET = re.compile(
    r"key(?!stead)|token|passw|passphrase|pwd|psk|secret|credential|authorization|shared.?access"
    r"|signature|sig(?!n|ma|ht)",  # but not keystead, signal, sigma, insight, nor assigned
    re.IGNORECASE,
)
# a key or a signature as Azure spells them: Base64 of 32 or 64 bytes
_BASE64 = re.compile(r"(?<![\w+/])(?:[A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{86}==)(?![\w+/=])")
# what Base64 begins with, at the end of a text that was cut; and how long it is at most
_BEGUN = re.compile(r"[\w+/=%-]+\Z")
_LONGEST_KEY = 132  # characters: 88, half of them percent-encoded
# {name}={value} or {name}: {value} or <{name}>{value}
_NAME = re.compile(r"(?<![\w$.%-])([\w$.%-]++)[\"']?\s*+[=:>]\s*")
# quoted, or up to the next border
_VALUE = re.compile(r"\"[^\"]*\"?|'[^']*'?|(?:(?:Bearer|Basic)\s+)?[^\s&;,<\"']*")
# JSON: a text, whole or cut off; a bracket, colon or comma; blanks; a number, a word or rubbish
_PIECES = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[{}\[\]:,]|\s+|[^\s"{}\[\]:,]+', re.DOTALL)
_DEEPEST = 3  # levels of JSON as text in JSON


def shown(text: str, longest: int = LONGEST) -> str:
    """Return text without its secrets, printable in one line, at most so long."""
    text = masked(text)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "." for c in text)
    return text if len(text) <= longest else text[: longest - 3] + "..."


def body(data: bytes, cut: bool = False) -> str:
    """Return the body of a message to show: text, or hex with "0x" before it.

    cut: that more followed which was not kept; what may be half a secret is then hidden too.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        # a character cut in two is no sign of binary data
        if not (cut and error.end == len(data) and error.start > len(data) - 4):
            return _binary(data)
        text = data[: error.start].decode()
    if not all(c.isprintable() or c in "\t\r\n" for c in text):
        return _binary(data)
    if cut:
        text = text[:-_LONGEST_KEY] + _BEGUN.sub("...", text[-_LONGEST_KEY:])
    return shown(text)


def masked(text: str, depth: int = 0) -> str:
    """Return text with the values of secret names hidden, and all that looks like a key."""
    if not _is_suspect(text):
        return text
    if text.lstrip()[:1] in ("{", "["):
        return _BASE64.sub(HIDDEN, "".join(_json(text, depth)))
    return _BASE64.sub(HIDDEN, "".join(_assignments(text)))


def is_secret(name: str) -> bool:
    """Tell whether something of this name is not for everyone."""
    return _SECRET.search(name) is not None


# most text is not worth a closer look; what is escaped may be anything
def _is_suspect(text: str) -> bool:
    return "\\" in text or "%" in text or is_secret(text) or _BASE64.search(text) is not None


def _binary(data: bytes) -> str:
    if is_secret(data.decode("latin-1")):
        return f"{HIDDEN} (binary, and it names a secret)"
    digits = data[: LONGEST // 2 - 4].hex()
    return f"0x{digits}" + "..." * (2 * len(data) > len(digits))


# a value is passed over only where it is hidden: in any other there may be the next name
def _assignments(text: str) -> Iterator[str]:
    at = 0
    for match in _NAME.finditer(text):
        if match.start() >= at and is_secret(unquote(match[1])):
            value = _VALUE.match(text, match.end())
            if value and value[0]:
                yield text[at : match.end()] + HIDDEN
                at = value.end()
    yield text[at:]


# piece by piece, so that JSON comes out as it was sent, also where it is cut off or no JSON at all
def _json(text: str, depth: int) -> Iterator[str]:
    pieces = _PIECES.findall(text)
    level = 0
    hidden: int | None = None  # the level of a secret name whose value goes by
    name = ""
    for at, piece in enumerate(pieces):
        if hidden is not None and level == hidden and piece in (",", "}", "]"):
            hidden = None
        level += (piece in ("{", "[")) - (piece in ("}", "]"))
        if hidden is not None:
            continue
        if piece == ":" and is_secret(_text(name)) and not _harmless(name, pieces, at):
            hidden = level
            yield f': "{HIDDEN}"' if pieces[at + 1 : at + 2] == [" "] else f':"{HIDDEN}"'
            continue
        yield _value(piece, depth)
        if not piece.isspace():
            name = piece


# DPS: "symmetricKey":{"enrollmentGroupId":"..."}; keys inside it have names of their own
def _harmless(name: str, pieces: list[str], colon: int) -> bool:
    value = next((piece for piece in pieces[colon + 1 :] if not piece.isspace()), "")
    return name == '"symmetricKey"' and value == "{"


def _value(piece: str, depth: int) -> str:
    if len(piece) < 2:
        return piece
    text = _text(piece)
    safe = masked(text, depth + 1) if depth < _DEEPEST else HIDDEN
    return piece if safe == text else json.dumps(safe, ensure_ascii=False)


def _text(piece: str) -> str:
    try:
        text = json.loads(piece)
    except ValueError:
        return piece.strip("\"'")
    return text if isinstance(text, str) else piece
