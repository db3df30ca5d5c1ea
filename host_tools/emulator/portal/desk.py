"""Desk: what all pages of the portal share, and what a page and its forms are.

Owns the notices that outlive a redirect. Doesn't own a page, its words or its address.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from host_tools.emulator.cloud import Cloud
from host_tools.emulator.portal.calls import Calls
from host_tools.emulator.portal.forms import Form, FormError
from host_tools.emulator.portal.guard import ROOT
from host_tools.emulator.portal.memory import Memory

_SESSIONS = 100  # that notices are kept for

Facts = dict[str, Any]
Query = Mapping[str, str]


class Notices:
    """What was done, to be said on the next page that this session sees."""

    def __init__(self) -> None:
        self._by_session: OrderedDict[str, list[str]] = OrderedDict()

    def add(self, session: str, notice: str) -> None:
        """Keep a sentence."""
        self._by_session.setdefault(session, []).append(notice)
        self._by_session.move_to_end(session)
        if len(self._by_session) > _SESSIONS:
            self._by_session.popitem(last=False)

    def take(self, session: str) -> list[str]:
        """Return what is kept, once."""
        return self._by_session.pop(session, [])


@dataclass(frozen=True)
class Desk:
    """What all pages share."""

    cloud: Cloud
    endpoint: str = "localhost:8883"  # where devices dial
    clock: Callable[[], float] = time.time
    tick: Callable[[], float] = time.monotonic
    memory: Memory = field(default_factory=Memory)
    calls: Calls = field(default_factory=Calls)
    notices: Notices = field(default_factory=Notices)


@dataclass(frozen=True)
class Outcome:
    """A form was done: where to go, and what to say there."""

    location: str
    notice: str


@dataclass(frozen=True)
class Secret:
    """Something to show for half a minute."""

    label: str
    value: str = field(repr=False)


Action = Callable[[Desk, Query, Form], Outcome]
Reveal = Callable[[Desk, Query], list[Secret]]


@dataclass(frozen=True)
class Page:
    """One page: its address below ROOT, what it shows, and the forms that are sent to it."""

    path: str
    template: str
    facts: Callable[[Desk, Query], Facts]
    actions: Mapping[str, Action] = field(default_factory=dict)
    reveals: Mapping[str, Reveal] = field(default_factory=dict)


class Attempt:
    """A form as it was sent and could not be taken, or one that is still empty."""

    def __init__(self, form: Form | None = None, error: Exception | None = None) -> None:
        self._form = form
        self._error = error

    @property
    def failed(self) -> bool:
        """Tell whether there was one."""
        return self._error is not None

    def value(self, name: str, default: object = "") -> str:
        """Return what to show in a field."""
        return self._form.raw(name) if self._form else str(default)

    def ticked(self, name: str, value: str, default: bool) -> bool:
        """Tell whether to tick a box, or choose a choice."""
        return bool(self._form.several(name, (value,))) if self._form else default

    def error(self, name: str = "") -> str:
        """Return what is wrong with a field; without a name: with the form as a whole."""
        of = self._error.field if isinstance(self._error, FormError) else ""
        return str(self._error) if self._error and of == name else ""


# {ROOT}{path}?{name}={value}&...#{anchor}
def url(path: str, anchor: str = "", /, **query: object) -> str:
    """Return the address of a page; what is empty is left out."""
    fields = {name: value for name, value in query.items() if value not in ("", None)}
    behind = ("?" + urlencode(fields) if fields else "") + (f"#{anchor}" if anchor else "")
    return f"{ROOT}{path}{behind}"


def count_of(number: int, noun: str) -> str:
    """Return a number with its noun: "1 device", "5 000 devices"."""
    grouped = f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f"{grouped} {noun}" if number == 1 else f"{grouped} {noun}s"


def part_of(rows: Sequence[Any], path: str, query: Query, size: int = 50) -> Facts:
    """Return one leaf of a long list, where in the list it is, and the leaves beside it."""
    pages = max(1, -(-len(rows) // size))
    text = query.get("page", "")
    wanted = int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 1
    number = min(max(wanted, 1), pages)
    begin = (number - 1) * size

    def leaf(other: int) -> str:
        return url(path, **{**query, "page": other}) if 1 <= other <= pages else ""

    return {
        "rows": rows[begin : begin + size],
        "previous": leaf(number - 1),
        "next": leaf(number + 1),
        "first": begin + 1,
        "last": min(begin + size, len(rows)),
        "total": len(rows),
    }
