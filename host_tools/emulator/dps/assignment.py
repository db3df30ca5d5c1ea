"""Assignment: an allocation becomes a device's identity at its hub, and a record of it.

Owns the reprovisioning policies, their substatus, and who may have a device ID. All of it is kept
or nothing. Doesn't own the choice of the hub (allocation.py, webhook.py) nor the identity itself:
that is the hub's.
Sources: "IoT Hub device reprovisioning concepts"; azure-iot-sdk-csharp PR#2397 for the substatus
of a device that its hub knows already.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from host_tools.emulator.access import Reason
from host_tools.emulator.dps import bodies
from host_tools.emulator.dps.allocation import Network
from host_tools.emulator.dps.enrollment import CUSTOM, Enrollment, fold
from host_tools.emulator.dps.json_fields import Json
from host_tools.emulator.dps.webhook import FAILED, Allocation, Outcome
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Assigned, Event, Failed, Refused
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.records import Registration
from host_tools.emulator.store.database import Database, StoreError
from host_tools.emulator.store.registrations import RegistrationTable

SERVICE = "DPS"


class Hub(Protocol):
    """What DPS needs of one hub."""

    def device(self, device_id: str) -> object:
        """Return a device; ServiceError if there is none."""


class Hubs(Protocol):
    """What DPS needs of the hubs."""

    def hub(self, name: str) -> Hub:
        """Return a hub; ServiceError if there is none of this name."""

    def provision(
        self,
        hub_name: str,
        device_id: str,
        keys: KeyPair,
        now: float,
        initial_twin: Json | None = None,
    ) -> object:
        """Make a device, or give the one that is there new keys and leave its twin."""

    def migrate(
        self,
        device_id_from: str,
        hub_from: str,
        device_id_to: str,
        hub_to: str,
        keys: KeyPair,
        now: float,
        twin: Literal["migrate", "reset"],
        initial_twin: Json | None = None,
    ) -> object:
        """Move a device, with its twin or with a new one; it may be gone from where it was."""


@dataclass(frozen=True)
class Assigner:
    """Puts devices where they belong."""

    database: Database
    records: RegistrationTable
    hubs: Hubs
    network: Network
    tell: Callable[[Event], None]
    random: Callable[[int], bytes]
    name_to_dial: Callable[[str], str]
    hub_for: Callable[[str, float], str | None]  # a hub that goes before the enrollment's

    def assign(
        self, registration_id: str, enrollment: Enrollment, asked: Outcome | None, now: float
    ) -> Registration:
        """Return the record of what became of a registration, which may be that it failed.

        asked: what the web-hook said, where one is asked. Raises ServiceError if the device is to
        hear an error instead.
        """
        try:
            registration = self._registered(registration_id, enrollment, asked, now)
        except StoreError as error:
            why = f"its assignment can not be kept: {error}"
            self.tell(Failed(now, SERVICE, registration_id, why, "error 500001"))
            raise ServiceError(500001, "Internal server error.") from None
        self._tell(registration, enrollment, now)
        return registration

    def disable(self, registration_id: str, enrollment: Enrollment, now: float) -> Registration:
        """Return the record of a registration under a disabled enrollment; StoreError."""
        ended = self._record(registration_id, enrollment, now)
        ended = replace(ended, status="disabled")
        self.records.put(ended)
        return ended

    def _registered(
        self, registration_id: str, enrollment: Enrollment, asked: Outcome | None, now: float
    ) -> Registration:
        record = self._record(registration_id, enrollment, now)
        try:
            with self.database.transaction():
                ended = self._placed(record, enrollment, asked, now)
                self.records.put(ended)
        except _Refused as refused:
            raise refused.error from None
        except ServiceError as error:
            code, why = error.code, str(error)
            ended = replace(record, status="failed", error_code=code, error_message=why)
            self.records.put(ended)
        return ended

    def _placed(
        self, record: Registration, enrollment: Enrollment, asked: Outcome | None, now: float
    ) -> Registration:
        chosen = self._chosen(record, enrollment, asked, now)
        name = enrollment.name_at_hub(record.registration_id)
        if record.hub and not enrollment.update_hub:
            name = record.device_id
        self._check_owner(record, name, chosen.hub, now)
        substatus = self._place(record, name, enrollment, chosen, now)
        return replace(
            record, device_id=name, hub=chosen.hub, substatus=substatus, payload=chosen.payload
        )

    # a device that failed or was disabled still is where it was assigned before
    def _record(self, registration_id: str, enrollment: Enrollment, now: float) -> Registration:
        earlier = self.records.get(registration_id)
        return Registration(
            registration_id,
            earlier.device_id if earlier else "",
            earlier.hub if earlier else "",
            enrollment.group,
            earlier.substatus if earlier else "",
            bodies.new_etag(self.random),
            earlier.created if earlier else now,
            now,
        )

    def _chosen(
        self, record: Registration, enrollment: Enrollment, asked: Outcome | None, now: float
    ) -> Allocation:
        chosen = self._allocated(record.registration_id, enrollment, asked)
        if record.hub and not enrollment.update_hub:
            chosen = replace(chosen, hub=record.hub)
        if elsewhere := self.hub_for(record.registration_id, now):
            chosen = replace(chosen, hub=self.network.linked(elsewhere) or elsewhere)
        return chosen

    def _allocated(
        self, registration_id: str, enrollment: Enrollment, asked: Outcome | None
    ) -> Allocation:
        if enrollment.allocation != CUSTOM:
            return Allocation(self.network.allocate(enrollment, registration_id))
        allowed = {hub.lower(): hub for hub in self.network.choices(enrollment)}
        if not isinstance(asked, Allocation):
            why = asked.why if asked else "Custom allocation failed: nobody was asked"
            raise ServiceError(FAILED, why)
        hub = allowed.get(asked.hub.lower())
        if hub is None:
            named = asked.hub[:140]
            raise ServiceError(FAILED, f"Custom allocation failed: {named!r} is not a linked hub")
        return replace(asked, hub=hub)

    def _check_owner(self, record: Registration, device_id: str, hub: str, now: float) -> None:
        if (device_id, hub.lower()) == (record.device_id, record.hub.lower()):
            return
        owner = self.records.owner(hub, device_id)
        if owner and fold(owner) != fold(record.registration_id) and self._knows(hub, device_id):
            who = record.registration_id
            self.tell(Refused(now, SERVICE, who, Reason.TAKEN, "error 409001"))
            raise _Refused(ServiceError(409001, "Device already exists."))

    # which of the two twins a device gets, and how that is called
    def _place(
        self,
        record: Registration,
        name: str,
        enrollment: Enrollment,
        chosen: Allocation,
        now: float,
    ) -> str:
        keys = enrollment.device_keys(record.registration_id)
        twin = chosen.initial_twin or enrollment.initial_twin
        moved = bool(record.hub) and record.hub.lower() != chosen.hub.lower()
        if moved or (record.hub and record.device_id != name):
            migrate = enrollment.migrate_data and chosen.initial_twin is None
            self.hubs.migrate(
                record.device_id, record.hub, name, chosen.hub, keys, now,
                "migrate" if migrate else "reset", twin,
            )  # fmt: skip
            if moved:
                return bodies.MIGRATED if migrate else bodies.RESET
            return bodies.AGAIN
        known = self._knows(chosen.hub, name)
        self.hubs.provision(chosen.hub, name, keys, now, twin)
        return bodies.AGAIN if known else bodies.INITIAL

    def _knows(self, hub: str, device_id: str) -> bool:
        try:
            self.hubs.hub(hub).device(device_id)
        except ServiceError:
            return False
        return True

    def _tell(self, one: Registration, enrollment: Enrollment, now: float) -> None:
        if one.status == "failed":
            answer = f"status failed, {one.error_code}"
            self.tell(Failed(now, SERVICE, one.registration_id, one.error_message, answer))
            return
        dial, label = self.name_to_dial(one.hub), enrollment.label
        self.tell(
            Assigned(now, one.registration_id, one.device_id, one.hub, dial, label, one.substatus)
        )


class _Refused(Exception):
    """The device hears an error, and its record stays as it is."""

    def __init__(self, error: ServiceError) -> None:
        super().__init__(str(error))
        self.error = error
