"""Live: keeps open pages up to date by server-sent events.

Owns when a page's parts are rendered again and which of them are sent. Doesn't own what they show
(a page's facts) nor who may look (guard.py).
Source: "Server-sent events" in the HTML standard; static/portal.js is the other end.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Event
from host_tools.emulator.portal.memory import Memory
from host_tools.emulator.store.database import StoreError

MOST = 64  # pages that are kept up to date at once
_SOONEST = 0.3  # seconds between two looks: calmer than anybody reads
_LATEST = 2.0  # seconds after which even silence is looked into: not all changes are events
_SHARE = 10  # all pages together take at most this part of the time: one in ten
_ALIVE = 15  # seconds of silence after which a comment keeps the connection open

Parts = Callable[[], Iterator[tuple[str, str]]]


@dataclass
class View:
    """One open page: its parts, and what it was sent last."""

    parts: Parts
    _sent: dict[str, str] = field(default_factory=dict)

    def news(self) -> Iterator[str]:
        """Give the messages for all parts that changed."""
        try:
            changed = [(name, html) for name, html in self.parts() if self._sent.get(name) != html]
        except (ServiceError, StoreError) as error:
            changed = [("gone", str(error))] if self._sent.get("gone") != str(error) else []
        for name, html in changed:
            self._sent[name] = html
            yield message("gone" if name == "gone" else "part", {"id": name, "html": html})


# event: {name}\ndata: {JSON on one line}\n\n
def message(name: str, document: dict[str, str]) -> str:
    """Return one server-sent event."""
    return f"event: {name}\ndata: {json.dumps(document)}\n\n"


class Viewers:
    """All open pages."""

    def __init__(self, memory: Memory) -> None:
        self.count = 0
        self._memory = memory
        self._closing = asyncio.Event()
        self._stirred: set[asyncio.Event] = set()

    def close(self) -> None:
        """End all streams: the cloud stops."""
        self._closing.set()
        for stirred in self._stirred:
            stirred.set()

    async def follow(self, view: View) -> AsyncIterator[str]:
        """Give news until the page is closed."""
        stirred = asyncio.Event()

        def stir(event: Event | None) -> None:
            if not stirred.is_set():
                stirred.set()

        end = self._memory.watch(stir)
        self._stirred.add(stirred)
        self.count += 1
        try:
            async for text in self._news(view, stirred):
                yield text
        finally:
            self.count -= 1
            self._stirred.discard(stirred)
            end()

    async def _news(self, view: View, stirred: asyncio.Event) -> AsyncIterator[str]:
        clock = asyncio.get_running_loop().time
        yield "retry: 1000\n\n"
        spoke = clock()
        while not self._closing.is_set():
            stirred.clear()
            begun = clock()
            text = "".join(view.news())
            rest = max(_SOONEST, _SHARE * self.count * (clock() - begun))
            if not text and clock() - spoke > _ALIVE:
                text = ": still here\n\n"
            if text:
                spoke = clock()
                yield text
            await _within(self._closing, rest)
            await _within(stirred, _LATEST)


async def _within(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
