"""InForce: a rule in force, and what became of it so far.

Owns the counting for each board and the lot drawn each time. Doesn't own which rules there are
nor their order: faults.py.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from host_tools.emulator.faults.rule import Rule
from host_tools.emulator.faults.who import lot

TOLD_APART = 100_000  # boards; who came before is forgotten first


class Moment(NamedTuple):
    """Something is about to happen, and may go wrong."""

    service: str  # when.py has the names of services and operations
    operation: str
    device_id: str  # before CONNECT, its address
    now: float
    passed: tuple[float, float] = (0, 0)  # packets or seconds before and with this one
    name: str = ""  # that is looked up or dialled


@dataclass
class InForce:
    """A rule, and what became of it."""

    number: int
    rule: Rule
    since: float
    salt: str
    met: dict[str, int] = field(default_factory=dict)  # times by board
    fired: dict[str, int] = field(default_factory=dict)
    total: int = 0

    def strikes(self, moment: Moment, place: int, seed: int) -> int | None:
        """Count a moment; return the lot drawn if the rule applies to it, else None."""
        rule, board = self.rule, moment.device_id
        since = max(moment.now - self.since, 0)  # a line's clock is a look behind
        if not (rule.begins <= since < rule.ends and rule.when.fits(moment.passed, moment.name)):
            return None
        if not rule.who.includes(board, place, seed):
            return None
        met = self.met[board] = self.met.pop(board, 0) + 1
        forget(self.met)
        fired = self.fired.get(board, 0)
        if met <= rule.skip or (rule.times and fired >= rule.times):
            return None
        drawn = lot(seed, self.salt, board, met)
        if drawn % 100_000 >= rule.percent * 1000:
            return None
        if rule.at_most and self.total >= rule.at_most:
            return None
        self.total += 1
        self.fired[board] = self.fired.pop(board, 0) + 1
        forget(self.fired)
        return drawn


# whoever makes up names must not fill the memory
def forget(names: dict[str, Any]) -> None:
    """Forget the oldest name if there are too many."""
    if len(names) > TOLD_APART:
        del names[next(iter(names))]
