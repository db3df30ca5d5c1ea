"""select, with waits as long as the chip's time makes them (see time.py)."""

import chip
import uselect
from uselect import *

if chip.SPEED != 1:

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
