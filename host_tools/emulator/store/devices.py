"""The device table: the registries of all hubs."""

from collections.abc import Sequence
from typing import Any

from host_tools.emulator.hub.device import Device
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.store.database import Database

_COLUMNS = (
    "hub, device_id, primary_key, secondary_key, enabled, status_reason, generation_id, etag,"
    " created, updated, edge"
)


class DeviceTable:
    """Devices of all hubs; hub names ignore case, device IDs do not."""

    def __init__(self, database: Database) -> None:
        self._execute = database.execute

    def find(self, device_id: str, hub: str | None = None) -> list[Device]:
        """Return the devices with this ID at hub, or at any, the youngest first; StoreError."""
        return self._select(
            "WHERE device_id = ? AND ifnull(hub = ?, 1) ORDER BY created DESC", (device_id, hub)
        )

    def all(self, hub: str) -> list[Device]:
        """Return a hub's devices by device ID; raise StoreError."""
        return self._select("WHERE hub = ? ORDER BY device_id", (hub,))

    def count(self, hub: str) -> tuple[int, int]:
        """Return how many devices a hub has, and how many of them are enabled; StoreError."""
        total, enabled = self._execute(
            "SELECT count(*), ifnull(sum(enabled), 0) FROM device WHERE hub = ?", (hub,)
        ).fetchone()
        return total, enabled

    def keep(self, device: Device) -> None:
        """Keep a device, a new or a changed one; raise StoreError."""
        self._execute(
            f"REPLACE INTO device ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (device.hub, device.device_id, *device.keys, device.enabled, device.status_reason,
             device.generation_id, device.etag, device.created, device.updated, device.edge),
        )  # fmt: skip

    def delete(self, hub: str, device_id: str) -> None:
        """Forget a device; raise StoreError."""
        self._execute("DELETE FROM device WHERE device_id = ? AND hub = ?", (device_id, hub))

    def _select(self, where: str, values: Sequence[object]) -> list[Device]:
        return [
            _device(*row)
            for row in self._execute(f"SELECT {_COLUMNS} FROM device {where}", values)
        ]


def _device(
    hub: str, device_id: str, primary: bytes, secondary: bytes, enabled: int, *rest: Any
) -> Device:
    status_reason, generation_id, etag, created, updated, edge = rest
    return Device(
        hub,
        device_id,
        KeyPair(primary, secondary),
        bool(enabled),
        status_reason,
        generation_id,
        etag,
        created,
        updated,
        bool(edge),
    )
