"""Registry: the identities of one hub's devices.

Owns what a device is made of, and how its etags are. Doesn't own who is connected, nor what else
hangs on a device (hub.py).
Source: "Understand the identity registry in your IoT hub".
"""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace

from host_tools.emulator import etags
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.hub.device import Device, check_device_id, check_keys
from host_tools.emulator.key_pair import NO_KEYS, KeyPair, generate_keys
from host_tools.emulator.store.database import Database
from host_tools.emulator.store.devices import DeviceTable

KEY_SIZE = 32  # bytes of a key that the hub makes
_TICKS_1970 = 621_355_968_000_000_000  # of 100 ns, since the year 1


class Registry:
    """The devices of one hub; every method may raise StoreError."""

    def __init__(self, hub: str, database: Database, random: Callable[[int], bytes]) -> None:
        self._hub = hub
        self._random = random
        self._table = DeviceTable(database)

    def all(self) -> list[Device]:
        """Return all devices by device ID."""
        return self._table.all(self._hub)

    def count(self) -> tuple[int, int]:
        """Return how many devices there are, and how many of them are enabled."""
        return self._table.count(self._hub)

    def find(self, device_id: str) -> Device | None:
        """Return a device, None if there is none."""
        return next(iter(self._table.find(device_id, self._hub)), None)

    def get(self, device_id: str) -> Device:
        """Return a device; ServiceError 404001."""
        device = self.find(device_id)
        if device is None:
            raise ServiceError(404001, f"Device {device_id[:128]} not found.")
        return device

    def matching(self, device_id: str, if_match: str) -> Device:
        """Return a device that is as if_match says; ServiceError 404001, 412001."""
        device = self.get(device_id)
        etags.check(if_match, device.etag)
        return device

    def create(
        self, device_id: str, now: float, keys: KeyPair, enabled: bool, reason: str, edge: bool
    ) -> Device:
        """Make a device; keys it lacks are generated. ServiceError 400004, 409001."""
        check_device_id(device_id)
        if self.find(device_id):
            raise ServiceError(409001, f"Device {device_id} already exists.")
        keys = keys.completed(generate_keys(self._random, KEY_SIZE))
        check_keys(keys)
        device = Device(
            self._hub, device_id, keys, enabled, reason, self._generation_id(now), self._etag(),
            now, now, edge,
        )  # fmt: skip
        self._table.keep(device)
        return device

    def change(
        self,
        device: Device,
        now: float,
        keys: KeyPair | None = None,
        enabled: bool | None = None,
        reason: str | None = None,
        edge: bool | None = None,
    ) -> Device:
        """Change what is not None; a key that keys lack stays. ServiceError 400004."""
        changed = replace(
            device,
            keys=(keys or NO_KEYS).completed(device.keys),
            enabled=device.enabled if enabled is None else enabled,
            status_reason=device.status_reason if reason is None else reason,
            edge=device.edge if edge is None else edge,
            etag=self._etag(),
        )
        check_keys(changed.keys)
        if changed.enabled != device.enabled:
            changed = replace(changed, updated=now)
        self._table.keep(changed)
        return changed

    def delete(self, device_id: str) -> None:
        """Delete a device."""
        self._table.delete(self._hub, device_id)

    # Base64 of a number in decimal
    def _etag(self) -> str:
        return b64encode(str(int.from_bytes(self._random(4), "big")).encode()).decode()

    # 18 digits, the time of creation; the last four make two of one moment differ
    def _generation_id(self, now: float) -> str:
        ticks = int(now * 10_000_000) + _TICKS_1970
        return str(ticks - ticks % 10_000 + int.from_bytes(self._random(4), "big") % 10_000)
