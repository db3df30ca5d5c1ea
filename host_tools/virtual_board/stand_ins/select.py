"""select, with waits as long as the chip's time makes them (see world.py)."""

import chip  # noqa: F401  # it begins the world
import world
from uselect import *

if world.poll:
    poll = world.poll
