"""Twin: the two documents that a hub and a device keep of each other.

Owns the merge patch, the versions and the service's limits. Doesn't own topics: that is
hub_peer.py. So far nobody but the device changes it, and it lives as long as the process.
Source: "Understand and use device twins in IoT Hub"; RFC 7396.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

LARGEST = 32 * 1024  # bytes of reported properties
DEEPEST = 10  # levels of objects and arrays below the document itself
_LONGEST_KEY, _LONGEST_TEXT = 1024, 4096  # bytes
_LARGEST_NUMBER = 2**52
_BAD_KEY = re.compile(r"[\x00-\x1f\x7f-\x9f.$ ]")


class TwinError(Exception):
    """The patch can not be taken; code is the service's, six digits."""

    def __init__(self, message: str, code: int = 400004) -> None:
        super().__init__(message)
        self.code = code


class Twin:
    """Desired properties, written by the cloud, and reported ones, written by the device."""

    def __init__(self) -> None:
        self._reported: dict[str, Any] = {}
        self._version = 1
        self._document = b""

    # {"desired": {..., "$version": n}, "reported": {..., "$version": m}}
    def document(self) -> bytes:
        """Return both as the device reads them."""
        if not self._document:
            reported = {**self._reported, "$version": self._version}
            self._document = _json({"desired": {"$version": 1}, "reported": reported}).encode()
        return self._document

    def report(self, patch: bytes) -> int:
        """Merge the device's patch into what it reported; return the new version.

        A patch that raises TwinError changes nothing.
        """
        changes = _parsed(patch)
        _check(changes)
        merged = _merged(self._reported, changes)
        if len(_json(merged, readable=True).encode(errors="surrogatepass")) > LARGEST:
            raise TwinError(f"the reported properties exceed {LARGEST} bytes", 413001)
        self._reported = merged
        self._version += 1
        self._document = b""
        return self._version


def _parsed(patch: bytes) -> dict[str, Any]:
    try:
        changes = json.loads(patch, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise TwinError("the patch is not JSON") from None
    if not isinstance(changes, dict):
        raise TwinError("the patch is not a JSON object")
    return changes


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


# level by level: a nest may be deeper than Python's stack
def _check(changes: dict[str, Any]) -> None:
    level: list[Any] = [changes]
    for _ in range(DEEPEST + 1):
        level = [inner for value in level for inner in _checked(value)]
    if level:
        raise TwinError(f"the patch is nested more than {DEEPEST} levels deep")


def _checked(container: Any) -> Iterator[Any]:
    if isinstance(container, dict):
        for key in container:
            if _size(key) > _LONGEST_KEY or _BAD_KEY.search(key):
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
    elif isinstance(value, int) and abs(value) > _LARGEST_NUMBER:
        raise TwinError("a whole number is beyond 2 to the power of 52")
    elif isinstance(value, float) and not math.isfinite(value):
        raise TwinError("a number is too large")


def _size(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))


def _json(document: dict[str, Any], readable: bool = False) -> str:
    return json.dumps(document, separators=(",", ":"), allow_nan=False, ensure_ascii=not readable)


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value)
    return merged
