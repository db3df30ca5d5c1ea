"""Counting: a batch's figures, in one walk over its ledger.

Owns what counts as what. A refusal is no attempt: it came before there was one, so it is not in
first_pass nor ended. A board is counted once for each reason, however often it came, and is still
in trouble only if the last that was said of it is that trouble.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from host_tools.batch_report.figures import (
    FAILED,
    GOOD,
    IN_WORK,
    SCRAPPED,
    STATES,
    WAITING,
    Figures,
    Reason,
    Refusal,
    Station,
    Tally,
)
from host_tools.flash.course import STEPS
from host_tools.ledger import BatchCount, Event, Identity, Ledger
from host_tools.ledger.rules import BEGINNINGS, REFUSED
from keystead.registration_id import format_mac, parse_mac

_TROUBLE = (FAILED, SCRAPPED, IN_WORK)
_LONGEST = 200  # characters of a port, which may differ at the end only


def gather(
    ledger: Ledger, batch_name: str, progress: Callable[[int], object] = lambda number: None
) -> Figures:
    """Return a batch's figures. Raises UnknownBatch; progress: told events' numbers."""
    batch, count = ledger.batch(batch_name), ledger.count(batch_name)
    boards = {one.registration_id: one for one in ledger.identities(batch_name)}
    figures = Figures(batch, count.units, ledger.head(), _states(count))
    figures.troubled = [one for one in boards.values() if _state(one.state) in _TROUBLE]
    walk = _Walk(figures, boards)
    walk.over(ledger.events(), progress)
    walk.end(ledger.by_mac)
    return figures


def _state(state: str) -> str:
    if state in (GOOD, FAILED, SCRAPPED):
        return state
    return WAITING if state in ("reserved", "imported") else IN_WORK


def _states(count: BatchCount) -> dict[str, int]:
    found = dict.fromkeys(STATES, 0)
    for state, number in count.states.items():
        found[_state(state)] += number
    found[WAITING] += count.free
    return found


class _Walk:
    """One pass over the events."""

    def __init__(self, figures: Figures, boards: Mapping[str, Identity]) -> None:
        self._figures = figures
        self._boards = boards
        self._by_mac = {format_mac(one.mac, ":"): one for one in boards.values()}
        self._reasons: dict[str, Reason] = {}
        self._stations: dict[str, Station] = {}
        self._packed: set[str] = set()
        self._ended: dict[str, str] = {}
        self._steps: defaultdict[str, list[float]] = defaultdict(list)
        self._ports: dict[str, str] = {}  # of each board's attempt
        # of each board that is in any, by MAC: the reason, and the refusal if it was one
        self._trouble: dict[str, tuple[Reason, Refusal | None]] = {}

    def over(self, events: Iterable[Event], progress: Callable[[int], object]) -> None:
        """Count all events of the batch's boards."""
        for event in events:
            progress(event.number)
            name = event.registration_id
            if event.kind == REFUSED:
                if event.facts.get("batch") == self._figures.batch.name:
                    self._refused(event)
            elif name is not None and name in self._boards:
                self._count(event, name)

    def end(self, by_mac: Callable[[bytes], Identity | None]) -> None:
        """Put down what is known when all events were seen; by_mac: asks the whole ledger."""
        figures = self._figures
        for mac, (reason, refusal) in self._trouble.items():
            if not self._is_over(mac, by_mac):
                reason.still.add(mac)
                figures.turned_away += [refusal] if refusal else []
        order = {step: place for place, step in enumerate(STEPS)}
        figures.steps = dict(
            sorted(self._steps.items(), key=lambda pair: order.get(pair[0], len(order)))
        )
        figures.reasons = sorted(self._reasons.values(), key=lambda one: -len(one.boards))
        figures.stations = sorted(self._stations.values(), key=lambda one: one.name)
        figures.packed = len(self._packed)
        figures.ended = len(self._ended)
        figures.first_pass = Counter(self._ended.values())[GOOD]

    # a board that was refused here may have been made in another batch since
    def _is_over(self, mac: str, by_mac: Callable[[bytes], Identity | None]) -> bool:
        try:
            known = self._by_mac.get(mac) or by_mac(parse_mac(mac))
        except ValueError:  # a chip that did not tell its MAC
            return False
        return known is not None and known.state in (GOOD, SCRAPPED)

    def _count(self, event: Event, name: str) -> None:
        at = datetime.fromisoformat(event.at)
        figures = self._figures
        figures.begun = figures.begun or at
        figures.last = at
        if event.kind == "good":
            self._good(event, name, at)
        elif event.kind == "failed":
            self._failed(event, name, at)
        elif event.kind in (*BEGINNINGS, "restored"):
            self._ports[name] = _text(event.facts.get("port"))
            self._trouble.pop(self._mac(name), None)
        elif event.kind == "checked" and event.facts.get("passed") is True:
            self._packed.add(name)
        elif event.kind == "checked":
            figures.stopped += 1

    def _mac(self, name: str) -> str:
        return format_mac(self._boards[name].mac, ":")

    def _station(self, event: Event) -> Station:
        return self._stations.setdefault(event.station, Station(name=event.station))

    def _places(self, event: Event, port: str) -> tuple[Station, Tally]:
        station = self._station(event)
        return station, station.ports.setdefault(port, Tally()) if port else Tally()

    def _good(self, event: Event, name: str, at: datetime) -> None:
        self._figures.done.append(at)
        self._ended.setdefault(name, GOOD)
        station, port = self._places(event, self._ports.get(name, ""))
        station.good += 1
        port.good += 1
        seconds = _seconds(event.facts.get("seconds"))
        for step, took in seconds.items():
            self._steps[step].append(took)
        if seconds:
            self._figures.whole.append(sum(seconds.values()))
            station.seconds.append(sum(seconds.values()))

    def _failed(self, event: Event, name: str, at: datetime) -> None:
        self._figures.lost.append(at)
        self._ended.setdefault(name, FAILED)
        for place in self._places(event, self._ports.get(name, "")):
            place.failed += 1
        self._reason(event, self._mac(name)).attempts += 1

    def _refused(self, event: Event) -> None:
        facts = {name: _text(event.facts.get(name)) for name in ("mac", "chip", "port")}
        mac = facts["mac"] or f"event {event.number}"
        self._figures.refused.add(mac)
        for place in self._places(event, facts["port"]):
            place.refused += 1
        reason, at = _reason_of(event), datetime.fromisoformat(event.at)
        refusal = Refusal(**facts, reason=reason, station=event.station, at=at)
        self._reason(event, mac, refusal).refusals += 1

    def _reason(self, event: Event, mac: str, refusal: Refusal | None = None) -> Reason:
        name = _reason_of(event)
        found = self._reasons.setdefault(name, Reason(name))
        found.boards.add(mac)
        self._trouble[mac] = found, refusal
        return found


def _reason_of(event: Event) -> str:
    return _text(event.facts.get("reason"))[:60] or "unknown"


def _text(fact: object) -> str:
    return "" if fact is None else str(fact)[:_LONGEST]


def _seconds(fact: object) -> dict[str, float]:
    """Return the seconds by step that an event carries; other stations may have written it."""
    if not isinstance(fact, Mapping):
        return {}
    return {
        str(step)[:24]: float(took)
        for step, took in fact.items()
        if isinstance(took, int | float) and 0 <= took < 86_400
    }
