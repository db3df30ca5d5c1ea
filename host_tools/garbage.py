"""Garbage: Python's search for cycles, made rare in a process that serves thousands.

Each connection is some fifty objects that live as long as it does. Looking through all of them
after every 700 new ones costs a server with thousands of devices one part in twenty-five.
"""

import gc

_NEW = 10_000  # objects between two searches among the young ones
_ROUNDS = 20  # of these to one among the older ones


def search_rarely() -> None:
    """Leave alone what is there now, and look for cycles less often from here on."""
    gc.freeze()
    gc.set_threshold(_NEW, _ROUNDS, _ROUNDS)
