"""What a board sends, read with deadlines.

Owns what has arrived and was not asked for yet. Doesn't own what it means.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import serial  # type: ignore[import-untyped]

from host_tools.repl.errors import LineLost, NoAnswer
from keystead.failure import printable

_LOOK = 0.05  # seconds for which a read of the line waits
_KEPT = 1 << 20  # bytes of an answer; more is no answer
_SHOWN = 60  # bytes


class Line(Protocol):
    """What is needed of pyserial's ports, and of all that look like one."""

    timeout: float | None

    @property
    def in_waiting(self) -> int:
        """Return how many bytes can be read at once."""

    def read(self, size: int = 1) -> bytes:
        """Return up to so many bytes, fewer once `timeout` seconds are over."""

    def write(self, data: bytes, /) -> int | None:
        """Send bytes."""


class Reader:
    """The receiving half of a line. Times are seconds."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._held = bytearray()
        self.hushed = False  # a secret was on the line: errors do not repeat what is said

    def until(self, ending: bytes, deadline: float, what: str) -> bytes:
        """Return what comes before ending, which is taken, too; NoAnswer says what was missed."""
        searched = 0
        while (at := self._held.find(ending, searched)) < 0:
            searched = max(0, len(self._held) - len(ending))
            if len(self._held) > _KEPT:
                said = self.last_words()
                self._held.clear()
                raise NoAnswer(f"the board sends without end and no {what}{said}")
            if not self._more(deadline):
                raise NoAnswer(f"the board sent no {what} in time{self.last_words()}")
        before = bytes(self._held[:at])
        del self._held[: at + len(ending)]
        return before

    def exactly(self, size: int, deadline: float, what: str) -> bytes:
        """Return so many bytes. Raises NoAnswer."""
        while len(self._held) < size:
            if not self._more(deadline):
                raise NoAnswer(f"the board sent no {what} in time{self.last_words()}")
        data = bytes(self._held[:size])
        del self._held[:size]
        return data

    def arrived(self) -> bytes:
        """Return a byte that is here already, b"" if none is."""
        if not self._held and self._line.in_waiting:
            self._more(time.monotonic() + _LOOK)
        data = bytes(self._held[:1])
        del self._held[:1]
        return data

    def clear(self) -> None:
        """Forget all that has come up to now, of what comes without end a part."""
        forgotten = 0
        with lost():
            while forgotten < _KEPT and (waiting := self._line.in_waiting):
                forgotten += len(self._line.read(min(waiting, _KEPT)))
        self._held.clear()

    def _more(self, deadline: float) -> bool:
        """Wait for at least a byte; False at the deadline, also if bytes never end."""
        if self._line.timeout != _LOOK:  # told to a port server, this takes a while
            self._line.timeout = _LOOK
        with lost():
            while time.monotonic() < deadline:
                if data := self._line.read(min(max(1, self._line.in_waiting), _KEPT)):
                    self._held += data
                    return True
        return False

    def last_words(self) -> str:
        """Return the end of what has come, for people: "; it said ...", "" if hushed."""
        if self.hushed:
            return ""
        said = bytes(self._held[-_SHOWN:]).decode("ascii", "replace").split()
        return f"; it said: {printable(' '.join(said))}" if said else ""


@contextmanager
def lost() -> Iterator[None]:
    """Turn what pyserial raises when a port is gone into LineLost."""
    try:
        yield
    except (serial.SerialException, OSError) as error:
        raise LineLost(f"the line to the board broke: {printable(str(error))}") from None
