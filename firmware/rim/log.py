"""The log: one line at a time on the serial console."""

import time


class Log:
    """Call it with a line: it is printed with the seconds since the board started."""

    def __init__(self):
        """Start counting."""
        self._last = time.ticks_ms()
        self._uptime = 0  # milliseconds

    def __call__(self, text: str) -> None:
        """Print one line."""
        now = time.ticks_ms()
        # ticks wrap after six days: a longer silence is counted short, never backwards
        self._uptime += max(0, time.ticks_diff(now, self._last))
        self._last = now
        print("[%7.2f] %s" % (self._uptime / 1000, text))


log = Log()
