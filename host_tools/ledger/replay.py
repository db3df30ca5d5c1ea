"""Replay: what the events alone say, to be compared with what the tables say.

Owns the walk along the chain. Doesn't read a database: events come in, findings come out.
"""

from collections.abc import Mapping
from typing import Any

import host_tools.ledger.chain as chain
import host_tools.ledger.refusing as refusing
import host_tools.ledger.rules as rules
from host_tools.ledger.appending import columns_of, taken_over
from host_tools.ledger.errors import LedgerError, Tampered
from host_tools.ledger.model import Event
from host_tools.ledger.planning import batch_columns
from keystead.registration_id import parse_mac

Columns = dict[str, Any]


class Replay:
    """The ledger up to some event, made of events only."""

    def __init__(self) -> None:
        self._walk = chain.Walk()
        self.batches: dict[str, Columns] = {}
        self.units: dict[str, str] = {}  # digest by batch
        self.identities: dict[str, Columns] = {}
        self._standings: dict[str, rules.Standing] = {}
        self._macs: dict[str, str] = {}
        self._places: dict[tuple[str, int], str] = {}

    @property
    def number(self) -> int:
        """Return the number of the event it has come to."""
        return self._walk.number

    @property
    def hash(self) -> str:
        """Return that event's hash."""
        return self._walk.hash

    def feed(self, event: Event, facts: str) -> None:
        """Go on by one event; facts: as they stand in the table; raise Tampered."""
        self._walk.step(
            event.number,
            event.at,
            event.station,
            event.kind,
            event.registration_id,
            facts,
            event.previous,
            event.hash,
        )
        try:
            self._take(event)
        except (LedgerError, KeyError, TypeError, ValueError) as error:
            raise Tampered(event.number, f"was not written by keystead ({error})") from None

    def _take(self, event: Event) -> None:
        facts, name = event.facts, event.registration_id
        if event.number == 1 or event.kind == "created":
            if event.number != 1 or event.kind != "created":
                raise ValueError("the first is created, and no other")
        elif event.kind == "batch":
            self._plan(event)
        elif event.kind == rules.REFUSED and name is None:
            refusing.check(facts, self.batches)
        elif name is None:
            raise ValueError(f"{event.kind} is of no board")
        elif event.kind in rules.ISSUES:
            self._issue(event, name)
        else:
            after = rules.after(self._standings[name], name, event.kind, facts)
            self._standings[name] = after
            self._keep(event, name, {**columns_of(after), **taken_over(event.kind, facts)})

    def _plan(self, event: Event) -> None:
        columns = batch_columns(event.facts)
        if columns["name"] in self.batches:
            raise ValueError(f"batch {columns['name']} was planned before")
        self.batches[columns["name"]] = {**columns, "event": event.number}
        self.units[columns["name"]] = event.facts["unitsSha256"]

    def _issue(self, event: Event, name: str) -> None:
        facts = event.facts
        mac, place = parse_mac(facts["mac"]).hex(), (facts["batch"], facts["place"])
        if name.lower() in self.identities or mac in self._macs or place in self._places:
            raise ValueError(f"{name}, its MAC or its serial was given away before")
        if facts["batch"] not in self.batches:
            raise ValueError(f"there was no batch {facts['batch']}")
        self._macs[mac] = name
        self._places[place] = facts["serial"]
        self._standings[name] = standing = rules.Standing(event.kind)
        columns = {
            "registration_id": name,
            "batch": facts["batch"],
            "place": facts["place"],
            "serial": facts["serial"],
            "mac": mac,
            "chip": facts["chip"],
            "fingerprint": None,
            "reserved": event.number,
            **columns_of(standing),
            **taken_over(event.kind, facts),
        }
        self.identities[name.lower()] = {}
        self._keep(event, name, columns)

    def _keep(self, event: Event, name: str, columns: Mapping[str, Any]) -> None:
        self.identities[name.lower()].update(columns, event=event.number, updated=event.at)

    def places(self, batch: str) -> dict[int, str]:
        """Return which units of a batch were given away, and their serials."""
        return {one: serial for (name, one), serial in self._places.items() if name == batch}


class Differences:
    """Compares rows of the tables with a replay; the first that differs is raised as Tampered."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._seen: set[str] = set()

    def batch(self, row: Mapping[str, Any]) -> None:
        """Compare a batch."""
        self._same("batch", row["name"], row, self._replay.batches.get(row["name"]))

    def identity(self, row: Mapping[str, Any]) -> None:
        """Compare an identity."""
        name = row["registration_id"]
        self._same("identity", name, row, self._replay.identities.get(name.lower()))

    def number(self, batch: str) -> int:
        """Return which event planned a batch."""
        return int(self._replay.batches[batch]["event"])

    def units(self, batch: str, digest: str, taken: Mapping[int, str]) -> None:
        """Compare the units of a batch: their digest, and which are given away, with serials."""
        number = self.number(batch)
        if digest != self._replay.units[batch]:
            raise Tampered(number, f"the list of batch {batch} is not the one that was planned")
        wrong = set(taken.items()) ^ set(self._replay.places(batch).items())
        if wrong:
            place = min(wrong)[0]
            is_ = "given away" if place in taken else "free"
            raise Tampered(
                number, f"unit {place} of batch {batch} is marked {is_}, which no event says"
            )

    def all_seen(self) -> None:
        """Check that no row is missing."""
        for what, rows in (
            ("batch", self._replay.batches),
            ("identity", self._replay.identities),
        ):
            for name, row in rows.items():
                if f"{what} {name.lower()}" not in self._seen:
                    raise Tampered(row["event"], f"{what} {name} is missing in its table")

    def _same(
        self, what: str, name: str, row: Mapping[str, Any], wanted: Mapping[str, Any] | None
    ) -> None:
        self._seen.add(f"{what} {name.lower()}")
        last = self._replay.number
        if row["event"] > last:
            raise Tampered(
                last + 1,
                f"is missing, and so are later ones: {what} {name} was last changed by event"
                f" {row['event']}",
            )
        if wanted is None:
            raise Tampered(
                self._replay.number,
                f"is the last, and none says {what} {name}: were events cut off, or a row added?",
            )
        for column, value in wanted.items():
            if row[column] != value:
                number = max(wanted["event"], 1)
                raise Tampered(
                    number,
                    f"says that {column} of {what} {name} is {value!r}, its table says"
                    f" {row[column]!r}",
                )
