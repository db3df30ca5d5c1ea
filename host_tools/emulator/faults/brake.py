"""Brake: bytes that are held back, until their time or at so many a second.

Owns the queue and what may go by when. Doesn't own which bytes are held back: wire.py.
"""

from collections import deque

_ROOM = 64 * 1024  # bytes held back before the device is not listened to any more


class Brake:
    """What is held back of one connection."""

    def __init__(self) -> None:
        self.rate = 0  # bytes a second, 0: as fast as they go
        self._held: deque[tuple[float, bytes]] = deque()  # due, bytes
        self._credit = 0.0  # bytes that may go by now
        self._credited = 0.0  # when that was found

    def __bool__(self) -> bool:
        return bool(self._held)

    @property
    def full(self) -> bool:
        """Tell whether too much is held back."""
        return bool(self._held) and sum(len(data) for _, data in self._held) > _ROOM

    def hold(self, data: bytes, delay: float, tick: float) -> None:
        """Take bytes that go after those before them, and after delay."""
        if not self._held:
            self._credit, self._credited = 0, tick
        self._held.append((tick + delay, data))

    def clear(self) -> None:
        """Forget what is held back."""
        self._held.clear()

    def release(self, tick: float) -> bytes:
        """Return what may go by now."""
        self._credit += self.rate * (tick - self._credited)
        self._credited = tick
        released = []
        while self._held and self._held[0][0] <= tick:
            part = self._part(*self._held.popleft())
            if not part:
                break
            released.append(part)
        return b"".join(released)

    def _part(self, due: float, data: bytes) -> bytes:
        if not self.rate:
            return data
        may = int(self._credit)
        if may < len(data):
            self._held.appendleft((due, data[may:]))
        part = data[:may]
        self._credit -= len(part)
        return part
