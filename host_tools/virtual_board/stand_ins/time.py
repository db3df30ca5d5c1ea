"""time, as on the chip: whole seconds since its own epoch, from 0 at power-on.

How fast it goes by is the world's business (world.py).
"""

import sys

import chip
import utime
import world
from utime import *

ticks_ms = world.ticks_ms
sleep_ms = world.sleep_ms
if world.poll:

    def sleep(seconds):
        sleep_ms(int(seconds * 1000))


if world.poll and sys.maxsize > 0x7FFFFFFF:
    # those of a 64-bit build wrap where no chip's ticks ever come to
    def ticks_diff(end, start):
        return (end - start + 0x20000000 & 0x3FFFFFFF) - 0x20000000

    def ticks_add(ticks, delta):
        return ticks + delta & 0x3FFFFFFF


def time():
    return chip.seconds()


def gmtime(seconds=None):
    return utime.gmtime((chip.seconds() if seconds is None else seconds) + chip.EPOCH)[:8]


localtime = gmtime


def mktime(fields):
    return int(utime.mktime(fields)) - chip.EPOCH


def time_ns():
    return chip.seconds() * 1_000_000_000
