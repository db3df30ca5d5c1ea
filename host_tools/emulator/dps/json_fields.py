"""JSON that others sent to DPS: read, and taken apart field by field.

Owns the complaint, a ServiceError that names the field and never shows a value that might be
secret. Doesn't own what is taken for JSON (strict_json.py) nor which fields there are.
"""

from collections.abc import Sequence
from typing import Any

from host_tools.emulator import strict_json
from host_tools.emulator.errors import ServiceError

Json = dict[str, Any]

INVALID = 400004
_DEEPEST = 64  # levels of objects and arrays


def parse(body: bytes) -> Any:
    """Return the value in a body, {} for an empty or blank one; raise ServiceError."""
    try:
        value = strict_json.parse(body) if body.strip() else {}
    except ValueError:
        raise mistake("The request's body is malformed.") from None
    check_depth(value)
    return value


def check_depth(value: Any) -> None:
    """Raise ServiceError if value is a deeper nest than can be written again anywhere here."""
    level = [value]
    for _ in range(_DEEPEST + 1):
        nests = [one for one in level if isinstance(one, dict | list)]
        level = [
            inner for one in nests for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise mistake(f"The request's body has more than {_DEEPEST} levels.")


def fields(value: Any, what: str) -> Json:
    """Return a JSON object; raise ServiceError."""
    if not isinstance(value, dict):
        raise mistake(f"{what} is not a JSON object")
    return value


def member(owner: Json, name: str) -> Json | None:
    """Return a field that is an object, None where it is missing or null; raise ServiceError."""
    value = owner.get(name)
    return None if value is None else fields(value, name)


def text(owner: Json, name: str) -> str | None:
    """Return a field that is a text, None where it is missing or null; raise ServiceError."""
    value = owner.get(name)
    if value is not None and not isinstance(value, str):
        raise mistake(f"{name} is not a text")
    return value


def texts(owner: Json, name: str) -> tuple[str, ...]:
    """Return a field that is a list of texts, () where it is missing or null; ServiceError."""
    value = owner.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise mistake(f"{name} is not a list of texts")
    return tuple(value)


def flag(owner: Json, name: str, default: bool) -> bool:
    """Return true or false, default where it is missing or null; raise ServiceError."""
    value = owner.get(name)
    if value is not None and not isinstance(value, bool):
        raise mistake(f"{name} is neither true nor false")
    return default if value is None else value


def choice(owner: Json, name: str, choices: Sequence[str], default: str) -> str:
    """Return a field that is one of choices in any case, default where it is missing or null."""
    value = text(owner, name)
    if value is None:
        return default
    found = [one for one in choices if one.lower() == value.lower()]
    if not found:
        raise mistake(f"{name} is none of {', '.join(choices)}")
    return found[0]


def mistake(why: str) -> ServiceError:
    """Return what the service answers to a body that it can not take."""
    return ServiceError(INVALID, why)
