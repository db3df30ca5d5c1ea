"""Rule: who gets what, when, and how often; in words, the same in a file, in JSON and on a shell.

Owns the keys of a rule and which of them go together. Doesn't own the phrases (who.py, when.py,
action.py) nor the counting (faults.py).

    {"who": "the 3rd board", "when": "it registers", "gets": "429, retry after 5 s", "times": 2}
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from host_tools.emulator.faults import action, who
from host_tools.emulator.faults import when as at
from host_tools.emulator.faults.action import PLACES, Action
from host_tools.emulator.faults.phrases import PhraseError, seconds, shown, suggestion
from host_tools.emulator.faults.when import When
from host_tools.emulator.faults.who import Who
from host_tools.errors import CommandError

T = TypeVar("T")

EVERYBODY = "every board"
KEYS = ("who", "when", "gets", "times", "skip", "at_most", "chance", "from", "until")
_ANY = range(1, 1_000_001)
_FOR_EVER = float("inf")
_NAMELESS = frozenset({at.TLS, at.DNS, at.NTP})
_LONGEST = 500  # characters of a sentence
_OFTEN = {"once": 1, "twice": 2}
# {who}[, when {when},] gets {gets}[, {how often}]
_SENTENCE = re.compile(
    r"(?P<who>.+?)(?:,? when (?P<when>.+?),?)? gets (?P<gets>.+?)"
    r"(?:,? (?P<times>once|twice|[0-9]{1,7} times))?\.?",
    re.IGNORECASE,
)


class Table(Protocol):
    """Where a rule's keys come from: TomlTable, or JSON."""

    def has(self, key: str) -> bool:
        """Tell whether key is there and was not taken yet."""

    def text(self, key: str, default: str | None = None) -> str:
        """Return a string; without a default it must be there."""

    def number(self, key: str, allowed: range, default: int) -> int:
        """Return a whole number in range."""

    def error(self, key: str, why: str) -> CommandError:
        """Return the complaint about one key."""

    def end(self) -> None:
        """Raise CommandError if a key is left that nobody knows."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One fault that is to happen."""

    who: Who
    when: When
    gets: Action
    times: int = 0  # for each board; 0: always
    skip: int = 0  # times that nothing happens first, for each board
    at_most: int = 0  # times in all; 0: no limit
    percent: float = 100  # chance of each time
    begins: float = 0  # seconds since the rule came
    ends: float = _FOR_EVER

    @property
    def sentence(self) -> str:
        """Return the rule as people say it."""
        often = {0: "", 1: ", once", 2: ", twice"}.get(self.times, f", {self.times} times")
        said = f"{self.who.phrase}, when {self.when.phrase}, gets {self.gets.phrase}{often}"
        details = [
            f"after {self.skip} without" if self.skip else "",
            f"{self.at_most} in all" if self.at_most else "",
            f"{_figure(self.percent)} % of the times" if self.percent < 100 else "",
            f"from {_figure(self.begins)} s on" if self.begins else "",
            f"until {_figure(self.ends)} s" if self.ends < _FOR_EVER else "",
        ]
        more = ", ".join(filter(None, details))
        return f"{said} ({more})" if more else said

    def as_json(self) -> dict[str, Any]:
        """Return what from_json() takes."""
        document: dict[str, Any] = {
            "who": self.who.phrase,
            "when": self.when.phrase,
            "gets": self.gets.phrase,
            "times": self.times,
            "skip": self.skip,
            "at_most": self.at_most,
            "chance": f"{_figure(self.percent)} %" if self.percent < 100 else "",
            "from": f"{_figure(self.begins)} s" if self.begins else "",
            "until": f"{_figure(self.ends)} s" if self.ends < _FOR_EVER else "",
        }
        return {key: value for key, value in document.items() if value}

    @staticmethod
    def from_json(document: object) -> "Rule":
        """Return the rule that a JSON object or a sentence stands for; raise CommandError."""
        if isinstance(document, str):
            return from_sentence(document)
        if not isinstance(document, dict):
            raise CommandError("a rule must be an object with who, when, gets, ..., or a sentence")
        return read(_JsonTable(document))


