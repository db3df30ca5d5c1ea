"""Reconciling: the ledger beside DPS's registration list.

Owns which differences there are. Doesn't own how the list is fetched (dps.py).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from host_tools.ledger.model import Identity

# a board that came so far has its key, and may be out there
_MADE = {
    "flashed",
    "retrofitted",
    "verified",
    "booted",
    "proven",
    "registered",
    "good",
}
_ELSEWHERE = {"imported"}


@dataclass(frozen=True)
class Difference:
    """One board that the ledger and DPS disagree on; why: a line for a person."""

    registration_id: str
    why: str


@dataclass
class Differences:
    """What was found. matched: boards that both know as they should."""

    matched: int = 0
    never_seen: list[Difference] = field(default_factory=list)
    never_made: list[Difference] = field(default_factory=list)
    not_good: list[Difference] = field(default_factory=list)
    not_assigned: list[Difference] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Return how many boards differ."""
        those = (self.never_seen, self.never_made, self.not_good, self.not_assigned)
        return sum(map(len, those))

    def json(self) -> dict[str, Any]:
        """Return all of it in JSON's names."""

        def shown(those: list[Difference]) -> list[dict[str, str]]:
            return [{"registrationId": one.registration_id, "why": one.why} for one in those]

        return {
            "matched": self.matched,
            "neverSeen": shown(self.never_seen),
            "neverMade": shown(self.never_made),
            "notGood": shown(self.not_good),
            "notAssigned": shown(self.not_assigned),
        }


def reconcile(
    identities: Iterable[Identity],
    registrations: Iterable[Mapping[str, Any]],
    batch: str | None = None,
) -> Differences:
    """Compare the whole ledger with a registration list; DPS ignores case.

    batch: whose boards are to have been seen; one of another batch is no stranger either way.
    """
    known = {one.registration_id.lower(): one for one in identities}
    found, seen = Differences(), set[str]()
    for record in registrations:
        name = str(record.get("registrationId", ""))
        seen.add(name.lower())
        _compare(found, name, record, known.get(name.lower()), batch)
    for key, one in known.items():
        if key not in seen and one.state in _MADE and batch in (None, one.batch):
            why = f"{one.state} in batch {one.batch} since {one.updated}, DPS never saw it"
            found.never_seen.append(Difference(one.registration_id, why))
    return found


def _compare(
    found: Differences,
    name: str,
    record: Mapping[str, Any],
    one: Identity | None,
    batch: str | None,
) -> None:
    since = record.get("createdDateTimeUtc", "an unknown day")
    if one is None:
        why = f"registered since {since}, the ledger does not know it"
        found.never_made.append(Difference(name, why))
    elif batch not in (None, one.batch):
        pass
    elif one.state not in _MADE | _ELSEWHERE:
        because = f" ({one.reason})" if one.reason else ""
        why = f"registered since {since}, the ledger has it as {one.state}{because}"
        # an attempt begins with its key's fingerprint: without one no station ever had the key
        those = found.never_made if one.fingerprint is None else found.not_good
        those.append(Difference(name, why))
    elif record.get("status") != "assigned":
        trouble = record.get("errorMessage") or record.get("errorCode") or "no reason given"
        why = f"DPS has it as {record.get('status')}: {trouble}"
        found.not_assigned.append(Difference(name, why))
    else:
        found.matched += 1
