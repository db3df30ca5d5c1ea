"""Figures: what a batch's events add up to.

Owns what there is to know. Doesn't own how it is counted (counting.py) nor how it is shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median

from host_tools.batch import Batch
from host_tools.ledger import Identity

GOOD, FAILED, SCRAPPED, WAITING = "good", "failed", "scrapped", "free"
IN_WORK = "in work"
STATES = (GOOD, IN_WORK, FAILED, SCRAPPED, WAITING)


@dataclass
class Reason:
    """A reason for failing.

    attempts: that failed for it; refusals: times a board was turned away before there was one;
    boards: each once, by its MAC; still: those that are in this trouble now.
    """

    name: str
    attempts: int = 0
    refusals: int = 0
    boards: set[str] = field(default_factory=set)
    still: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Refusal:
    """A board that was turned away, as it was last; mac and port: "" if they are not known."""

    mac: str
    chip: str
    reason: str
    port: str
    station: str
    at: datetime


@dataclass
class Tally:
    """What came of the boards at some place: attempts, and refusals before there was one."""

    good: int = 0
    failed: int = 0
    refused: int = 0


@dataclass
class Station(Tally):
    """What a station did, in all and on each of its ports; seconds: of each good board."""

    name: str = ""
    seconds: list[float] = field(default_factory=list)
    ports: dict[str, Tally] = field(default_factory=dict)

    @property
    def typical(self) -> float | None:
        """Return the median of the seconds a good board took."""
        return median(self.seconds) if self.seconds else None


@dataclass
class Figures:
    """All that the page shows of a batch.

    states: boards by STATES; refused: boards that ever were, by MAC; turned_away: those of
    them that nobody has begun since, and are not good; first_pass and ended: boards that were good
    at their first attempt, and those that had one; steps: seconds of each step of each good
    attempt, in their order; whole: their sums; done and lost: when attempts ended; packed:
    boards let pass; stopped: scans that were not; troubled: boards that need somebody; head:
    the ledger's, "NUMBER:HASH".
    """

    batch: Batch
    units: int
    head: str
    states: Mapping[str, int]
    first_pass: int = 0
    ended: int = 0
    refused: set[str] = field(default_factory=set)
    turned_away: list[Refusal] = field(default_factory=list)
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
            one.name: {
                "attempts": one.attempts,
                "refusals": one.refusals,
                "boards": len(one.boards),
                "open": len(one.still),
            }
            for one in figures.reasons
        },
        "refused": {"boards": len(figures.refused), "open": len(figures.turned_away)},
        "secondsPerStep": {
            step: {name: round(quantile(took, share), 3) for name, share in SHARES.items()}
            for step, took in figures.steps.items()
        },
        "stations": {
            one.name: {
                **_tally(one),
                "ports": {port: _tally(tally) for port, tally in one.ports.items()},
            }
            for one in figures.stations
        },
        "packed": figures.packed,
        "stopped": figures.stopped,
        "head": figures.head,
    }


def _tally(one: Tally) -> dict[str, int]:
    return {"good": one.good, "failed": one.failed, "refused": one.refused}


SHARES = {"p5": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95}
