"""Faults: the rules in force, and what they make of each thing that happens.

Owns the counting, the order in which boards came, the lots drawn, and the one flag that tells the
rest of the cloud that there is nothing to ask. Doesn't own what a fault does: peer.py, wire.py,
names.py, clock.py. All is decided by the seed and the order of events, nothing by chance.

    faults = Faults(tell=report.event, seed=7)
    number = faults.add(Rule.from_json("the 3rd board gets 429, twice"), now)
    if faults.active and (trouble := faults.ask(Moment(HUB, TELEMETRY, "pump-7", now))): ...
"""

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any, NamedTuple

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Event, printable
from host_tools.emulator.faults import answers
from host_tools.emulator.faults import when as at
from host_tools.emulator.faults.action import PLACES, Action, Kind
from host_tools.emulator.faults.in_force import InForce, Moment, forget
from host_tools.emulator.faults.rule import Rule

Listing = list[dict[str, Any]]

# what is asked for at another moment than the answer
_ELSEWHERE = frozenset({Kind.MOVE, Kind.CLOCK})
_OF_HTTP = frozenset(
    {Kind.ERROR, Kind.STATUS, Kind.EMPTY_BODY, Kind.LATE, Kind.NO_ANSWER, Kind.IGNORED, Kind.DROP}
)
ANSWERS = frozenset(Kind) - _ELSEWHERE


@dataclass(frozen=True, slots=True)
class Struck(Event):
    """A rule was applied to somebody."""

    NAME = "fault"
    service: str
    device_id: str
    operation: str
    gets: str
    rule: int

    def line(self) -> str:
        """Return one line for a person."""
        who = printable(self.device_id) or "somebody"
        where = f"{self.operation} at {self.service}"
        return f"{who} gets {self.gets} ({where}, rule {self.rule})"


class Trouble(NamedTuple):
    """What goes wrong this time."""

    rule: int
    action: Action
    lot: int  # drawn for it, for all that is to vary

    @property
    def delay(self) -> float:
        """Return the seconds by which an answer is late."""
        return self.action.seconds if self.action.kind is Kind.LATE else 0

    @property
    def error(self) -> ServiceError | None:
        """Return what to answer instead, if that is an error."""
        return answers.service_error(self.action) if self.action.kind is Kind.ERROR else None

    @property
    def silent(self) -> bool:
        """Tell whether nothing is to be answered."""
        return self.action.kind in (Kind.NO_ANSWER, Kind.IGNORED)

    @property
    def undone(self) -> bool:
        """Tell whether what was asked for is not to be done."""
        return self.action.kind in (Kind.IGNORED, Kind.ERROR, Kind.STATUS, Kind.DROP)

    @property
    def empty(self) -> bool:
        """Tell whether the answer is to have no body."""
        return self.action.empty or self.action.kind is Kind.EMPTY_BODY

    @property
    def drop(self) -> bool:
        """Tell whether the connection is to end without a word."""
        return self.action.kind is Kind.DROP


