"""Allocation: which of its linked hubs DPS gives to a device.

Owns the policies that need nobody else: static, hashed by weight, lowest latency. Doesn't own the
custom one (webhook.py) nor what becomes of the choice (assignment.py).
Source: "How to use allocation policies". The service does not say how it hashes: ours is weighted
rendezvous hashing, so that a device moves only if its own hub goes or a new one draws it.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from host_tools.emulator.dps.enrollment import GEO_LATENCY, STATIC, Enrollment, fold
from host_tools.emulator.errors import ServiceError

NO_HUB, UNKNOWN_HUB = 400208, 400209


@dataclass(frozen=True)
class Latency:
    """How far some devices are from a hub: what stands in for the network."""

    devices: str  # a pattern of registration IDs: * and ? as in file names
    hub: str
    milliseconds: int


@dataclass(frozen=True)
class Network:
    """The linked hubs and how far they are."""

    weights: Mapping[str, int]  # by name, in the config's order
    latencies: Sequence[Latency] = ()

    def linked(self, hub: str) -> str:
        """Return a linked hub's name as the config spells it, "" if it is not linked."""
        return next((name for name in self.weights if name.lower() == hub.lower()), "")

    def choices(self, enrollment: Enrollment) -> list[str]:
        """Return the hubs that an enrollment leads to; raise ServiceError if there is none."""
        if not enrollment.hubs:
            choices = list(self.weights)
        else:
            choices = [name for hub in enrollment.hubs if (name := self.linked(hub))]
            if not choices:
                raise ServiceError(UNKNOWN_HUB, "The IoT hub is not linked to this DPS.")
        if not choices:
            raise ServiceError(NO_HUB, "No IoT hub is linked to this DPS.")
        return choices

    def allocate(self, enrollment: Enrollment, registration_id: str) -> str:
        """Return the hub for a device; raise ServiceError."""
        choices = self.choices(enrollment)
        if enrollment.allocation == STATIC:
            return choices[0]
        if enrollment.allocation == GEO_LATENCY:
            choices = self._nearest(choices, registration_id)
        return max(choices, key=lambda hub: _draw(registration_id, hub, self.weights[hub]))

    # the first row that fits counts; a hub without one is the farthest
    def _nearest(self, choices: Sequence[str], registration_id: str) -> list[str]:
        name = fold(registration_id)
        far = dict.fromkeys(choices, math.inf)
        for row in reversed(self.latencies):
            hub = self.linked(row.hub)
            if hub in far and fnmatchcase(name, fold(row.devices)):
                far[hub] = row.milliseconds
        nearest = min(far.values())
        return [hub for hub in choices if far[hub] == nearest]


# of all hubs the one whose draw is highest wins, with a chance in proportion to its weight
def _draw(registration_id: str, hub: str, weight: int) -> float:
    digest = hashlib.sha256(f"{fold(registration_id)}\n{hub.lower()}".encode()).digest()
    chance = (int.from_bytes(digest[:7], "big") + 0.5) / 2**56
    return -weight / math.log(chance)
