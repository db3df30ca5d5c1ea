"""Config: what a cloud on the bench is made of.

Owns the values and their defaults. Doesn't own the file that may hold them (config_file.py) nor
what becomes of its enrollments once the cloud runs (dps/seeds.py).
"""

from dataclasses import dataclass

from host_tools.emulator.dps.allocation import Latency, Network
from host_tools.emulator.dps.enrollment import Enrollment, EnrollmentGroup, IndividualEnrollment

ID_SCOPE = "0ne00002193"
NAME = "keystead"
HUB = "test-docs-hub.azure-devices.net"
REFUSE_AT = ("register", "connect")


@dataclass(frozen=True)
class LinkedHub:
    """A hub that DPS may give to devices, and its share of them."""

    name: str
    weight: int = 1  # 1 to 1000


@dataclass(frozen=True)
class Config:
    """One DPS instance, its hubs and its enrollments."""

    id_scope: str = ID_SCOPE
    assigning_replies: int = 2
    retry_after: int = 1
    refuse_at: str = "register"
    groups: tuple[EnrollmentGroup, ...] = (EnrollmentGroup("mylegacydevices", HUB),)
    individuals: tuple[IndividualEnrollment, ...] = ()
    name: str = NAME  # of the DPS instance: its service API's host begins with it
    throttle: bool = False  # a bench boots more devices than Azure allows
    links: tuple[LinkedHub, ...] = ()
    latencies: tuple[Latency, ...] = ()

    @property
    def linked(self) -> dict[str, int]:
        """Return all hubs with their weights, each once: those of enrollments are linked, too.

        Without any there is one, so that an enrollment that is made later has a hub.
        """
        enrollments: list[Enrollment] = [*self.groups, *self.individuals]
        named = [LinkedHub(hub) for one in enrollments for hub in one.hubs]
        weights: dict[str, int] = {}
        seen: set[str] = set()
        for hub in [*self.links, *named] or [LinkedHub(HUB)]:
            if hub.name.lower() not in seen:
                weights[hub.name] = hub.weight
                seen.add(hub.name.lower())
        return weights

    @property
    def hubs(self) -> list[str]:
        """Return the names of all hubs, each once."""
        return list(self.linked)

    @property
    def network(self) -> Network:
        """Return the hubs as allocation sees them."""
        return Network(self.linked, self.latencies)

    @property
    def dps_host(self) -> str:
        """Return the host of the service's API."""
        return f"{self.name}.azure-devices-provisioning.net"
