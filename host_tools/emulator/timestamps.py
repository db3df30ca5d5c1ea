"""Timestamps: points in time as the services write them, and as our own JSON does.

Owns the text. Doesn't own the clock.
"""

from datetime import UTC, datetime

NEVER = "0001-01-01T00:00:00Z"


# {date}T{time}.{seven digits}Z
def timestamp(seconds: float) -> str:
    """Return a time in seconds since 1970 as DPS and IoT Hub do; 0 is what never happened."""
    if not seconds:
        return NEVER
    time = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    return time.isoformat(timespec="microseconds") + "0Z"  # strftime() takes five times as long


# {date}T{time}.{three digits}+00:00
def logged(seconds: float) -> str:
    """Return a time in seconds since 1970 as the lines of our log have it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
