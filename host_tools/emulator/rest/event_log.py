"""Event log: the last events of a cloud, for those who look late or lost touch.

Owns how many are kept, their numbers, and who is woken by a new one. Doesn't own how they are
shown (event_stream.py). Events come at the pace of telemetry: taking one costs next to nothing.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from host_tools.emulator.events import Event, Telemetry

MOST = 10_000  # events
_LARGEST = 64 * 1024 * 1024  # bytes of telemetry in them


class EventLog:
    """The last events, numbered from 1 on."""

    def __init__(self, most: int = MOST, largest: int = _LARGEST) -> None:
        """most: events; largest: bytes of telemetry in all of them."""
        self.last = 0  # number of the newest event
        self._most = most
        self._largest = largest
        self._size = 0
        self._events: deque[Event] = deque()
        self._wanting: dict[object, Callable[[], object]] = {}

    @property
    def first(self) -> int:
        """Return the number of the oldest event that is still there; last + 1 without any."""
        return self.last - len(self._events) + 1

    def take(self, event: Event) -> None:
        """Keep an event and wake who waits for one."""
        self._events.append(event)
        self.last += 1
        if type(event) is Telemetry:
            self._size += len(event.body) + len(event.bag)
        while len(self._events) > self._most or self._size > self._largest:
            oldest = self._events.popleft()
            if type(oldest) is Telemetry:
                self._size -= len(oldest.body) + len(oldest.bag)
        if self._wanting:
            for wake in list(self._wanting.values()):
                wake()

    def since(self, number: int, most: int) -> Iterator[tuple[int, Event]]:
        """Give at most so many events that came after the one with this number."""
        start = max(number + 1, self.first)
        first = self.first
        for place in range(start, min(start + most, self.last + 1)):
            yield place, self._events[place - first]

    @contextmanager
    def woken(self, wake: Callable[[], object]) -> Iterator[None]:
        """Call wake at each event within the block."""
        key = object()
        self._wanting[key] = wake
        try:
            yield
        finally:
            del self._wanting[key]
