"""The log: one line at a time on the serial console."""

import time

_STARTED = time.ticks_ms()


def log(text: str) -> None:
    """Print one line on the serial console, with the seconds since the board started."""
    print("[%7.2f] %s" % (time.ticks_diff(time.ticks_ms(), _STARTED) / 1000, text))
