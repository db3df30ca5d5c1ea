"""Query words: the text of a query cut into words, and read one after the other.

Owns what a word is. Doesn't own the order they come in (query.py).
Source: "IoT Hub query language for device and module twins, jobs, and message routing".
"""

import re
from typing import NamedTuple

from host_tools.emulator.errors import ServiceError

LONGEST = 8192  # characters of a query
_WORD = re.compile(
    r"\s*(?:"
    r"(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<number>-?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?)"
    r"|\[\[(?P<quoted>[^\]]+)\]\]"
    r"|(?P<name>[^\W\d][\w$-]*|\$[\w$-]+)"
    r"|(?P<sign><=|>=|<>|!=|[=<>()\[\],.*])"
    r")",
    re.DOTALL,
)


class Word(NamedTuple):
    """A word of a query: kind is text, number, quoted, name, sign or, at the end, end."""

    kind: str
    value: str


def wrong(why: str) -> ServiceError:
    """Return what a query is refused with."""
    return ServiceError(400004, f"the query can not be read: {why}")


class Words:
    """The words of one query, and the place where the reader is."""

    def __init__(self, query: str) -> None:
        """Raise ServiceError where there is something that is no word."""
        if len(query) > LONGEST:
            raise wrong(f"it has {len(query)} characters, at most {LONGEST} are taken")
        self._words: list[Word] = []
        place, query = 0, query.rstrip()
        while place < len(query):
            match = _WORD.match(query, place)
            if not match or match.lastgroup is None:
                raise wrong(f"at {query[place : place + 20]!r}")
            self._words.append(Word(match.lastgroup, match[match.lastgroup]))
            place = match.end()
        self._next = 0

    def peek(self) -> Word:
        """Return the word that comes next."""
        if self._next < len(self._words):
            return self._words[self._next]
        return Word("end", "its end")

    def take(self) -> Word:
        """Return the word that comes next and go on behind it."""
        word = self.peek()
        self._next += 1
        return word

    def takes(self, *values: str) -> str:
        """Go on behind a keyword or a sign if it is one of values; return it in upper case."""
        word = self.peek()
        if word.kind in ("name", "sign") and word.value.upper() in values:
            self._next += 1
            return word.value.upper()
        return ""

    def need(self, value: str) -> None:
        """Go on behind a keyword or a sign that must be here; raise ServiceError."""
        if not self.takes(value):
            raise wrong(f"{value} is missing before {self.peek().value[:20]!r}")

    def name(self, what: str) -> str:
        """Take a name; raise ServiceError."""
        word = self.take()
        if word.kind not in ("name", "quoted"):
            raise wrong(f"{what} is missing before {word.value[:20]!r}")
        return word.value
