"""Hub: one IoT hub: its devices, their twins, messages and methods, and who is connected.

Owns what one of these means for the others: a device that is disabled loses its connection, one
that is deleted all it has. Doesn't own who gets in (hubs.py) nor what a device says (peer.py).
What is accepted is in the store before anybody hears so; a store that fails is error 500001 here
and an event. Devices have no modules.
"""

from collections.abc import Callable
from typing import Any

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Event
from host_tools.emulator.hub.connections import Connections
from host_tools.emulator.hub.device import Device, Presence
from host_tools.emulator.hub.events import (
    DeviceCreated,
    DeviceDeleted,
    DeviceDisabled,
    DeviceEnabled,
)
from host_tools.emulator.hub.guard import Guard
from host_tools.emulator.hub.messages import CloudMessage, Feedback
from host_tools.emulator.hub.methods import Calls, Done, MethodCall
from host_tools.emulator.hub.queues import Queues
from host_tools.emulator.hub.registry import Registry
from host_tools.emulator.hub.twin import Twin
from host_tools.emulator.hub.twins import Twins
from host_tools.emulator.key_pair import NO_KEYS, KeyPair
from host_tools.emulator.policies import OF_HUB, Policies
from host_tools.emulator.store.database import Database
from host_tools.emulator.store.telemetry import TelemetryTable

_DELETED, _DISABLED = "its identity was deleted", "its identity was disabled"


