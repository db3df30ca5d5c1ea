"""select, with waits as long as the chip's time makes them (see world.py)."""

import chip  # begins the world
import world
from uselect import *

if world.poll:
    poll = world.poll
