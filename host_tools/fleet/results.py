"""Results: what became of each device, added up for people and for scripts.

Owns the counting and the percentiles. Doesn't own the words (report.py).
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from host_tools.fleet.plan import Member
from keystead.catalogue import entry
from keystead.failure import Failure

_PERCENTS = (50, 90, 99, 100)


@dataclass
class Outcome:
    """What became of one device; times are seconds from the fleet's start."""

    member: Member
    began: float = 0.0
    connections: int = 0  # that got through CONNECT
    assigned: float | None = None
    connected: float | None = None
    failure: Failure | None = None


@dataclass
class Spell:
    """A time in which all devices did one thing."""

    seconds: float = 0.0
    times: "array[float]" = field(default_factory=lambda: array("d"))  # of each message


@dataclass(frozen=True)
class Summary:
    """What became of all."""

    outcomes: Sequence[Outcome]
    boot: float  # seconds from the first device's start to the last one's end
    asked_dps: bool = True
    talk: Spell | None = None

    @property
    def failed(self) -> int:
        """Return how many devices failed."""
        return sum(one.failure is not None for one in self.outcomes)

    def failures(self) -> list[dict[str, Any]]:
        """Return the reasons, the most frequent first, each with an example."""
        failed = [one for one in self.outcomes if one.failure]
        found: dict[tuple[str, int], Outcome] = {}
        count: Counter[tuple[str, int]] = Counter()
        for one in failed:
            assert one.failure is not None
            key = (one.failure.reason, one.failure.code)
            count[key] += 1
            found.setdefault(key, one)
        return [_reason(found[key], number) for key, number in count.most_common()]

    def document(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        connections = sum(one.connections for one in self.outcomes)
        return {
            "devices": len(self.outcomes),
            "asked_dps": self.asked_dps,
            "assigned": sum(one.assigned is not None for one in self.outcomes),
            "connected": sum(one.connected is not None for one in self.outcomes),
            "failed": self.failed,
            "failures": self.failures(),
            "boot_seconds": round(self.boot, 3),
            "connections": connections,
            "connections_per_second": round(connections / self.boot, 1) if self.boot else 0.0,
            "seconds_to_assigned": _times(one.assigned - one.began for one in self.outcomes
                                          if one.assigned is not None),
            "seconds_to_connected": _times(one.connected - one.began for one in self.outcomes
                                           if one.connected is not None),
            "messages": _messages(self.talk) if self.talk else None,
        }  # fmt: skip


def _reason(example: Outcome, count: int) -> dict[str, Any]:
    failure = example.failure
    assert failure is not None
    return {
        "reason": failure.reason,
        "code": failure.code,
        "happened": entry(failure.reason)[1],
        "count": count,
        "example": example.member.name,
        "detail": failure.detail,
    }


def _messages(talk: Spell) -> dict[str, Any]:
    return {
        "acknowledged": len(talk.times),
        "seconds": round(talk.seconds, 3),
        "per_second": round(len(talk.times) / talk.seconds, 1) if talk.seconds else 0.0,
        "seconds_to_acknowledged": _times(talk.times),
    }


# None where there is nothing: a fleet of which no device got so far
def _times(seconds: Iterable[float]) -> dict[str, float] | None:
    ordered = sorted(seconds)
    if not ordered:
        return None
    names = ("median", "p90", "p99", "longest")
    return {
        name: round(percentile(ordered, percent), 6)
        for name, percent in zip(names, _PERCENTS, strict=True)
    }


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Return the nearest-rank percentile of numbers in ascending order, at least one."""
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]
