"""Throttle: how often DPS may be asked, all in all and by one device.

Owns the service's published figures, as sliding windows on the clock that nobody sets.
Source: "Azure IoT Hub Device Provisioning Service limits"; registrations and status queries are
counted apart (azure-iot-sdk-c PR#1703).
"""

import math
from collections import deque

from host_tools.emulator.dps.enrollment import fold
from host_tools.emulator.errors import ServiceError

OPERATIONS, MINUTE = 1000, 60.0
POLLS, POLLED = 5, 10.0  # by one device, in so many seconds


class Window:
    """So many times in so many seconds."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._ticks: deque[float] = deque()

    def wait(self, tick: float) -> float:
        """Return the seconds until there is room once more, 0 if there is."""
        while self._ticks and self._ticks[0] + self._seconds <= tick:
            self._ticks.popleft()
        return self._ticks[0] + self._seconds - tick if len(self._ticks) >= self._most else 0

    def count(self, tick: float) -> None:
        """Count one more."""
        self._ticks.append(tick)

    @property
    def empty(self) -> bool:
        """Tell whether nothing was counted lately, as of the last look."""
        return not self._ticks


class Throttle:
    """All limits of one DPS instance."""

    def __init__(self) -> None:
        self._registrations = Window(OPERATIONS, MINUTE)
        self._statuses = Window(OPERATIONS, MINUTE)
        self._devices: dict[str, Window] = {}
        self._swept = 0.0

    def register(self, tick: float) -> None:
        """Count a registration, or raise ServiceError."""
        _take(tick, self._registrations)

    def poll(self, registration_id: str, tick: float) -> None:
        """Count a device's question for the status, or raise ServiceError."""
        device = self._devices.setdefault(fold(registration_id), Window(POLLS, POLLED))
        _take(tick, self._statuses, device)

    def expire(self, tick: float) -> None:
        """Forget devices that have not asked lately."""
        if tick < self._swept + POLLED:
            return
        self._swept = tick
        for name, window in list(self._devices.items()):
            if not window.wait(tick) and window.empty:
                del self._devices[name]


# who is turned away is not counted: to try too early costs nothing more
def _take(tick: float, *windows: Window) -> None:
    wait = max(window.wait(tick) for window in windows)
    if wait:
        raise ServiceError(429001, "Too many requests: try again later.", math.ceil(wait))
    for window in windows:
        window.count(tick)
