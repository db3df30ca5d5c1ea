"""The clock: Unix time, and no time at all rather than a wrong one.

Owns the epoch, and the moment before which no clock can be right. Who is asked for the time and
what flash keeps of it is in rim.ladder, which is loaded to ask.
"""

import time

from keystead.failure import Failure

try:
    from rim.built import TIME as BUILT  # type: ignore[import-not-found]  # see host_tools.firmware
except ImportError:  # copied or frozen as it is
    BUILT = 1_767_225_600  # 2026-01-01: no firmware ran before it was written

# ESP32 counts seconds from 2000, the Unix port from 1970; a SAS token expires in Unix time
EPOCH = 946_684_800 if time.gmtime(0)[0] == 2000 else 0
barred: dict = {}  # address of an NTP server to how many questions it is to be spared


def shown() -> int:
    """Return what the clock shows, in seconds since 1970, be it right or not."""
    return int(time.time()) + EPOCH


def is_set() -> bool:
    """Tell whether the clock shows a time at which this firmware can run."""
    return shown() >= BUILT


def unix_time() -> int:
    """Return seconds since 1970, UTC. Raises Failure clock-unset: nothing is signed then."""
    if not is_set():
        raise Failure("clock-unset")
    return shown()


def stamp() -> str:
    """Return the time as text, e.g. "2026-11-22T07:00:00Z"."""
    return "%04d-%02d-%02dT%02d:%02d:%02dZ" % time.gmtime()[:6]
