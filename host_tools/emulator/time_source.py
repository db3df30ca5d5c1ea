"""Time source: where a cloud has the time from.

Owns the shape only. A cloud takes the system's own unless it is given another, e.g. one in which a
month goes by in minutes; what it waits for is in its loop's hands.
"""

import time
from typing import Protocol


class TimeSource(Protocol):
    """Two clocks."""

    def time(self) -> float:
        """Return seconds since 1970, UTC."""

    def monotonic(self) -> float:
        """Return seconds of a clock that nobody sets."""


SYSTEM: TimeSource = time
