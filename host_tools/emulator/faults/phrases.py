"""Phrases: the parts of a rule in words, read by a small table, and suggested by it.

Owns how words with gaps are matched, what may stand in a gap, and which phrase is nearest to one
that no table has. Doesn't own what the phrases mean: who.py, when.py, action.py.
"""

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar

from host_tools.emulator.events import printable
from host_tools.emulator.host_names import is_host_name

T = TypeVar("T")

_LONGEST = 200  # characters of a phrase
_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
_NUMBERS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
_DAY = 86_400


class PhraseError(Exception):
    """Words that mean nothing here; the text says what would."""


class Gap(NamedTuple):
    """What may stand in one gap of a phrase."""

    pattern: str
    sample: str  # for the docs, and to suggest
    read: Callable[[str], Any]  # raises PhraseError


# 250 ms, 5 s, 1.5 min, 2 h
def seconds(text: str) -> float:
    """Return a span of time in seconds; raise PhraseError."""
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?(ms|s|min|h)", text)
    if not match:
        raise PhraseError(f'"{shown(text)}" is not a time: write 250 ms, 5 s, 1.5 min or 2 h')
    span = round(float(match[1]) * _UNITS[match[2]], 3)
    if span > 366 * _DAY:
        raise PhraseError(f'"{shown(text)}" is more than a year')
    return span


def whole_seconds(text: str) -> int:
    """Return a span of whole seconds; raise PhraseError."""
    span = seconds(text)
    if span != int(span):
        raise PhraseError(f'"{shown(text)}" must be whole seconds')
    return int(span)


def _ordinal(text: str) -> int:
    if text.lower() in _NUMBERS:
        return _NUMBERS.index(text.lower()) + 1
    return _count(re.sub("[a-z]", "", text.lower()))


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 1_000_000:
        raise PhraseError(f'"{text}" must be from 1 to 1000000')
    return number


# 401, or with the service's own three digits behind it: 401002
def _code(text: str) -> int:
    if not 400 <= int(text[:3]) <= 599:
        raise PhraseError(f'"{text}" is not an error: 400 to 599, or six digits such as 429001')
    return int(text)


def _connack(text: str) -> int:
    if not 1 <= int(text) <= 5:
        raise PhraseError(f'"CONNACK {text}": a refusal has the return code 1, 2, 3, 4 or 5')
    return int(text)


def _size(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 16_000_000:
        raise PhraseError(f'"{text} bytes" must be from 1 to 16000000')
    return number


def _host(text: str) -> str:
    if not is_host_name(text):
        raise PhraseError(f'"{shown(text)}" is not a host name')
    return text


def _address(text: str) -> str:
    if not all(int(part) <= 255 for part in text.split(".")):
        raise PhraseError(f'"{text}" is not an IPv4 address')
    return text


_TIME = r"[0-9.]+ ?(?:ms|s|min|h)"
_NTH = "|".join(("[0-9]{1,9}(?:st|nd|rd|th)", *_NUMBERS))
GAPS = {
    "address": Gap(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", "192.0.2.1", _address),
    "bytes": Gap("[0-9]{1,9}", "300000", _size),
    "code": Gap("[0-9]{3}(?:[0-9]{3})?", "429", _code),
    "connack": Gap("[0-9]{1,3}", "3", _connack),
    "dialled": Gap(r"[^\s,]{1,255}", "*.azure-devices.net", str),
    "error": Gap("[0-9]{6}", "400207", int),
    "host": Gap(r"[^\s,]+", "other-hub.azure-devices.net", _host),
    "kiss": Gap("RATE|DENY|RSTR", "RATE", str.upper),
    "n": Gap("[0-9]{1,9}", "10", _count),
    "name": Gap(r"[^\s,]{1,128}", "sn-*", str),
    "nth": Gap(_NTH, "3rd", _ordinal),
    "rate": Gap("[0-9]{1,9}", "20", _size),
    "time": Gap(_TIME, "5 s", seconds),
    "wait": Gap(_TIME, "5 s", whole_seconds),
}
_GAP = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Phrase(Generic[T]):
    """Words with gaps, and what they make."""

    words: str  # the 3rd board: "the {nth} board"
    meaning: str  # for people, a line of the docs
    make: Callable[..., T]  # called with the phrase as it was written, and what stood in the gaps

    @property
    def sample(self) -> str:
        """Return the phrase with its gaps filled."""
        return _GAP.sub(lambda gap: GAPS[gap[1]].sample, self.words)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        parts = _GAP.split(self.words)
        texts, gaps = parts[::2], parts[1::2]
        pattern = re.escape(texts[0])
        for gap, text in zip(gaps, texts[1:], strict=True):
            pattern += f"({GAPS[gap].pattern})" + re.escape(text)
        return re.compile(pattern, re.IGNORECASE)

    def read(self, text: str) -> T | None:
        """Return what text makes, None if it is another phrase; raise PhraseError."""
        match = self._pattern.fullmatch(text)
        if not match:
            return None
        gaps = _GAP.findall(self.words)
        found = (GAPS[gap].read(value) for gap, value in zip(gaps, match.groups(), strict=True))
        return self.make(text, *found)


def read(phrases: Sequence[Phrase[T]], text: str, noun: str) -> T:
    """Return what the first phrase that fits makes of text; raise PhraseError.

    noun: what a phrase of this table is, for the complaint.
    """
    text = " ".join(text.split())
    if len(text) <= _LONGEST:
        for phrase in phrases:
            made = phrase.read(text)
            if made is not None:
                return made
    nearest = suggestion(text, [phrase.sample for phrase in phrases])
    raise PhraseError(f'"{shown(text)}" is not {noun}{nearest}')


def suggestion(text: str, known: Sequence[str]) -> str:
    """Return ': did you mean "..."?', or that there is a list, if nothing is near."""
    lower = {one.lower(): one for one in known}
    near = difflib.get_close_matches(text[:_LONGEST].lower(), lower, 1, 0.55)
    if not near:
        return ": docs/scenarios.md lists all there are"
    return f': did you mean "{lower[near[0]]}"?'


def shown(text: str) -> str:
    """Return foreign text so that it can stand in one line."""
    return printable(text[:80])
