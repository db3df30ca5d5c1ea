"""Line: a device that is connected, as its hub sees it."""

from collections.abc import Callable
from typing import Protocol

from host_tools.emulator.mqtt.peer import Message


class Line(Protocol):
    """One live connection."""

    device_id: str
    since: float  # seconds since 1970
    last_activity: float
    push: Callable[[Message], None]
    drop: Callable[[str, float], None]

    def granted(self, topic_filter: str) -> int | None:
        """Return the QoS of a subscription (a name of subscriptions.py), None without it."""
