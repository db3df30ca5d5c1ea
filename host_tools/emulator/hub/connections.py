"""Connections: which of a hub's devices are connected, and what goes out to them.

Owns stored sessions, presence, and the moment at which what waits for a device is sent. Doesn't
own what waits (queues.py, methods.py) nor a device's topics (peer.py).
"""

from typing import Any

from host_tools.emulator.hub import subscriptions
from host_tools.emulator.hub.attendance import Attendance
from host_tools.emulator.hub.guard import Guard
from host_tools.emulator.hub.line import Line
from host_tools.emulator.hub.methods import Calls
from host_tools.emulator.hub.queues import Queues
from host_tools.emulator.hub.twin import compact
from host_tools.emulator.mqtt.peer import Message
from host_tools.emulator.store.database import Database
from host_tools.emulator.store.sessions import SessionTable


class Connections:
    """The connections of one hub's devices."""

    def __init__(
        self, hub: str, database: Database, queues: Queues, calls: Calls, guard: Guard
    ) -> None:
        self.attendance = Attendance()
        self.tick = 0.0
        self._hub = hub
        self._sessions = SessionTable(database)
        self._queues = queues
        self._calls = calls
        self._guard = guard
        self._news: set[str] = set()  # device IDs that have just subscribed to something

    def begin_session(self, device_id: str, clean: bool, now: float) -> int | None:
        """Return the subscriptions stored for a device; None if its session begins anew.

        A session that begins anew begins with an empty queue, whether the device asked for that
        (clean session 1) or never had a session before: the service brings a device only what was
        sent after it had subscribed. Until then such messages are in the queue for the sender to
        count, to purge and to see expire. Raises StoreError.
        """
        stored = self._sessions.find(self._hub, device_id)
        if stored is not None and not clean:
            return stored
        self._queues.purge(device_id, now)
        if not clean:
            self._sessions.keep(self._hub, device_id, subscriptions.NONE)
        elif stored is not None:
            self._sessions.delete(self._hub, device_id)
        return None

    def keep_subscriptions(self, device_id: str, kept: int) -> None:
        """Keep the subscriptions of a stored session; raise StoreError."""
        self._sessions.keep(self._hub, device_id, kept)

    def forget_session(self, device_id: str) -> None:
        """Forget the session of a device that is deleted; raise StoreError."""
        self._sessions.delete(self._hub, device_id)

    def arrived(self, line: Line, now: float) -> list[Message]:
        """Note that a device is connected; return what waited for it."""
        self._guard.now = now
        self.attendance.arrived(line)
        return self._waiting(line, now)

    def left(self, line: Line, now: float) -> None:
        """Note that a connection ended; what it did not acknowledge waits for the next."""
        if self.attendance.left(line, now):
            with self._guard.noting(line.device_id, now):
                self._queues.released(line.device_id, now)

    def subscribed(self, device_id: str) -> None:
        """Note a new subscription; what waits for it goes out behind the SUBACK."""
        self._news.add(device_id)

    def brought(self, line: Line, now: float) -> list[Message]:
        """Return what waits for a device's new subscriptions, if it has any."""
        if line.device_id not in self._news:
            return []
        self._news.discard(line.device_id)
        return self._waiting(line, now)

    def expire(self, now: float, tick: float) -> None:
        """Note the time by which calls are measured."""
        self.tick = tick

    def push(self, device_id: str, now: float) -> None:
        """Send a device what waits for it, if it is connected and listens."""
        line = self.attendance.line(device_id)
        if line:
            for message in self._waiting(line, now):
                line.push(message)

    def _waiting(self, line: Line, now: float) -> list[Message]:
        found: list[Message] = []
        qos = line.granted(subscriptions.MESSAGES)
        if qos is not None:
            with self._guard.noting(line.device_id, now):
                found += self._queues.deliver(line.device_id, qos, now)
        if line.granted(subscriptions.METHODS) is not None:
            found += self._calls.due(line.device_id, now, self.tick)
        return found

    # $iothub/twin/PATCH/properties/desired/?$version={version}
    def announce(self, device_id: str, patch: dict[str, Any]) -> None:
        """Send a device that listens the patch of its desired properties."""
        line = self.attendance.line(device_id)
        qos = line.granted(subscriptions.DESIRED) if line else None
        if line and qos is not None:
            topic = f"$iothub/twin/PATCH/properties/desired/?$version={patch['$version']}"
            line.push(Message(topic, compact(patch).encode(), qos))
