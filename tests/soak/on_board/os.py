"""os, with files in flash as power cuts know them, and dice that the soak throws."""

import random

import littlefs
from uos import *  # noqa: F403

rename = littlefs.rename
remove = unlink = littlefs.remove


def urandom(size):
    """Return what the soak's seed gives: the same each time a soak is run again."""
    return bytes(random.getrandbits(8) for _ in range(size))
