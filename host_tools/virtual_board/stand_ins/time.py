"""time, as on the chip: whole seconds since its own epoch, from 0 at power-on."""

import chip
import utime
from utime import *


def time():
    return chip.seconds()


def gmtime(seconds=None):
    return utime.gmtime((chip.seconds() if seconds is None else seconds) + chip.EPOCH)[:8]


localtime = gmtime


def mktime(fields):
    return int(utime.mktime(fields)) - chip.EPOCH


def time_ns():
    return chip.seconds() * 1_000_000_000
