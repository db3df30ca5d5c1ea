"""Enrollment: who may register at DPS, with which keys, and the terms they get.

Owns the two kinds of enrollment and their keys. Doesn't own which of them a token belongs to
(admission.py), how they got here (config.py, documents.py) nor where they are kept
(enrollments.py).
Sources: "Symmetric key attestation"; "DPS terminology"; the DPS REST API's field names, in our
spelling.
"""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import InitVar, dataclass, field
from typing import Any

from host_tools.keys import derive_device_key

KEY_SIZE = 64  # bytes of a generated key, as the portal makes them
HASHED, GEO_LATENCY, STATIC, CUSTOM = "hashed", "geoLatency", "static", "custom"
ALLOCATIONS = (HASHED, GEO_LATENCY, STATIC, CUSTOM)
# (updateHubAssignment, migrateDeviceData)
REPROVISIONING = {"migrate": (True, True), "reset": (True, False), "never": (False, False)}
WEBHOOK_API_VERSION = "2021-10-01"


@dataclass(frozen=True)
class KeyPair:
    """A primary and a secondary key, both valid; b"" is one that is still to be generated."""

    primary: bytes = field(default=b"", repr=False)
    secondary: bytes = field(default=b"", repr=False)

    def __iter__(self) -> Iterator[bytes]:
        return iter((self.primary, self.secondary))

    def completed(self, spare: "KeyPair") -> "KeyPair":
        """Return this pair, with spare's key where there is none."""
        return KeyPair(self.primary or spare.primary, self.secondary or spare.secondary)

    def derived_for(self, registration_id: str) -> "KeyPair":
        """Return the device keys of one member of the group whose keys these are."""
        return KeyPair(*(derive_device_key(key, registration_id) for key in self))


def generate_keys(random: Callable[[int], bytes] = secrets.token_bytes) -> KeyPair:
    """Return two new keys."""
    return KeyPair(random(KEY_SIZE), random(KEY_SIZE))


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
    keys: KeyPair = KeyPair()
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
    keys: KeyPair = KeyPair()
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
