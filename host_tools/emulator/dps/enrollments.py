"""Enrollments: all of one DPS instance, made, changed and deleted while it runs.

Owns entity tags, generated keys, and that every change is kept before it is believed. Doesn't own
what an enrollment may say (rules.py), the rows (store/enrollments.py), nor the config's
(seeds.py).
Sources: "Create or update" in the DPS REST API; answers of the service recorded in the tests of
azure-iot-deviceprovisioning: without If-Match, an enrollment that is there is a conflict.
"""

from collections.abc import Callable, Container
from dataclasses import replace
from typing import TypeVar

from host_tools.emulator import etags
from host_tools.emulator.access import Token
from host_tools.emulator.dps import bodies, documents, rules
from host_tools.emulator.dps.admission import admit
from host_tools.emulator.dps.enrollment import Enrollment, EnrollmentGroup, IndividualEnrollment
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.key_pair import generate_keys
from host_tools.emulator.store.enrollments import EnrollmentTable

Kind = TypeVar("Kind", bound=Enrollment)

_CONFLICTS = {
    EnrollmentGroup.kind: (409202, "Enrollment group already exists."),
    IndividualEnrollment.kind: (409201, "Enrollment already exists."),
}
_MISSING = {
    EnrollmentGroup.kind: "Enrollment group not found.",
    IndividualEnrollment.kind: "Enrollment not found.",
}


class Enrollments:
    """Enrollment groups and individual enrollments; everything here may raise StoreError."""

    def __init__(
        self, table: EnrollmentTable, linked: Container[str], random: Callable[[int], bytes]
    ) -> None:
        """linked: the hubs that an enrollment may name, in lower case."""
        self.version = 0  # another one after each change
        self._table = table
        self._linked = linked
        self._random = random
        self._groups: list[EnrollmentGroup] | None = None

    def groups(self) -> list[EnrollmentGroup]:
        """Return all groups by name."""
        if self._groups is None:
            self._groups = self.page(EnrollmentGroup)
        return self._groups

    def page(self, kind: type[Kind], after: str = "", count: int = -1) -> list[Kind]:
        """Return enrollments by name, at most count (-1: all) of those after a name."""
        found = self._table.page(kind.kind, after, count)
        return [one for one in found if isinstance(one, kind)]

    def find(self, kind: type[Kind], name: str) -> Kind | None:
        """Return an enrollment, None if there is none of this name."""
        found = self._table.get(kind.kind, name)
        return found if isinstance(found, kind) else None

    def get(self, kind: type[Kind], name: str) -> Kind:
        """Return an enrollment; raise ServiceError."""
        found = self.find(kind, name)
        if found is None:
            raise ServiceError(404201, _MISSING[kind.kind])
        return found

    def put(self, one: Kind, now: float, if_match: str | None = None) -> Kind:
        """Keep an enrollment and return it as it is kept; raise ServiceError.

        if_match: the etag of the one that is to be changed, "*" for any; None: it must be new.
        Keys that are left out stay as they are, or are generated.
        """
        twin = documents.initial_twin(one.initial_twin) if one.initial_twin else None
        one = replace(one, initial_twin=twin)
        rules.check(one, self._linked)
        before = self.find(type(one), one.name)
        if before is None:
            if if_match is not None:
                raise ServiceError(404201, _MISSING[one.kind])
        elif if_match is None:
            raise ServiceError(*_CONFLICTS[one.kind])
        else:
            etags.check(if_match, before.etag)
        keys = one.keys.completed(before.keys) if before else one.keys
        kept = replace(
            one,
            keys=keys.completed(generate_keys(self._random)),
            etag=bodies.new_etag(self._random),
            created=before.created if before else now,
            updated=now,
        )
        self._table.put(kept, self._table.is_seeded(one.kind, one.name))
        self.changed()
        return kept

    def delete(self, kind: type[Kind], name: str, if_match: str = "*") -> None:
        """Delete an enrollment; raise ServiceError."""
        etags.check(if_match, self.get(kind, name).etag)
        self._table.delete(kind.kind, name)
        self.changed()

    def changed(self) -> None:
        """Take note that an enrollment is another one than it was."""
        self.version += 1
        self._groups = None

    def admit(self, registration_id: str, token: Token) -> Enrollment:
        """Return the enrollment under which token was signed, enabled or not; AccessDenied."""
        individual = self.find(IndividualEnrollment, registration_id)
        return admit(registration_id, token, individual, self.groups())
