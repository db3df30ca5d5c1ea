"""The message table: cloud-to-device messages that wait, or are on their way."""

import json
from dataclasses import asdict, dataclass

from host_tools.emulator.hub.messages import CloudMessage
from host_tools.emulator.store.database import Database

_COLUMNS = "number, device_id, body, properties, enqueued, expires, deliveries"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message in its device's queue."""

    number: int  # in the order of arrival, never used again
    device_id: str
    message: CloudMessage
    enqueued: float
    expires: float
    deliveries: int


class MessageTable:
    """Messages of all hubs."""

    def __init__(self, database: Database) -> None:
        self._execute = database.execute

    def add(
        self, hub: str, device_id: str, message: CloudMessage, now: float, expires: float
    ) -> Waiting:
        """Keep a message at the end of its device's queue; raise StoreError."""
        envelope = asdict(message)
        body = envelope.pop("body")
        number = self._execute(
            "INSERT INTO message VALUES (NULL, ?, ?, ?, ?, ?, ?, 0)",
            (hub, device_id, body, json.dumps(envelope), now, expires),
        ).lastrowid
        assert number is not None
        return Waiting(number, device_id, message, now, expires, 0)

    def count(self, hub: str, device_id: str) -> int:
        """Return how many messages a device's queue has; raise StoreError."""
        (count,) = self._execute(
            "SELECT count(*) FROM message WHERE device_id = ? AND hub = ?", (device_id, hub)
        ).fetchone()
        return int(count)

    def devices(self, hub: str) -> set[str]:
        """Return who of a hub's devices has messages; raise StoreError."""
        rows = self._execute("SELECT DISTINCT device_id FROM message WHERE hub = ?", (hub,))
        return {device_id for (device_id,) in rows}

    def of(self, hub: str, device_id: str) -> list[Waiting]:
        """Return a device's queue, the oldest first; raise StoreError."""
        return self._select("device_id = ? AND hub = ?", device_id, hub)

    def expired(self, hub: str, now: float) -> list[Waiting]:
        """Return a hub's messages whose time is over; raise StoreError."""
        return self._select("expires <= ? AND hub = ?", now, hub)

    def next_expiry(self, hub: str, after: float) -> float:
        """Return when the next message expires after a time, infinity if none; StoreError."""
        (when,) = self._execute(
            "SELECT min(expires) FROM message WHERE hub = ? AND expires > ?", (hub, after)
        ).fetchone()
        return float("inf") if when is None else float(when)

    def delivering(self, numbers: list[int]) -> None:
        """Count one more delivery of each; raise StoreError."""
        marks = ", ".join("?" * len(numbers))
        self._execute(
            f"UPDATE message SET deliveries = deliveries + 1 WHERE number IN ({marks})", numbers
        )

    def delete(self, numbers: list[int]) -> None:
        """Forget messages; raise StoreError."""
        marks = ", ".join("?" * len(numbers))
        self._execute(f"DELETE FROM message WHERE number IN ({marks})", numbers)

    def find(self, number: int) -> Waiting | None:
        """Return a message, None if it is gone; raise StoreError."""
        return next(iter(self._select("number = ?", number)), None)

    def _select(self, where: str, *values: object) -> list[Waiting]:
        rows = self._execute(
            f"SELECT {_COLUMNS} FROM message WHERE {where} ORDER BY number", values
        )
        return [
            Waiting(number, device_id, CloudMessage(body, **json.loads(envelope)), *rest)
            for number, device_id, body, envelope, *rest in rows
        ]