def from_sentence(text: str) -> Rule:
    """Return the rule in "the 3rd board, when it registers, gets 429, twice"; CommandError."""
    words = " ".join(text[: _LONGEST + 1].split())
    # the pattern tries every place: of a long text, too many
    match = _SENTENCE.fullmatch(words) if len(text) <= _LONGEST else None
    if not match:
        raise CommandError(
            f'"{shown(text)}" is not a rule: write it as'
            ' "the 3rd board, when it registers, gets 429, twice"'
        )
    document: dict[str, Any] = {"who": match["who"], "gets": match["gets"]}
    if match["when"]:
        document["when"] = match["when"]
    if match["times"]:
        word = match["times"].lower()
        document["times"] = _OFTEN.get(word) or int(word.split()[0])
    return read(_JsonTable(document))


def read(table: Table) -> Rule:
    """Return the rule in a table, of which nothing may be left; raise CommandError."""
    gets = _phrase(table, "gets", None, action.parse)
    whom = _phrase(table, "who", EVERYBODY, who.parse)
    said = _phrase(table, "when", "", at.parse) if table.has("when") else None
    rule = Rule(
        whom,
        said or action.usual_when(gets.kind),
        gets,
        times=table.number("times", _ANY, 0) if table.has("times") else 0,
        skip=table.number("skip", _ANY, 0) if table.has("skip") else 0,
        at_most=table.number("at_most", _ANY, 0) if table.has("at_most") else 0,
        percent=_phrase(table, "chance", "100 %", _percent),
        begins=_phrase(table, "from", "0 s", seconds),
        ends=_phrase(table, "until", "", seconds) if table.has("until") else _FOR_EVER,
    )
    table.end()
    _check(rule, table)
    return rule


def _check(rule: Rule, table: Table) -> None:
    places = PLACES[rule.gets.kind]
    if not places & rule.when.operations:
        raise table.error("gets", _misplaced(rule))
    if rule.begins >= rule.ends:
        raise table.error("until", "must be later than from")
    if rule.when.services <= _NAMELESS:
        try:
            rule.who.check_is_address()
        except PhraseError as error:
            raise table.error("who", str(error)) from None


def _misplaced(rule: Rule) -> str:
    kind = rule.gets.kind
    usual = action.usual_when(kind).phrase
    others = [one.sample for one in at.WHEN if PLACES[kind] & at.parse(one.sample).operations]
    fitting = dict.fromkeys([usual, *others])
    choice = '" or "'.join(list(fitting)[:4])
    return f'"{rule.gets.phrase}" can not happen when {rule.when.phrase}: write when = "{choice}"'


def _phrase(table: Table, key: str, default: str | None, parse: Callable[[str], T]) -> T:
    try:
        return parse(table.text(key, default))
    except PhraseError as error:
        raise table.error(key, str(error)) from None


# 30 %
def _percent(text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,3})?) ?%", text)
    if not match or not 0 < float(match[1]) <= 100:
        raise PhraseError(f'"{shown(text)}" is not a chance: write "30 %"')
    return float(match[1])


def _figure(number: float) -> str:
    return f"{number:.3f}".rstrip("0").rstrip(".")


class _JsonTable:
    """A JSON object whose values are taken key by key and checked."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = dict(document)

    def has(self, key: str) -> bool:
        """Tell whether key is there and was not taken yet."""
        return key in self._document

    def text(self, key: str, default: str | None = None) -> str:
        """Return a string; without a default it must be there."""
        value = self._document.pop(key, default)
        if value is None:
            raise self.error(key, "is missing: it must be a text")
        if not isinstance(value, str):
            raise self.error(key, "must be a text")
        return value

    def number(self, key: str, allowed: range, default: int) -> int:
        """Return a whole number in range."""
        value = self._document.pop(key, default)
        if type(value) is not int or value not in allowed:
            raise self.error(key, f"must be a whole number from {allowed[0]} to {allowed[-1]}")
        return value

    def error(self, key: str, why: str) -> CommandError:
        """Return the complaint about one key."""
        return CommandError(f"{shown(key)}: {why}")

    def end(self) -> None:
        """Raise CommandError if a key is left that nobody knows."""
        for key in self._document:
            raise self.error(str(key), f"no such key here{suggestion(str(key), KEYS)}")
