"""Bodies: the JSON that callers of the REST surfaces send, checked before anybody uses it.

Owns how a field is asked for; a mistake is a ServiceError that names the field. Doesn't own what
is taken for JSON (strict_json.py) nor what fields there are. The size is limited below
(serve/http.py).
"""

from typing import Any

from host_tools.emulator import strict_json
from host_tools.emulator.errors import ServiceError

INVALID = 400004
_FORMAT = 400006


def parse(body: bytes) -> Any:
    """Return the JSON value in a body; raise ServiceError."""
    try:
        return strict_json.parse(body)
    except ValueError:
        raise ServiceError(_FORMAT, "the body is not JSON in UTF-8") from None


def fields(value: Any, what: str = "the body") -> dict[str, Any]:
    """Return a JSON object; raise ServiceError."""
    if not isinstance(value, dict):
        raise ServiceError(INVALID, f"{what} is not a JSON object")
    return value


def part(owner: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a field that is an object, {} where it is missing or null; raise ServiceError."""
    value = owner.get(name)
    return {} if value is None else fields(value, name)


def text(owner: dict[str, Any], name: str, longest: int = 1024) -> str:
    """Return a field that is a text, "" where it is missing or null; raise ServiceError."""
    value = owner.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ServiceError(INVALID, f"{name} is not a text")
    if len(value) > longest:
        raise ServiceError(INVALID, f"{name} has {len(value)} characters, at most {longest}")
    return value


def choice(owner: dict[str, Any], name: str, choices: tuple[str, ...]) -> str:
    """Return a field that is one of choices in any case, the first where it is missing or null."""
    value = (text(owner, name) or choices[0]).lower()
    found = [one for one in choices if one.lower() == value]  # Azure's Node SDK says "Update"
    if not found:
        raise ServiceError(INVALID, f"{name} is none of {', '.join(choices)}")
    return found[0]


def flag(owner: dict[str, Any], name: str) -> bool:
    """Return a field that is true or false, false where it is missing or null."""
    value = owner.get(name)
    if value is not None and not isinstance(value, bool):
        raise ServiceError(INVALID, f"{name} is neither true nor false")
    return bool(value)


def number(owner: dict[str, Any], name: str, default: int) -> int:
    """Return a field that is a whole number; raise ServiceError."""
    value = owner.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool):
        raise ServiceError(INVALID, f"{name} is not a whole number")
    return value
