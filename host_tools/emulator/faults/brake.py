"""Brake: bytes that are held back, until their time or at so many a second.

Owns the queue and what may go by when. Doesn't own which bytes are held back: wire.py.
"""

_ROOM = 64 * 1024  # bytes held back before the device is not listened to any more


class Brake:
    """What is held back of one connection."""

    __slots__ = ("_credit", "_credited", "_held", "rate")

    def __init__(self) -> None:
        self.rate = 0  # bytes a second, 0: as fast as they go
        self._held: list[tuple[float, bytes]] = []  # due, bytes; short, as a rule
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
            part = self._part(*self._held.pop(0))
            if not part:
                break
            released.append(part)
        return b"".join(released)

    def _part(self, due: float, data: bytes) -> bytes:
        if not self.rate:
            return data
        may = int(self._credit)
        if may < len(data):
            self._held.insert(0, (due, data[may:]))
        part = data[:may]
        self._credit -= len(part)
        return part
