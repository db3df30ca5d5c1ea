"""machine, as on an ESP32, with a watchdog that really ends the process."""

import chip
import ffi
import utime

PWRON_RESET = 1
WDT_RESET = 3
_alarm = ffi.open(None).func("I", "alarm", "I")


def unique_id():
    return chip.MAC


class Pin:
    """An output; what it does is written down beside the NVS: chip ticks, pin, value."""

    OUT = 3

    def __init__(self, number, mode, value=0):
        self._number = number
        self.value(value)

    def value(self, level):
        ticks = utime.ticks_ms() * chip.SPEED
        with open(chip.NVS + "/pins", "a") as file:
            file.write("%d %d %d\n" % (ticks, self._number, level))


def reset():
    raise SystemExit(2)


def reset_cause():
    return WDT_RESET if chip.BITTEN else PWRON_RESET


class WDT:
    """The task watchdog. SIGALRM ends the process, as the reset ends whatever ran."""

    def __init__(self, id=0, timeout=5000):
        self._seconds = -(-timeout // (1000 * chip.SPEED))
        self.feed()

    def feed(self):
        _alarm(self._seconds)


class RTC:
    def datetime(self, fields):
        """Set the clock: (year, month, day, weekday, hour, minute, second, subsecond), UTC."""
        year, month, day, _, hour, minute, second, _ = fields
        # mktime() is local time on the Unix port, and the bench runs in UTC
        chip.set_clock(int(utime.mktime((year, month, day, hour, minute, second, 0, 0, 0))))
