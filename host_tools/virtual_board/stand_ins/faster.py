"""Waits and ticks of a chip whose time runs chip.SPEED times faster than the host's.

A wait of half a minute can then be watched in a second, by the code that really waits.
"""

import chip
import uselect
import utime

# the half of asyncio that is in C goes by the host's ticks: what it says is "now" must be over
_began = utime.ticks_ms()


def ticks_ms():
    gone = utime.ticks_diff(utime.ticks_ms(), _began)
    return _began + gone * chip.SPEED & 0x3FFFFFFF


def sleep_ms(milliseconds):
    utime.sleep_ms(milliseconds // chip.SPEED)


class poll:
    def __init__(self):
        poller = uselect.poll()
        self.register = poller.register
        self.modify = poller.modify
        self.unregister = poller.unregister
        self._poller = poller

    def poll(self, wait=-1):
        return self._poller.poll(wait if wait < 1 else wait // chip.SPEED + 1)

    def ipoll(self, wait=-1):
        return self._poller.ipoll(wait if wait < 1 else wait // chip.SPEED + 1)
