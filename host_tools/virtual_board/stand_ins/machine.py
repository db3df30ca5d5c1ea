"""machine, as on an ESP32, with a watchdog that really ends the process."""

import chip
import ffi
import utime
import world

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5


# few programs have these, and the heap is as small as a chip's
_LOADED_WHEN_USED = {"Pin": "pins", "SPI": "wires", "UART": "uart"}


def __getattr__(name):
    if name not in _LOADED_WHEN_USED:
        raise AttributeError(name)
    return getattr(__import__(_LOADED_WHEN_USED[name]), name)


def unique_id():
    return chip.MAC


def reset():
    _end(HARD_RESET)


def soft_reset():
    _end(SOFT_RESET)


# the process ends with the cause of the next start, see unix_board.py; a chip asks nobody, so no
# exception that somebody could catch, and it needs no memory, so this is found while there is some
_end = ffi.open(None).func("v", "_exit", "i")


def deepsleep(milliseconds=0):
    _end(DEEPSLEEP_RESET)


def reset_cause():
    return chip.CAUSE


class WDT:
    """The task watchdog."""

    def __init__(self, id=0, timeout=5000):
        self._timeout = timeout
        self.feed()

    def feed(self):
        world.guard(self._timeout)


class RTC:
    """The clock, and 2 KB that only losing power clears."""

    def datetime(self, fields):
        """Set the clock: (year, month, day, weekday, hour, minute, second, subsecond), UTC."""
        year, month, day, _, hour, minute, second, _ = fields
        # mktime() is local time on the Unix port, and the bench runs in UTC
        chip.set_clock(int(utime.mktime((year, month, day, hour, minute, second, 0, 0, 0))))

    def memory(self, data=None):
        """Return all that was written last, or write it."""
        if data is None:
            try:
                with open(chip.RTC, "rb") as file:
                    return file.read()
            except OSError:
                return b""
        if len(data) > 2048:
            raise ValueError("buffer too long")
        with open(chip.RTC, "wb") as file:
            file.write(data)
