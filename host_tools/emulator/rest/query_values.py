"""Query values: what a word of a condition is worth for one twin, and how values compare.

A value may be missing in a twin; a condition on it is then neither true nor false, and a twin is
found only by what is true.
Source: "IoT Hub query language for device and module twins, jobs, and message routing".
"""

from collections.abc import Callable, Sequence
from typing import Any

Twin = dict[str, Any]
Value = Callable[[Twin], Any]
Condition = Callable[[Twin], bool | None]  # None: neither

MISSING: Any = object()

# the properties of the twin itself ignore case, as far as we know [?]
_ROOT = {
    name.lower(): name
    for name in (
        "deviceId", "etag", "version", "status", "statusReason", "statusUpdateTime",
        "connectionState", "lastActivityTime", "cloudToDeviceMessageCount", "authenticationType",
        "capabilities", "modelId", "tags", "properties",
    )
}  # fmt: skip


def at(names: list[str]) -> Value:
    """Return what finds the value at a path: tags.location.floor."""
    path = [_ROOT.get(names[0].lower(), names[0]), *names[1:]]

    def find(twin: Twin) -> Any:
        value: Any = twin
        for name in path:
            value = value.get(name, MISSING) if isinstance(value, dict) else MISSING
        return value

    return find


def kind(value: Any) -> str:
    """Return JSON's name for the type of a value."""
    if value is None:
        return "null"
    for name, types in _KINDS:
        if isinstance(value, types):
            return name
    return "missing"


_KINDS: tuple[tuple[str, type | tuple[type, ...]], ...] = (
    ("bool", bool),
    ("number", (int, float)),
    ("string", str),
    ("object", dict),
    ("array", list),
)


def compare(sign: str, left: Value, right: Value) -> Condition:
    """Return the condition that {left} {sign} {right}."""

    def holds(twin: Twin) -> bool | None:
        one, other = left(twin), right(twin)
        if one is MISSING or other is MISSING:
            return None
        if sign in ("=", "!=", "<>"):
            same = kind(one) == kind(other) and bool(one == other)
            return same == (sign == "=")
        if kind(one) != kind(other) or kind(one) not in ("number", "string"):
            return None
        return _ORDERED[sign](one, other)

    return holds


_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda one, other: bool(one < other),
    ">": lambda one, other: bool(one > other),
    "<=": lambda one, other: bool(one <= other),
    ">=": lambda one, other: bool(one >= other),
}


def among(value: Value, choices: list[Any], wanted: bool) -> Condition:
    """Return the condition that a value is one of choices, or that it is none of them."""

    def holds(twin: Twin) -> bool | None:
        found = value(twin)
        if found is MISSING:
            return None
        return any(kind(one) == kind(found) and one == found for one in choices) == wanted

    return holds


def all_of(conditions: Sequence[Condition]) -> Condition:
    """Return the condition {one} AND {other} AND ..."""

    def holds(twin: Twin) -> bool | None:
        answers = [condition(twin) for condition in conditions]
        return False if False in answers else None if None in answers else True

    return holds


def any_of(conditions: Sequence[Condition]) -> Condition:
    """Return the condition {one} OR {other} OR ..."""

    def holds(twin: Twin) -> bool | None:
        answers = [condition(twin) for condition in conditions]
        return True if True in answers else None if None in answers else False

    return holds


def negated(one: Condition) -> Condition:
    """Return the condition NOT {one}."""

    def holds(twin: Twin) -> bool | None:
        answer = one(twin)
        return None if answer is None else not answer

    return holds


def _of_text(test: Callable[[str, str], bool]) -> Callable[..., bool | None]:
    def holds(text: Any, other: Any) -> bool | None:
        if not (isinstance(text, str) and isinstance(other, str)):
            return None
        return test(text, other)

    return holds


def _is(name: str) -> Callable[..., bool | None]:
    return lambda value: kind(value) == name


# name without _ and in lower case: how many values, and what it says of them
FUNCTIONS: dict[str, tuple[int, Callable[..., bool | None]]] = {
    "isdefined": (1, lambda value: value is not MISSING),
    "isarray": (1, _is("array")),
    "isbool": (1, _is("bool")),
    "isnull": (1, _is("null")),
    "isnumber": (1, _is("number")),
    "isobject": (1, _is("object")),
    "isstring": (1, _is("string")),
    "startswith": (2, _of_text(str.startswith)),
    "endswith": (2, _of_text(str.endswith)),
    "contains": (2, _of_text(str.__contains__)),
}


def called(name: str, values: list[Value]) -> Condition:
    """Return the condition that a function of FUNCTIONS is true of values."""
    _, function = FUNCTIONS[name]
    return lambda twin: function(*(value(twin) for value in values))
