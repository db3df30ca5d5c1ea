"""Turns: whose TLS hand-shake goes on next, in a loop that has thousands of them.

A step of a hand-shake takes half a millisecond of CPU, all that is said afterwards a tenth of it.
Taken as they come, every device would wait for all others at every step, and all would be in at
the very end: devices have a processor each. So what stands goes first, then a hand-shake that has
begun, then the next one begins.
"""

from collections import deque
from collections.abc import Callable

Step = Callable[[], object]

_AT_ONCE = 16


class Turns:
    """Steps that wait; call_soon is a loop's."""

    def __init__(self, call_soon: Callable[[Step], object]) -> None:
        self._call_soon = call_soon
        self._begin: deque[Step] = deque()
        self._go_on: deque[Step] = deque()
        self._called = False

    def begin(self, step: Step) -> None:
        """Have the first step of a hand-shake made."""
        self._begin.append(step)
        self._call()

    def go_on(self, step: Step) -> None:
        """Have the next step of a hand-shake made."""
        self._go_on.append(step)
        self._call()

    def _call(self) -> None:
        if not self._called:
            self._called = True
            self._call_soon(self._take)

    def _take(self) -> None:
        self._called = False
        for _ in range(_AT_ONCE):
            waiting = self._go_on or self._begin
            if not waiting:
                return
            waiting.popleft()()
        if self._go_on or self._begin:
            self._call()
