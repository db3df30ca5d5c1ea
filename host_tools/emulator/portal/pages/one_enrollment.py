"""One enrollment, of either kind: its status, its keys, and the page that they are on.

Owns what a group's page and an individual's do alike. Doesn't own the fields (policies.py) nor
what is special to a kind (group.py, individual.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from host_tools.emulator.dps.enrollment import EnrollmentGroup, IndividualEnrollment
from host_tools.emulator.portal.desk import Action, Desk, Facts, Outcome, Page, Query, Secret, url
from host_tools.emulator.portal.forms import Form
from host_tools.emulator.portal.pages import policies, registrations

Kind = TypeVar("Kind", EnrollmentGroup, IndividualEnrollment)


@dataclass(frozen=True)
class OneEnrollment(Generic[Kind]):
    """How the pages of one kind of enrollment are found, and what they say."""

    path: str
    field: str  # of the address, with the enrollment's name
    kind: type[Kind]
    enabled: str
    disabled: str
    renewed: str

    def of(self, desk: Desk, query: Query) -> Kind:
        """Return the enrollment that a page is about; raise ServiceError."""
        return desk.cloud.dps.enrollments.get(self.kind, query.get(self.field, ""))

    def address(self, name: str, anchor: str = "") -> str:
        """Return where an enrollment's page is."""
        return url(self.path, anchor, **{self.field: name})

    def page(self, facts: Callable[[Desk, Query], Facts], save: Action, delete: Action) -> Page:
        """Return the page."""
        return Page(
            self.path,
            f"{self.path.strip('/')}.html",
            facts,
            actions={
                "save": save,
                "enable": self._enable,
                "delete": delete,
                "new-key": self._new_key,
                "delete-record": registrations.delete,
            },
            reveals={"keys": self._keys},
        )

    def keep(self, desk: Desk, one: Kind, etag: str = "*") -> None:
        """Keep a changed enrollment; raise ServiceError if etag is not that of the one before."""
        desk.cloud.dps.enrollments.put(one, desk.clock(), etag)

    def saved(self, one: Kind) -> Outcome:
        """Return what to say when an enrollment's fields were changed."""
        said = "Saved. It applies from the next registration."
        return Outcome(self.address(one.name, "settings"), said)

    def _enable(self, desk: Desk, query: Query, form: Form) -> Outcome:
        one = replace(self.of(desk, query), enabled=form.text("enabled") == "yes")
        self.keep(desk, one)
        return Outcome(self.address(one.name), self.enabled if one.enabled else self.disabled)

    def _keys(self, desk: Desk, query: Query) -> list[Secret]:
        return policies.shown(self.of(desk, query).keys)

    def _new_key(self, desk: Desk, query: Query, form: Form) -> Outcome:
        one, which = self.of(desk, query), form.choice("which", ("primary", "secondary"))
        self.keep(desk, replace(one, keys=policies.regenerated(one.keys, which)))
        said = f"The {which} key is a new one: {self.renewed}."
        return Outcome(self.address(one.name, "keys"), said)
