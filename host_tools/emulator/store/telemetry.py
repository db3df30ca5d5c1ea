"""The telemetry table: the last messages that devices sent, for who reads after a restart.

A message is in it before its PUBACK leaves: what a device was promised is there after a crash.
"""

from host_tools.emulator.events import Telemetry
from host_tools.emulator.store.database import Database

MOST = 10_000  # messages; older ones go
_LEAP = 1000  # messages beyond it, before any go


class TelemetryTable:
    """The last messages of all hubs."""

    def __init__(self, database: Database, most: int = MOST) -> None:
        """Raises StoreError."""
        self._execute = database.execute
        self._most = most
        (self._count,) = self._execute("SELECT count(*) FROM telemetry").fetchone()

    def keep(self, message: Telemetry) -> None:
        """Keep a message; raise StoreError."""
        self._execute(
            "INSERT INTO telemetry VALUES (NULL, ?, ?, ?, ?, ?)",
            (message.time, message.hub, message.device_id, message.body, message.bag),
        )
        self._count += 1
        if self._count >= self._most + _LEAP:
            self._trim()

    def all(self) -> list[Telemetry]:
        """Return what there is, the oldest first; raise StoreError."""
        rows = self._execute(
            "SELECT time, hub, device_id, body, bag FROM telemetry ORDER BY number DESC LIMIT ?",
            (self._most,),
        )
        return [Telemetry(*row) for row in rows][::-1]

    def _trim(self) -> None:
        self._execute(
            "DELETE FROM telemetry WHERE number <="
            " (SELECT number FROM telemetry ORDER BY number DESC LIMIT 1 OFFSET ?)",
            (self._most,),
        )
        self._count = self._most
