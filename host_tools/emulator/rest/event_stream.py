"""Event stream: the cloud's events as server-sent events.

    id: {run}-{number}
    data: {"event": "telemetry", "time": "...", "hub": "...", "device_id": "...", ...}

With ?words=1 an event is what a person reads: {"event": ..., "time": ..., "line": "..."}; with
?follow=0 the stream ends with what is there already.

Owns the text, the filter, the replay after a break and the pace. Doesn't own the events nor how
long they are kept (event_log.py). Who reads too slowly misses events and is told how many, in the
words of `keystead cloud --json`; nobody holds the cloud up.
Source: "Server-sent events" in the HTML standard.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import StreamingResponse

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Event
from host_tools.emulator.rest.event_log import EventLog
from host_tools.emulator.serve.ending import Ending
from host_tools.emulator.serve.line import of
from host_tools.emulator.timestamps import logged

Show = Callable[[Event], str]

_ALIVE = 10.0  # seconds of silence after which a comment keeps the connection open
_BATCH = 64  # events looked at, and sent together, before others get their turn
_ID = re.compile(r"([0-9a-f]{1,32})-([0-9]{1,18})")
_WHO = ("device_id", "registration_id")
_WHERE = ("hub", "service")


@dataclass(frozen=True)
class Filter:
    """Which events somebody wants to see; an empty set is no condition."""

    devices: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    hubs: frozenset[str] = frozenset()  # in lower case

    # ?device={ID}&event={name}&hub={name}, each as often as you like
    @classmethod
    def parse(cls, query: QueryParams) -> "Filter":
        """Return what a query string asks for."""
        return cls(
            frozenset(query.getlist("device")),
            frozenset(query.getlist("event")),
            frozenset(hub.lower() for hub in query.getlist("hub")),
        )

    def passes(self, event: Event) -> bool:
        """Tell whether an event is one of them."""
        if self.names and event.NAME not in self.names:
            return False
        if self.devices and not any(getattr(event, name, None) in self.devices for name in _WHO):
            return False
        return not self.hubs or any(
            str(getattr(event, name, "")).lower() in self.hubs for name in _WHERE
        )


@dataclass(frozen=True)
class EventStream:
    """The events of one run of a cloud; run tells it from others with the same numbers."""

    log: EventLog
    run: str

    def response(self, request: Request, wanted: Filter) -> StreamingResponse:
        """Return the answer that goes on until the client or the server ends it."""
        asked = request.query_params
        texts = self._texts(
            of(request).ending,
            wanted,
            _worded if asked.get("words") == "1" else Event.json,
            self._start(request),
            self.log.last if asked.get("follow") == "0" else None,
        )
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(texts, 200, headers, "text/event-stream")

    # Last-Event-ID: {run}-{number}, from a client that lost touch; ?from={run}-{number}, or 0 for
    # all there are. Without both: from now on. The number of another run says nothing: all, then
    def _start(self, request: Request) -> int:
        asked = request.headers.get("last-event-id") or request.query_params.get("from", "")
        if not asked:
            return self.log.last
        if asked == "0":
            return self.log.first - 1
        match = _ID.fullmatch(asked)
        if not match:
            raise ServiceError(400004, "from is neither 0 nor the id of an event")
        known = match[1] == self.run and int(match[2]) <= self.log.last
        return int(match[2]) if known else self.log.first - 1

    async def _texts(
        self, ending: Ending, wanted: Filter, show: Show, number: int, end: int | None
    ) -> AsyncIterator[str]:
        news = asyncio.Event()
        with ending.told(news.set), self.log.woken(news.set):
            yield f"id: {self.run}-{number}\n\n"
            while not (ending.came or (end is not None and number >= end)):
                news.clear()
                missed = self.log.first - 1 - number
                if missed > 0:
                    number += missed
                    yield _not_shown(missed)
                text, number = self._batch(wanted, show, number)
                if text:
                    yield text
                if number < self.log.last:
                    await asyncio.sleep(0)
                elif number != end and not await _within(news, _ALIVE):
                    yield ": alive\n\n"

    def _batch(self, wanted: Filter, show: Show, number: int) -> tuple[str, int]:
        texts = []
        for number, event in self.log.since(number, _BATCH):  # noqa: B020
            if wanted.passes(event):
                texts.append(f"id: {self.run}-{number}\ndata: {show(event)}\n\n")
        return "".join(texts), number


def _worded(event: Event) -> str:
    return json.dumps({"event": event.NAME, "time": logged(event.time), "line": event.line()})


async def _within(news: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        return False
    return True


def _not_shown(count: int) -> str:
    return f"data: {json.dumps({'event': 'not-shown', 'count': count})}\n\n"
