"""Query: the part of IoT Hub's query language that this cloud understands.

    SELECT * FROM devices
    SELECT TOP 5 deviceId, tags.site AS place FROM devices d
    SELECT COUNT() AS number FROM devices
        WHERE properties.reported.battery < 20 AND NOT (tags.site IN ['home', 'lab'])

Owns the grammar. Doesn't own words (query_words.py), values (query_values.py) nor the twins.
What is not understood is refused, never guessed.
Source: "IoT Hub query language for device and module twins, jobs, and message routing".
"""

from dataclasses import dataclass
from typing import Any

from host_tools.emulator.rest import query_values as values
from host_tools.emulator.rest.query_values import Condition, Twin, Value
from host_tools.emulator.rest.query_words import Words, wrong

_DEEPEST = 40  # brackets and NOTs within each other
_COMPARISONS = ("=", "!=", "<>", "<", ">", "<=", ">=")
_NOT_SERVED = ("GROUP", "ORDER", "JOIN", "HAVING")
_LITERALS = {"true": True, "false": False, "null": None}
_COUNT = "$1"  # what a count without a name goes by [?]


@dataclass(frozen=True)
class Query:
    """A query, read and understood."""

    columns: dict[str, Value] | None  # by name; None: the whole twin
    count: str = ""  # the name of the count, "" where nothing is counted
    top: int | None = None
    where: Condition | None = None

    @property
    def item_type(self) -> str:
        """Return the kind of what is found, as x-ms-item-type says it."""
        return "Twin" if self.columns is None and not self.count else "Raw"

    def finds(self, twin: Twin) -> bool:
        """Tell whether a twin is one of those that are asked for."""
        return self.where is None or self.where(twin) is True

    def shown(self, twin: Twin) -> dict[str, Any]:
        """Return of a twin what is asked for."""
        if self.columns is None:
            return twin
        found = {name: value(twin) for name, value in self.columns.items()}
        return {name: value for name, value in found.items() if value is not values.MISSING}


# SELECT [TOP {n}] {*|column, ...|COUNT()} FROM devices [[AS] {alias}] [WHERE {condition}]
def parse(text: str) -> Query:
    """Return what a query's text means; raise ServiceError."""
    return _Reader(Words(text)).query()


