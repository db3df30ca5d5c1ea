"""The log: one line at a time on the serial console, and the last ones in RTC memory.

Owns the ring and the seconds since the start. RTC memory outlives every reset, but not power; a
port that has none keeps the ring until the reset. Lines can be asked for from afar: no secrets.

The ring is text, a line feed behind each line. The byte 0 is where the next line goes; what
follows it is the oldest, and once the ring is full the rest of a line.
"""

import time

import machine

DEBUG, INFO, WARNING, ERROR = range(4)

_SIZE = 1024  # bytes, of 2048 that RTC memory has
_LONGEST = 240  # characters of a line that are kept


class Log:
    """Call it with a line. level: the least that is worth a line."""

    def __init__(self):
        """Start counting; lines from before a reset are kept, with a mark behind them."""
        self.level = INFO
        self._last = time.ticks_ms()
        self._ms = self._at = 0
        self._ring = bytearray(_SIZE)
        # bytes() of nothing is empty, and of the ring is for nothing
        self._memory = getattr(machine.RTC(), "memory", bytes)
        old = self._memory()
        # at power-on it may hold anything
        if len(old) == _SIZE and max(old) < 127:
            self._ring[:] = old
            self._at = old.find(b"\0")
            self._keep("--- reset %d ---" % machine.reset_cause())

    def uptime(self) -> int:
        """Return the seconds since the start; never fewer than before."""
        now = time.ticks_ms()
        # ticks wrap after six days: a longer silence is counted short, never backwards
        self._ms += max(0, time.ticks_diff(now, self._last))
        self._last = now
        return self._ms // 1000

    def __call__(self, text: str, level: int = INFO) -> None:
        """Print one line, and keep it."""
        if level >= self.level:
            line = "[%4d.%02d] %s" % (self.uptime(), self._ms % 1000 // 10, text)
            print(line)
            self._keep(line)

    def _keep(self, line: str) -> None:
        ring, at = self._ring, self._at
        for byte in line[:_LONGEST].encode():
            ring[at] = byte if 31 < byte < 127 else 46
            at = (at + 1) % _SIZE
        ring[at] = 10
        self._at = at = (at + 1) % _SIZE
        ring[at] = 0
        self._memory(ring)

    def lines(self, count: int) -> list:
        """Return the last lines that were kept, at most so many, the newest last."""
        whole = self._ring[self._at + 1 :] + self._ring[: self._at]
        lines = bytes(whole).strip(b"\0").decode().split("\n")
        # behind the last line feed is nothing; what a full ring begins with is cut off
        return lines[1 if whole[0] else 0 : -1][-count:]


log = Log()
