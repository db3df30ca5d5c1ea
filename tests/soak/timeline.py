"""A month in minutes: a clock that stands while anybody has something to do, and its loop.

Owns the time that the cloud, the board and the script of a soak go by. When nothing is left to be
done at this moment, the clock jumps to the next one at which there is. Who waits for what besides
the loop's own timers, the world knows (world.py).
"""

import asyncio
import math
import selectors
from collections.abc import Callable
from typing import Any

# until when the loop waits, in milliseconds of the timeline, None for ever
Idle = Callable[[int | None], None]


class Timeline:
    """The clock of a soak; a TimeSource for the cloud."""

    def __init__(self, begin: int) -> None:
        """begin: Unix time."""
        self.begin = begin
        self.now = 0  # milliseconds since then

    def time(self) -> float:
        """Return seconds since 1970."""
        return self.begin + self.now / 1000

    def monotonic(self) -> float:
        """Return seconds since the beginning."""
        return self.now / 1000


class Loop(asyncio.SelectorEventLoop):
    """An event loop with real sockets that goes by a timeline."""

    def __init__(self, timeline: Timeline, idle: Idle) -> None:
        """idle: called when nothing is ready; it lets time go by, or wakes somebody up."""
        super().__init__(_Selector(timeline, idle))
        self._timeline = timeline

    def time(self) -> float:
        """Return the loop's time."""
        return self._timeline.monotonic()


class _Selector(selectors.DefaultSelector):
    """Looks and never waits."""

    def __init__(self, timeline: Timeline, idle: Idle) -> None:
        super().__init__()
        self._timeline = timeline
        self._idle = idle

    def select(self, timeout: float | None = None) -> list[tuple[Any, int]]:
        """Return what is ready; look twice, as a packet may be on its way through the kernel."""
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        ready = super().select(0)
        if ready:
            return ready
        due = (
            None
            if timeout is None
            else self._timeline.now + max(1, math.ceil(timeout * 1000 - 1e-3))
        )
        self._idle(due)
        return []
