"""The time that bytes take on a UART: ten bits each, one after the other.

Owns when what was sent arrives. Doesn't own what arrives (wire), nor the time that a flash takes.
"""

import asyncio
from collections.abc import Callable

BITS = 10  # of a byte: start bit, eight, stop bit


class Pace:
    """One direction of a line; when `real` is not set bytes arrive at once."""

    def __init__(self, real: bool):
        self._real = real
        self._free = 0.0  # when the line can take the next byte

    def carry(self, n: int, baud: int, arrive: Callable[[], None]) -> None:
        """Call arrive when the last bit of n bytes has come, behind all that was sent before."""
        if not self._real:
            arrive()
            return
        loop = asyncio.get_running_loop()
        self._free = max(self._free, loop.time()) + n * BITS / baud
        loop.call_at(self._free, arrive)
