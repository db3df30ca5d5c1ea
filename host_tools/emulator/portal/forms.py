"""Forms: what a page sent, field by field, with errors that belong to a field.

Owns the body's size and encoding and the types of fields. Doesn't own what a form is for.
Source: "application/x-www-form-urlencoded" in the URL standard.
"""

import json
import math
from collections.abc import Collection
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from starlette.requests import Request

from host_tools.emulator.portal.guard import Turned, session_of

LARGEST = 1024 * 1024  # bytes of a form: a message of 64 KB, each byte as %00, and some more
_MOST = 100  # fields
_TYPE = "application/x-www-form-urlencoded"


class FormError(Exception):
    """A field can not be taken as it is; the text says why."""

    def __init__(self, field: str, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.field = field
        self.status = status


class Form:
    """The fields of one form; those that were left out are empty."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        self._fields = fields

    def raw(self, name: str) -> str:
        """Return what was typed, with line ends of one character."""
        values = self._fields.get(name)
        return values[-1].replace("\r\n", "\n") if values else ""

    def text(self, name: str, default: str = "") -> str:
        """Return what was typed without blanks around it, or the default for nothing."""
        return self.raw(name).strip() or default

    def needed(self, name: str, what: str) -> str:
        """Return a text that may not be empty."""
        text = self.text(name)
        if not text:
            raise FormError(name, f"{what} is missing.")
        return text

    def choice(self, name: str, choices: Collection[str]) -> str:
        """Return one of the values that the page offers."""
        text = self.text(name)
        if text not in choices:
            raise FormError(name, "Choose one of those that the page offers.")
        return text

    def several(self, name: str, choices: Collection[str]) -> tuple[str, ...]:
        """Return those that were ticked, in the order of the page."""
        ticked = self._fields.get(name, ())
        return tuple(choice for choice in choices if choice in ticked)

    def ticked(self, name: str) -> bool:
        """Tell whether a box is ticked."""
        return bool(self.text(name))

    def number(self, name: str, lowest: int, highest: int, default: int) -> int:
        """Return a whole number."""
        text = self.text(name, str(default))
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
        if lowest <= number <= highest:
            return number
        raise FormError(name, f"Give a whole number from {lowest} to {highest}.")

    def json(self, name: str, default: Any = None) -> Any:
        """Return a JSON value; the error names line and column."""
        return parse_json(name, text) if (text := self.text(name)) else default

    def json_object(self, name: str) -> dict[str, Any]:
        """Return a JSON object, an empty one for nothing."""
        value = self.json(name, {})
        if not isinstance(value, dict):
            raise FormError(name, "This must be a JSON object: { … }.")
        return value


def parse_json(field: str, text: str) -> Any:
    """Return the value of JSON text as RFC 8259 has it; raise FormError."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen = dict(pairs)
        if len(seen) < len(pairs):
            twice = next(name for name, _ in pairs if sum(name == one for one, _ in pairs) > 1)
            raise FormError(field, f"{_short(twice)} is there twice in one object.")
        return seen

    def refuse(constant: str) -> NoReturn:
        raise FormError(field, f"{constant} is not JSON.")

    try:
        return json.loads(
            text,
            object_pairs_hook=unique,
            parse_constant=refuse,
            parse_float=lambda number: _finite(field, number),
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise FormError(field, f"This is not JSON at {where}: {error.msg}.") from None
    except RecursionError:
        raise FormError(field, "This is nested too deep.") from None
    except ValueError:  # a number of more than 4 300 digits
        raise FormError(field, "A number in it is too long.") from None


def _finite(field: str, text: str) -> float:
    number = float(text)
    if math.isinf(number):  # 1e999: no JSON could be written with it
        raise FormError(field, "A number in it is too large.")
    return number


def _short(name: str) -> str:
    return json.dumps(name[:40], ensure_ascii=False)


# {name}={value}&{name}={value}, a blank as +, the rest percent-encoded UTF-8
async def read(request: Request) -> Form:
    """Return the form in a request, after its own token proved where it is from; raise Turned."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
        raise Turned(415, "The portal takes forms only.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            raise Turned(413, f"The form is larger than {LARGEST // 1024} KB.")
    form = parse(bytes(body))
    if not session_of(request).owns(form.text("form_token")):
        raise Turned(403, "This page is from an earlier run of the cloud: reload it.")
    return form


def parse(body: bytes) -> Form:
    """Return the form in a body; raise Turned."""
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=_MOST, errors="strict"
        )
    except ValueError:
        raise Turned(400, "The form is not UTF-8, or has too many fields.") from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return Form(fields)
