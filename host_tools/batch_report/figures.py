"""Figures: what a batch's events add up to.

Owns what is counted, in one walk over the ledger. Doesn't own how it is shown.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median

from host_tools.batch import Batch
from host_tools.flash.steps import STEPS
from host_tools.ledger import BatchCount, Event, Identity, Ledger

GOOD, FAILED, SCRAPPED, WAITING = "good", "failed", "scrapped", "free"
IN_WORK = "in work"
STATES = (GOOD, IN_WORK, FAILED, SCRAPPED, WAITING)


@dataclass
class Reason:
    """A reason for failing: attempts that did, and boards that are failed for it now."""

    name: str
    attempts: int = 0
    boards: set[str] = field(default_factory=set)
    still: set[str] = field(default_factory=set)


@dataclass
class Station:
    """What a station did; seconds: of each good board."""

    name: str
    good: int = 0
    failed: int = 0
    seconds: list[float] = field(default_factory=list)

    @property
    def typical(self) -> float | None:
        """Return the median of the seconds a good board took."""
        return median(self.seconds) if self.seconds else None


@dataclass
class Figures:
    """All that the page shows of a batch.

    states: boards by STATES; first_pass and ended: boards that were good at their first attempt,
    and those that had one; steps: seconds of each step of each good attempt, in their order;
    whole: their sums; done and lost: when attempts ended; packed: boards let pass; stopped: scans
    that were not; troubled: boards that need somebody; head: the ledger's, "NUMBER:HASH".
    """

    batch: Batch
    units: int
    head: str
    states: Mapping[str, int]
    first_pass: int = 0
    ended: int = 0
    reasons: list[Reason] = field(default_factory=list)
    steps: dict[str, list[float]] = field(default_factory=dict)
    whole: list[float] = field(default_factory=list)
    done: list[datetime] = field(default_factory=list)
    lost: list[datetime] = field(default_factory=list)
    stations: list[Station] = field(default_factory=list)
    packed: int = 0
    stopped: int = 0
    troubled: list[Identity] = field(default_factory=list)
    begun: datetime | None = None
    last: datetime | None = None


def gather(
    ledger: Ledger, batch_name: str, progress: Callable[[int], object] = lambda number: None
) -> Figures:
    """Return a batch's figures. Raises UnknownBatch; progress: told events' numbers."""
    batch, count = ledger.batch(batch_name), ledger.count(batch_name)
    boards = {one.registration_id: one for one in ledger.identities(batch_name)}
    figures = Figures(batch, count.units, ledger.head(), _states(count))
    figures.troubled = [one for one in boards.values() if _state(one.state) in _TROUBLE]
    _Walk(figures, boards).over(ledger.events(), progress)
    return figures


_TROUBLE = (FAILED, SCRAPPED, IN_WORK)


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
        self._reasons: dict[str, Reason] = {}
        self._stations: dict[str, Station] = {}
        self._packed: set[str] = set()
        self._ended: dict[str, str] = {}
        self._steps: defaultdict[str, list[float]] = defaultdict(list)

    def over(self, events: Iterable[Event], progress: Callable[[int], object]) -> None:
        """Count all events of the batch's boards."""
        for event in events:
            progress(event.number)
            name = event.registration_id
            if name is not None and name in self._boards:
                self._count(event, name)
        figures = self._figures
        order = {step: place for place, step in enumerate(STEPS)}
        figures.steps = dict(
            sorted(self._steps.items(), key=lambda pair: order.get(pair[0], len(order)))
        )
        figures.reasons = sorted(self._reasons.values(), key=lambda one: -one.attempts)
        figures.stations = sorted(self._stations.values(), key=lambda one: one.name)
        figures.packed = len(self._packed)
        figures.ended = len(self._ended)
        figures.first_pass = Counter(self._ended.values())[GOOD]

    def _count(self, event: Event, name: str) -> None:
        at = datetime.fromisoformat(event.at)
        figures = self._figures
        figures.begun = figures.begun or at
        figures.last = at
        if event.kind == "good":
            self._good(event, name, at)
        elif event.kind == "failed":
            self._failed(event, name, at)
        elif event.kind == "checked" and event.facts.get("passed") is True:
            self._packed.add(name)
        elif event.kind == "checked":
            figures.stopped += 1

    def _station(self, event: Event) -> Station:
        return self._stations.setdefault(event.station, Station(event.station))

    def _good(self, event: Event, name: str, at: datetime) -> None:
        self._figures.done.append(at)
        self._ended.setdefault(name, GOOD)
        station = self._station(event)
        station.good += 1
        seconds = _seconds(event.facts.get("seconds"))
        for step, took in seconds.items():
            self._steps[step].append(took)
        if seconds:
            self._figures.whole.append(sum(seconds.values()))
            station.seconds.append(sum(seconds.values()))

    def _failed(self, event: Event, name: str, at: datetime) -> None:
        self._figures.lost.append(at)
        self._ended.setdefault(name, FAILED)
        self._station(event).failed += 1
        text = str(event.facts.get("reason") or "unknown")[:60]
        reason = self._reasons.setdefault(text, Reason(text))
        reason.attempts += 1
        reason.boards.add(name)
        board = self._boards[name]
        if board.state == FAILED and board.reason == event.facts.get("reason"):
            reason.still.add(name)


def _seconds(fact: object) -> dict[str, float]:
    """Return the seconds by step that an event carries; other stations may have written it."""
    if not isinstance(fact, Mapping):
        return {}
    return {
        str(step)[:24]: float(took)
        for step, took in fact.items()
        if isinstance(took, int | float) and 0 <= took < 86_400
    }


def quantile(values: list[float], share: float) -> float:
    """Return what `share` of the values are at most, between two of them in proportion."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def as_json(figures: Figures) -> dict[str, object]:
    """Return the figures in JSON's names."""
    return {
        "batch": figures.batch.name,
        "units": figures.units,
        "states": dict(figures.states),
        "ended": figures.ended,
        "firstPass": figures.first_pass,
        "failures": {
            one.name: {"attempts": one.attempts, "boards": len(one.boards), "open": len(one.still)}
            for one in figures.reasons
        },
        "secondsPerStep": {
            step: {name: round(quantile(took, share), 3) for name, share in SHARES.items()}
            for step, took in figures.steps.items()
        },
        "stations": {
            one.name: {"good": one.good, "failed": one.failed} for one in figures.stations
        },
        "packed": figures.packed,
        "stopped": figures.stopped,
        "head": figures.head,
    }


SHARES = {"p5": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95}
