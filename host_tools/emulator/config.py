"""Config: what a cloud on the bench is made of.

Owns the values and their defaults. Doesn't own the file that may hold them (config_file.py) nor
the keys that are generated where none is given (store.py).
"""

from dataclasses import dataclass

from host_tools.emulator.dps.enrollment import Enrollment, EnrollmentGroup, IndividualEnrollment

ID_SCOPE = "0ne00002193"
HUB = "test-docs-hub.azure-devices.net"
REFUSE_AT = ("register", "connect")


@dataclass(frozen=True)
class Config:
    """One DPS instance and its enrollments."""

    id_scope: str = ID_SCOPE
    assigning_replies: int = 2
    retry_after: int = 1
    refuse_at: str = "register"
    groups: tuple[EnrollmentGroup, ...] = (EnrollmentGroup("mylegacydevices", HUB),)
    individuals: tuple[IndividualEnrollment, ...] = ()

    @property
    def hubs(self) -> list[str]:
        """Return the names of all hubs that are handed out, each once."""
        enrollments: list[Enrollment] = [*self.groups, *self.individuals]
        return list(dict.fromkeys(one.hub for one in enrollments))
