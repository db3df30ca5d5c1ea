"""os, with files in flash as power cuts know them, and dice that the soak throws."""

import random

from uos import *

from littlefs import remove, rename

unlink = remove


def urandom(size):
    """Return what the soak's seed gives: the same each time a soak is run again."""
    return bytes(random.getrandbits(8) for _ in range(size))