class _Reader:
    def __init__(self, words: Words) -> None:
        self._words = words
        self._aliases = {"devices"}
        self._deep = 0

    def query(self) -> Query:
        words = self._words
        words.need("SELECT")
        top = self._top() if words.takes("TOP") else None
        items = self._items()
        words.need("FROM")
        self._source()
        where = self._condition() if words.takes("WHERE") else None
        self._end()
        counts = [name for name, path in items if path is None]
        if not items:
            return Query(None, top=top, where=where)
        if counts:
            if len(items) > 1:
                raise wrong("COUNT() stands alone: GROUP BY is not served here")
            return Query({}, counts[0], top, where)
        columns = {name: values.at(self._own(path)) for name, path in items if path}
        return Query(columns, top=top, where=where)

    def _top(self) -> int:
        word = self._words.take()
        if word.kind != "number" or not word.value.isdigit():
            raise wrong(f"TOP needs a number, not {word.value[:20]!r}")
        return int(word.value)

    # name and path of each column; no path: COUNT(); no column at all: *
    def _items(self) -> list[tuple[str, list[str] | None]]:
        if self._words.takes("*"):
            return []
        items = [self._item()]
        while self._words.takes(","):
            items.append(self._item())
        return items

    def _item(self) -> tuple[str, list[str] | None]:
        words = self._words
        path: list[str] | None = self._path()
        assert path
        if len(path) == 1 and words.takes("("):
            if path[0].upper() != "COUNT":
                raise wrong(f"{path[0][:20]} is not served here, of the aggregates only COUNT()")
            words.takes("*")
            words.need(")")
            path = None
        name = words.name("a name behind AS") if words.takes("AS") else ""
        return name or (path[-1] if path else _COUNT), path

    def _source(self) -> None:
        words = self._words
        if not words.takes("DEVICES") or words.peek().value == ".":
            raise wrong("FROM devices is served here, not modules nor jobs")
        word = words.peek()
        if words.takes("AS") or (
            word.kind == "name" and word.value.upper() not in ("WHERE", *_NOT_SERVED)
        ):
            self._aliases.add(words.name("an alias").lower())

    def _end(self) -> None:
        word = self._words.peek()
        if word.value.upper() in _NOT_SERVED:
            raise wrong(f"{word.value.upper()} is not served here")
        if word.kind != "end":
            raise wrong(f"nothing may follow at {word.value[:20]!r}")

    def _condition(self) -> Condition:
        found = [self._all_of()]
        while self._words.takes("OR"):
            found.append(self._all_of())
        return values.any_of(found)

    def _all_of(self) -> Condition:
        found = [self._one()]
        while self._words.takes("AND"):
            found.append(self._one())
        return values.all_of(found)

    def _one(self) -> Condition:
        self._deep += 1
        if self._deep > _DEEPEST:
            raise wrong(f"it is nested more than {_DEEPEST} levels deep")
        try:
            if self._words.takes("NOT"):
                return values.negated(self._one())
            if self._words.takes("("):
                found = self._condition()
                self._words.need(")")
                return found
            return self._comparison()
        finally:
            self._deep -= 1

    # {value} {sign} {value} | {value} [N]IN [{literal}, ...] | {function}({value}, ...)
    def _comparison(self) -> Condition:
        words = self._words
        if words.peek().kind == "name" and not _is_literal(words.peek().value):
            path = self._path()
            if words.takes("("):
                return self._call(path)
            left = values.at(self._own(path))
        else:
            left = self._value()
        if chosen := words.takes("IN", "NIN"):
            return values.among(left, self._list(), chosen == "IN")
        sign = words.takes(*_COMPARISONS)
        if not sign:
            raise wrong(f"a comparison is missing before {words.peek().value[:20]!r}")
        return values.compare(sign, left, self._value())

    def _call(self, path: list[str]) -> Condition:
        name = path[-1].replace("_", "").lower()
        if len(path) > 1 or name not in values.FUNCTIONS:
            raise wrong(f"no function {path[-1][:20]} is served here")
        arguments = [self._value()]
        while self._words.takes(","):
            arguments.append(self._value())
        self._words.need(")")
        if len(arguments) != values.FUNCTIONS[name][0]:
            raise wrong(f"{path[-1]} takes {values.FUNCTIONS[name][0]} values")
        return values.called(name, arguments)

    def _list(self) -> list[Any]:
        self._words.need("[")
        found = [self._literal()]
        while self._words.takes(","):
            found.append(self._literal())
        self._words.need("]")
        return found

    def _value(self) -> Value:
        word = self._words.peek()
        if word.kind == "quoted" or (word.kind == "name" and not _is_literal(word.value)):
            return values.at(self._own(self._path()))
        literal = self._literal()
        return lambda twin: literal

    def _literal(self) -> Any:
        word = self._words.take()
        if word.kind == "text":
            return _unquoted(word.value)
        if word.kind == "number":
            return _number(word.value)
        if word.kind == "name" and _is_literal(word.value):
            return _LITERALS[word.value.lower()]
        raise wrong(f"a value is missing before {word.value[:20]!r}")

    # {name}.{name}...
    def _path(self) -> list[str]:
        names = [self._words.name("a property")]
        while self._words.takes("."):
            names.append(self._words.name("a property"))
        return names

    def _own(self, path: list[str]) -> list[str]:
        return path[1:] if len(path) > 1 and path[0].lower() in self._aliases else path


def _is_literal(name: str) -> bool:
    return name.lower() in _LITERALS


def _unquoted(text: str) -> str:
    parts = text[1:-1].split("\\\\")
    return "\\".join(part.replace("\\", "") for part in parts)


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdigit() else float(text)
