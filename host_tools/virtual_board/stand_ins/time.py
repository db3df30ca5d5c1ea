"""time, as on the chip: whole seconds since its own epoch, from 0 at power-on.

A chip that runs faster than the host (see chip.py) sleeps and ticks faster: a wait of half a
minute can be watched in a second, by the code that really waits.
"""

import chip
import utime
from utime import *

if chip.SPEED != 1:

    def ticks_ms():
        return utime.ticks_ms() * chip.SPEED & 0x3FFFFFFF

    def sleep_ms(milliseconds):
        utime.sleep_ms(milliseconds // chip.SPEED)

    def sleep(seconds):
        utime.sleep_ms(int(seconds * 1000) // chip.SPEED)


def time():
    return chip.seconds()


def gmtime(seconds=None):
    return utime.gmtime((chip.seconds() if seconds is None else seconds) + chip.EPOCH)[:8]


localtime = gmtime


def mktime(fields):
    return int(utime.mktime(fields)) - chip.EPOCH


def time_ns():
    return chip.seconds() * 1_000_000_000
