"""The world around the chip: how time goes by, what is in the air, when the power goes.

This one is the host's: its clock, chip.SPEED times as fast, air that carries, power that stays. A
bench that has the world in its own hands puts another module of this name on the path, before
this one.
"""

import ffi
import utime
from utime import sleep_ms, ticks_ms  # noqa: F401

poll = None  # select's own will do
_speed = 1
_powered_on = utime.time()
_alarm = ffi.open(None).func("I", "alarm", "I")


def begin(chip):
    """Take what the chip file says of the world."""
    global _speed, poll, sleep_ms, ticks_ms
    _speed = chip["speed"]
    if _speed != 1:
        import faster

        poll, sleep_ms, ticks_ms = faster.poll, faster.sleep_ms, faster.ticks_ms


def uptime():
    """Return the seconds since power-on."""
    return int((utime.time() - _powered_on) * _speed)


def unix_time():
    """Return the true time, as time servers know it."""
    return int(utime.time())


def carries():
    """Tell whether what the radio sends arrives anywhere."""
    return True


def reaches():
    """Tell whether the network knows the way to servers; where it does not, that takes a while."""
    return carries()


def guard(milliseconds):
    """Have the chip reset unless this is called again in time; SIGALRM ends whatever runs."""
    _alarm(-(-milliseconds // (1000 * _speed)))


def write(size):
    """Take note that so many bytes go to flash in one piece; the power may go instead."""