class Faults:
    """All rules in force, in the order in which they came."""

    def __init__(self, tell: Callable[[Event], object] = lambda event: None, seed: int = 0):
        """tell: hears of every fault that strikes."""
        self.active = False  # whether there is any rule; all that the hot path looks at
        self.seed = seed
        self._tell = tell
        self._rules: dict[int, InForce] = {}
        self._count = 0
        self._index: dict[tuple[str, str], tuple[InForce, ...]] = {}
        self._places: dict[str, int] = {}  # of boards, in the order in which they came
        self._addresses: dict[str, int] = {}  # the same of those without a name yet
        self._names: dict[str, str] = {}  # registration ID by device ID, where they differ

    def add(self, rule: Rule, now: float) -> int:
        """Put a rule in force; return its number."""
        self._count += 1
        salt = f"{rule.sentence}\0{len(self._rules)}"
        self._rules[self._count] = InForce(self._count, rule, now, salt)
        self._changed()
        return self._count

    def remove(self, number: int) -> bool:
        """Take a rule out of force; tell whether there was one."""
        found = self._rules.pop(number, None) is not None
        self._changed()
        return found

    def clear(self) -> None:
        """Take all rules out of force."""
        self._rules.clear()
        self._changed()

    def list(self) -> Listing:
        """Return the rules as JSON values: number, sentence, keys, and how often each struck."""
        return [
            {
                "id": one.number,
                "sentence": one.rule.sentence,
                **one.rule.as_json(),
                "struck": one.total,
                "boards": len(one.fired),
            }
            for one in self._rules.values()
        ]

    def meet(self, device_id: str) -> int:
        """Return a board's place in the order in which all came; the newest place if it is new."""
        return _place(self._places, self._key(device_id))

    def also(self, registration_id: str, device_id: str) -> None:
        """Take note that a board goes by two names, so that it is counted once."""
        if registration_id.lower() != device_id.lower():
            self._names[device_id.lower()] = registration_id.lower()
            forget(self._names)

    def expects(self, service: str, operation: str) -> bool:
        """Tell whether any rule is for this."""
        return (service, operation) in self._index

    def kinds(self, service: str, operation: str) -> set[Kind]:
        """Return what can go wrong with this."""
        return {one.rule.gets.kind for one in self._index.get((service, operation), ())}

    def ask(self, moment: Moment, kinds: Container[Kind] = ANSWERS) -> Trouble | None:
        """Return what goes wrong, None if nothing does; the first rule that applies counts."""
        rules = self._index.get((moment.service, moment.operation))
        if not rules:
            return None
        place = self._place_of(moment)
        for one in rules:
            if one.rule.gets.kind not in kinds:
                continue
            drawn = one.strikes(moment, place, self.seed)
            if drawn is not None:
                self._tell(_struck(moment, one))
                return Trouble(one.number, one.rule.gets, drawn)
        return None

    def request(self, service: str, device_id: str, operation: str, now: float) -> Trouble | None:
        """Return what goes wrong with an HTTP request, None if nothing does.

        service: DPS for a device's requests, REST for a program's, with operation REQUEST.
        """
        if not self.active:
            return None
        return self.ask(Moment(service, operation, device_id, now), _OF_HTTP)

    def clock(self, service: str, device_id: str, now: float) -> float:
        """Return what a service takes for now when it checks a token."""
        if not self.active:
            return now
        operation = at.REQUEST if service == at.REST else at.CONNECT
        trouble = self.ask(Moment(service, operation, device_id, now), (Kind.CLOCK,))
        return now + trouble.action.seconds if trouble else now

    def hub_for(self, registration_id: str, now: float) -> str | None:
        """Return the hub that DPS must assign a board to, whatever its enrollment says."""
        if not self.active:
            return None
        trouble = self.ask(Moment(at.DPS, at.REGISTER, registration_id, now), (Kind.MOVE,))
        return trouble.action.text if trouble else None

    def _place_of(self, moment: Moment) -> int:
        if moment.service in (at.TLS, at.DNS, at.NTP):
            return _place(self._addresses, moment.device_id)
        if moment.service == at.REST or not moment.device_id:  # a program is no board that comes
            return self._places.get(self._key(moment.device_id), 0)
        return self.meet(moment.device_id)

    def _key(self, device_id: str) -> str:
        return self._names.get(device_id.lower(), device_id.lower())

    def _changed(self) -> None:
        index: dict[tuple[str, str], list[InForce]] = {}
        for one in self._rules.values():
            for operation in one.rule.when.operations & PLACES[one.rule.gets.kind]:
                for service in one.rule.when.services:
                    index.setdefault((service, operation), []).append(one)
        self._index = {key: tuple(rules) for key, rules in index.items()}
        self.active = bool(self._rules)


def _struck(moment: Moment, one: InForce) -> Struck:
    return Struck(
        moment.now,
        moment.service,
        moment.device_id,
        moment.operation,
        one.rule.gets.phrase,
        one.number,
    )


def _place(places: dict[str, int], name: str) -> int:
    place = places.get(name)
    if place is None:
        place = places[name] = next(reversed(places.values()), 0) + 1
        forget(places)
    return place
