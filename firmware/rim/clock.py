"""The clock: Unix time, and no time at all rather than a wrong one.

Owns the epoch and the NTP question. Doesn't own the RTC: ntptime sets it.
"""

import time

from keystead.failure import Failure

# ESP32 counts seconds from 2000, the Unix port from 1970; a SAS token expires in Unix time
_EPOCH = 946_684_800 if time.gmtime(0)[0] == 2000 else 0
_EARLIEST = 1_767_225_600  # 2026-01-01: no firmware ran before it was written
_TRIES = 4


def unix_time() -> int:
    """Return seconds since 1970, UTC. Raises Failure clock-unset: nothing is signed then."""
    now = int(time.time()) + _EPOCH
    if now < _EARLIEST:
        raise Failure("clock-unset")
    return now


def is_set() -> bool:
    """Tell whether the clock shows a time at which this firmware can run."""
    return int(time.time()) + _EPOCH >= _EARLIEST


def synchronise(host: str, feed) -> None:
    """Set the clock by NTP, from host unless it is "". Raises Failure clock-unset."""
    import ntptime

    if host:
        ntptime.host = host
    for attempt in range(_TRIES):
        feed()
        try:
            ntptime.settime()
            if is_set():
                return
            problem = "NTP said a time before this firmware was written"
        # no answer; a kiss of death read as a time; an answer too short
        except (OSError, OverflowError, ValueError) as error:
            problem = "no answer from " + ntptime.host
            code = error.args[0] if error.args else 0
            if isinstance(code, int):
                problem += " (%d)" % code
        if attempt < _TRIES - 1:
            time.sleep(1 << attempt)
    raise Failure("clock-unset", problem)


def stamp() -> str:
    """Return the time as text, e.g. "2026-11-22T07:00:00Z"."""
    return "%04d-%02d-%02dT%02d:%02d:%02dZ" % time.gmtime()[:6]
