"""Enrollment: who may register at DPS, with which keys, and the terms they get.

Owns the two kinds of enrollment and the keys that a device of each signs with. Doesn't own which
of them a token belongs to (admission.py), how they got here (config.py, documents.py) nor where
they are kept (enrollments.py).
Sources: "Symmetric key attestation"; "DPS terminology"; the DPS REST API's field names, in our
spelling.
"""

from dataclasses import InitVar, dataclass, field
from typing import Any

from host_tools.emulator.key_pair import NO_KEYS
from host_tools.emulator.key_pair import KeyPair as KeyPair

HASHED, GEO_LATENCY, STATIC, CUSTOM = "hashed", "geoLatency", "static", "custom"
ALLOCATIONS = (HASHED, GEO_LATENCY, STATIC, CUSTOM)
# (updateHubAssignment, migrateDeviceData)
REPROVISIONING = {"migrate": (True, True), "reset": (True, False), "never": (False, False)}
WEBHOOK_API_VERSION = "2021-10-01"


@dataclass(frozen=True)
class Webhook:
    """Who is asked for a hub under custom allocation."""

    url: str = field(repr=False)  # an Azure function's has its key in it
    api_version: str = WEBHOOK_API_VERSION


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What an enrollment gives to a device that it admits."""

    allocation: str = HASHED
    hubs: tuple[str, ...] = ()  # of which one is allocated; none: of all linked ones
    webhook: Webhook | None = None
    update_hub: bool = True  # whether a later registration may lead to another hub
    migrate_data: bool = True  # whether the twin comes along then
    initial_twin: dict[str, Any] | None = None  # {"tags": ..., "properties": {"desired": ...}}
    edge: bool = False
    information: dict[str, Any] | None = None  # "optionalDeviceInformation": kept for the owner
    etag: str = ""  # this one and what follows is DPS's to set
    created: float = 0  # seconds since 1970
    updated: float = 0

    # hub, where an enrollment is made or replaced, is short for a static allocation
    def _lead_to(self, hub: str) -> None:
        if hub:
            object.__setattr__(self, "hubs", (hub,))
            object.__setattr__(self, "allocation", STATIC)


@dataclass(frozen=True)
class EnrollmentGroup(Terms):
    """Devices that share a pair of group keys; each signs with a key derived from one of them."""

    name: str
    hub: InitVar[str] = ""
    keys: KeyPair = NO_KEYS
    enabled: bool = True

    kind = "group"

    def __post_init__(self, hub: str) -> None:
        self._lead_to(hub)

    @property
    def group(self) -> str:
        """Return the group's name."""
        return self.name

    @property
    def label(self) -> str:
        """Return what to call it before people."""
        return f"enrollment group {self.name}"

    def name_at_hub(self, registration_id: str) -> str:
        """Return the device ID a member gets: its own spelling of its registration ID."""
        return registration_id

    def device_keys(self, registration_id: str) -> KeyPair:
        """Return the keys a member may sign with."""
        return self.keys.derived_for(registration_id)


@dataclass(frozen=True)
class IndividualEnrollment(Terms):
    """One device, which signs with the enrollment's own keys."""

    registration_id: str
    hub: InitVar[str] = ""
    keys: KeyPair = NO_KEYS
    device_id: str = ""  # "" for the registration ID
    enabled: bool = True

    kind = "individual"
    group = ""
    label = "its individual enrollment"

    def __post_init__(self, hub: str) -> None:
        self._lead_to(hub)

    @property
    def name(self) -> str:
        """Return the registration ID, by which it is kept."""
        return self.registration_id

    def name_at_hub(self, registration_id: str) -> str:
        """Return the device ID."""
        return self.device_id or registration_id

    def device_keys(self, registration_id: str) -> KeyPair:
        """Return the keys the device may sign with."""
        return self.keys


Enrollment = EnrollmentGroup | IndividualEnrollment


def fold(registration_id: str) -> str:
    """Return the spelling by which registration IDs are compared: they ignore case."""
    return registration_id.lower()