class Hub:
    """One IoT hub; all that has to do with one device is asked for by its device ID."""

    def __init__(
        self,
        name: str,
        database: Database,
        tell: Callable[[Event], None],
        random: Callable[[int], bytes],
        strict_twin: bool = False,
        telemetry: TelemetryTable | None = None,
    ) -> None:
        """strict_twin: answer twin requests only to who subscribed to the answers.

        telemetry: where messages of devices are kept, None for nowhere. Raises StoreError.
        """
        self.name = name
        self.key = name.lower()  # names ignore case
        self.policies = Policies(name, OF_HUB, database, random)
        self.random = random
        self.tell = tell
        self.strict_twin = strict_twin
        self.telemetry = telemetry
        self.guard = Guard(name, tell)
        self._transaction = database.transaction
        self._registry = Registry(name, database, random)
        self._queues = Queues(name, database, tell)
        self._calls = Calls(name, tell, int.from_bytes(random(3), "big"))
        self.connections = Connections(name, database, self._queues, self._calls, self.guard)
        announce = self.connections.announce
        self._twins = Twins(name, database, tell, self._created, announce)

    def __repr__(self) -> str:
        return f"Hub({self.name!r})"

    # --- the registry

    def devices(self) -> list[Device]:
        """Return all devices, by device ID."""
        with self.guard.storing(""):
            return self._registry.all()

    def device(self, device_id: str) -> Device:
        """Return a device; ServiceError 404001."""
        with self.guard.storing(device_id):
            return self._registry.get(device_id)

    def create(
        self,
        device_id: str,
        now: float,
        keys: KeyPair = NO_KEYS,
        enabled: bool = True,
        status_reason: str = "",
        edge: bool = False,
    ) -> Device:
        """Make a device; keys it lacks are generated. ServiceError 400004, 409001."""
        with self.guard.storing(device_id, now):
            device = self._registry.create(device_id, now, keys, enabled, status_reason, edge)
        self.tell(DeviceCreated(now, self.name, device_id))
        return device

    def update(
        self,
        device_id: str,
        now: float,
        *,
        keys: KeyPair | None = None,
        enabled: bool | None = None,
        status_reason: str | None = None,
        edge: bool | None = None,
        if_match: str = "*",
    ) -> Device:
        """Change a device; one that is disabled loses its connection.

        ServiceError 400004, 404001, 412001.
        """
        with self.guard.storing(device_id, now):
            before = self._registry.matching(device_id, if_match)
            device = self._registry.change(before, now, keys, enabled, status_reason, edge)
        if device.enabled != before.enabled:
            event = DeviceEnabled if device.enabled else DeviceDisabled
            self.tell(event(now, self.name, device_id))
        if not device.enabled:
            self.connections.attendance.drop(device_id, _DISABLED, now)
        return device

    def find(self, device_id: str) -> Device | None:
        """Return a device, None if there is none."""
        with self.guard.storing(device_id):
            return self._registry.find(device_id)

    def provision(
        self, device_id: str, keys: KeyPair, now: float, initial_twin: dict[str, Any] | None
    ) -> None:
        """Make a device with this twin, or give new keys to the one that is there."""
        with self.guard.storing(device_id, now), self._transaction():
            device = self._registry.find(device_id)
            if device is None:
                self._registry.create(device_id, now, keys, True, "", False)
                self._twins.begin(device_id, initial_twin, now)
            elif device.keys != keys:
                self._registry.change(device, now, keys)
        if device is None:
            self.tell(DeviceCreated(now, self.name, device_id))

    def delete(self, device_id: str, now: float, if_match: str = "*") -> None:
        """Delete a device with its twin, messages and session; its connection ends.

        ServiceError 404001, 412001.
        """
        with self.guard.storing(device_id, now):
            self._registry.matching(device_id, if_match)
            self.erase(device_id)
        self.mourn(device_id, _DELETED, now)

    def erase(self, device_id: str) -> None:
        """Delete all that is kept of a device; raise StoreError. mourn() is to follow."""
        with self._transaction():
            self._registry.delete(device_id)
            self._twins.forget(device_id)
            self._queues.forget(device_id)
            self.connections.forget_session(device_id)

    def mourn(self, device_id: str, why: str, now: float) -> None:
        """End what a device that is erased was doing."""
        self.connections.attendance.drop(device_id, why, now)
        self.connections.attendance.forget(device_id)
        self._calls.forget(device_id, now)
        self.tell(DeviceDeleted(now, self.name, device_id))

    def statistics(self) -> dict[str, int]:
        """Return the registry's counts."""
        with self.guard.storing(""):
            total, enabled = self._registry.count()
        return {
            "totalDeviceCount": total,
            "enabledDeviceCount": enabled,
            "disabledDeviceCount": total - enabled,
            "connectedDeviceCount": len(self.connections.attendance),
        }

    def _created(self, device_id: str) -> float:
        return self._registry.get(device_id).created

    # --- connections

    def presence(self, device_id: str) -> Presence:
        """Tell whether a device is connected."""
        return self.connections.attendance.presence(device_id)

    def expire(self, now: float, tick: float) -> None:
        """Send what waits for a subscription, give up what waited too long."""
        self.guard.now = now
        self.connections.expire(now, tick)
        self._calls.expire(now, tick)
        with self.guard.noting("", now):
            self._queues.expire(now)

    # --- twins

    def twin(self, device_id: str) -> Twin:
        """Return a device's twin; ServiceError 404001."""
        with self.guard.storing(device_id):
            return self._twins.find(device_id)

    def twin_document(self, device_id: str) -> dict[str, Any]:
        """Return a device's twin as the service's API shows it; ServiceError 404001."""
        device = self.device(device_id)
        presence, pending = self.presence(device_id), self.pending(device_id)
        return self.twin(device_id).service_document(device, presence, pending)

    def patch_twin(
        self, device_id: str, patch: dict[str, Any], now: float, if_match: str = "*"
    ) -> Twin:
        """Merge {"tags": ..., "properties": {"desired": ...}} into a twin.

        ServiceError 400004, 404001, 412001, 413001.
        """
        with self.guard.storing(device_id, now):
            return self._twins.patch(device_id, patch, now, if_match)

    def replace_twin(
        self, device_id: str, document: dict[str, Any], now: float, if_match: str = "*"
    ) -> Twin:
        """Replace tags, desired properties or both; errors as patch_twin().

        A device that listens is sent a patch that comes to the same.
        """
        with self.guard.storing(device_id, now):
            return self._twins.replace(device_id, document, now, if_match)

    def put_twin(self, device_id: str, twin: Twin | dict[str, Any] | None, now: float) -> None:
        """Give a device another's twin, or one that begins with this document; StoreError."""
        self._twins.forget(device_id)
        if isinstance(twin, Twin):
            self._twins.keep(device_id, twin)
            self._twins.let_go(device_id)  # the transaction around this may yet fail
        else:
            self._twins.begin(device_id, twin, now)

    def report(self, device_id: str, patch: bytes, now: float) -> int:
        """Merge a device's patch into its reported properties; return their version.

        ServiceError 400004, 413001.
        """
        with self.guard.storing(device_id, now):
            return self._twins.report(device_id, patch, now)

    # --- cloud-to-device messages

    def pending(self, device_id: str) -> int:
        """Return how many messages wait for a device."""
        with self.guard.storing(device_id):
            return self._queues.count(device_id)

    def send(self, device_id: str, message: CloudMessage, now: float) -> None:
        """Queue a message for a device, and send it if it listens.

        ServiceError 400004, 403004, 404001, 413001.
        """
        self.device(device_id)
        with self.guard.storing(device_id, now):
            self._queues.add(device_id, message, now)
        self.connections.push(device_id, now)

    def acknowledged(self, device_id: str, number: int, now: float) -> None:
        """Complete a message that its device has."""
        with self.guard.noting(device_id, now):
            self._queues.acknowledged(device_id, number, now)

    def purge(self, device_id: str, now: float) -> int:
        """Delete the messages that wait for a device; return how many. ServiceError 404001."""
        self.device(device_id)
        with self.guard.storing(device_id, now):
            return self._queues.purge(device_id, now)

    def drain_feedback(self, most: int = 100) -> list[Feedback]:
        """Take the oldest feedback records; nobody else gets them. FeedbackReady tells of each."""
        return self._queues.drain_feedback(most)

    # --- direct methods

    def invoke(self, device_id: str, call: MethodCall, tick: float, done: Done) -> None:
        """Call a method; done is called once, maybe before this returns. Raises nothing.

        ServiceError 400004, 404001, 404103, 413001 and 504101 are given to done.
        """
        now, self.connections.tick = self.guard.now, tick
        try:
            self.device(device_id)
            self._calls.park(device_id, call, tick, done)
        except ServiceError as error:
            done(error)
            return
        self.connections.push(device_id, now)
        self._calls.expire(now, tick)

    def answered(
        self, device_id: str, request_id: str, status: int, body: bytes, now: float
    ) -> None:
        """Pass on a device's answer to a method's call."""
        self._calls.answered(device_id, request_id, status, body, now)
