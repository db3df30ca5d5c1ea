"""Attendance: which of a hub's devices are connected, and since when the others are not.

Owns the live connections. Kept in memory only: what was before this process is not known.
"""

from host_tools.emulator.hub.device import Presence
from host_tools.emulator.hub.line import Line


class Attendance:
    """Who is connected to one hub."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}  # by device ID
        self._gone: dict[str, tuple[float, float]] = {}  # since when, and the last activity

    def __len__(self) -> int:
        return len(self._lines)

    def line(self, device_id: str) -> Line | None:
        """Return a device's connection, None if it has none."""
        return self._lines.get(device_id)

    def presence(self, device_id: str) -> Presence:
        """Tell whether a device is connected."""
        line = self._lines.get(device_id)
        if line:
            return Presence(True, line.since, line.last_activity)
        return Presence(False, *self._gone.get(device_id, (0.0, 0.0)))

    def arrived(self, line: Line) -> None:
        """Note a connection."""
        self._gone.pop(line.device_id, None)
        self._lines[line.device_id] = line

    def left(self, line: Line, now: float) -> bool:
        """Note the end of a connection; tell whether it was the device's by then."""
        if self._lines.get(line.device_id) is not line:
            return False
        del self._lines[line.device_id]
        self._gone[line.device_id] = (now, line.last_activity)
        return True

    def drop(self, device_id: str, why: str, now: float) -> None:
        """End a device's connection, if it has one."""
        line = self._lines.get(device_id)
        if line:
            line.drop(why, now)

    def forget(self, device_id: str) -> None:
        """Forget when a device was here."""
        self._gone.pop(device_id, None)
