"""Twin rules: what a twin may hold, and how its size is counted.

Owns the limits, the service's error for each, and the reading of foreign JSON. Doesn't own what
a change does (merge.py, twin.py).
Source: "Understand and use device twins in IoT Hub"; "IoT Hub quotas and throttling".
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.strict_json import refuse

LARGEST = 32 * 1024  # bytes of desired, and of reported properties
LARGEST_TAGS = 8 * 1024
DEEPEST = 10  # levels of objects and arrays below the document itself
_LONGEST_KEY, _LONGEST_TEXT = 1024, 4096  # bytes
_LARGEST_NUMBER = 2**52
_CONTROL = r"\x00-\x1f\x7f-\x9f"  # Unicode's C0 and C1
_BAD_KEY = re.compile(rf"[{_CONTROL}.$ ]")
_UNCOUNTED = re.compile(f"[{_CONTROL}]")
_NUMBER, _TRUTH = 8, 4  # bytes that a number and a truth value count for


class TwinError(ServiceError):
    """The change can not be made to the twin."""

    def __init__(self, message: str, code: int = 400004) -> None:
        super().__init__(code, message)


def parse(patch: bytes) -> dict[str, Any]:
    """Return the JSON object that a device sent; raise TwinError."""
    try:
        changes = json.loads(patch, parse_constant=refuse)
    except (ValueError, RecursionError):
        raise TwinError("the patch is not JSON") from None
    if not isinstance(changes, dict):
        raise TwinError("the patch is not a JSON object")
    return changes


# level by level: a nest may be deeper than Python's stack
def check(changes: Mapping[str, Any]) -> None:
    """Raise TwinError unless changes may become part of a twin."""
    level: list[Any] = [changes]
    for _ in range(DEEPEST + 1):
        level = [inner for value in level for inner in _checked(value)]
    if level:
        raise TwinError(f"the document is nested more than {DEEPEST} levels deep")


def _checked(container: Any) -> Iterator[Any]:
    if isinstance(container, dict):
        for key in container:
            if not isinstance(key, str) or _size(key) > _LONGEST_KEY or _BAD_KEY.search(key):
                raise TwinError("a property's name is too long or holds . $ blank or control")
        container = container.values()
    for value in container:
        if isinstance(value, dict | list):
            yield value
        else:
            _check_value(value)


def _check_value(value: Any) -> None:
    if isinstance(value, str):
        if _size(value) > _LONGEST_TEXT:
            raise TwinError(f"a text is longer than {_LONGEST_TEXT} bytes")
    elif isinstance(value, int):
        if abs(value) > _LARGEST_NUMBER:
            raise TwinError("a whole number is beyond 2 to the power of 52")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise TwinError("a number is too large")
    elif value is not None:
        raise TwinError(f"a value is a {type(value).__name__}, which JSON does not have")


def check_size(what: str, section: dict[str, Any], largest: int) -> None:
    """Raise TwinError if a section (of a depth that check() allows) is too large."""
    if size(section) > largest:
        raise TwinError(f"{what} exceed {largest} bytes", 413001)


# names and texts in UTF-8 but for control characters, 8 for a number, 4 for true and false
def size(value: Any) -> int:
    """Return how many bytes a value counts for."""
    if isinstance(value, dict):
        return sum(_counted(key) + size(inner) for key, inner in value.items())
    if isinstance(value, list):
        return sum(map(size, value))
    if isinstance(value, str):
        return _counted(value)
    if isinstance(value, bool):
        return _TRUTH
    return 0 if value is None else _NUMBER


def _counted(text: str) -> int:
    return len(text) if text.isascii() and text.isprintable() else _size(_UNCOUNTED.sub("", text))


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
