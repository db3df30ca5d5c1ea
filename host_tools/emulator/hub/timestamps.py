"""Timestamps as IoT Hub writes them."""

from datetime import UTC, datetime

NEVER = "0001-01-01T00:00:00Z"


# {date}T{time}.{seven digits}Z
def timestamp(seconds: float) -> str:
    """Return a time in seconds since 1970 as text; 0 is what never happened."""
    if not seconds:
        return NEVER
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
