"""The script of a soak: which incidents happen when, drawn from a seed, for people to read."""

import math
from random import Random

from tests.soak.incidents import DAY, HOUR, KINDS, MINUTE, SLOW, Incident

CALM = HOUR  # at the beginning
QUIET = SLOW + HOUR  # at the end, for all that waits to arrive
_GAPS = ((0, 15 * MINUTE), (15 * MINUTE, 90 * MINUTE), (2 * HOUR, 8 * HOUR))
_GAP_WEIGHTS = (3, 5, 2)
_ALONE = 0.6  # of incidents are over before the next one begins
_UNCUT = range(8 * DAY, 22 * DAY)  # with power all the time: longer than ticks_ms takes to wrap
_BRIEF = 8 * HOUR  # those that last longer never are


def draw(seed: int, days: float) -> list[Incident]:
    """Return the incidents of so many days; the same for the same seed."""
    chance = Random(f"soak {seed}")
    names, weights = list(KINDS), [kind.weight for kind in KINDS.values()]
    at, end = CALM, int(days * DAY) - QUIET
    incidents: list[Incident] = []
    while True:
        gap = chance.choices(_GAPS, _GAP_WEIGHTS)[0]
        at += chance.randrange(*gap)
        if at >= end:
            return incidents
        name = chance.choices(names, weights)[0]
        if KINDS[name].cuts and at in _UNCUT:
            continue
        lasts = min(_drawn(chance, *KINDS[name].lasts), end - at)
        incident = Incident(at, lasts, name, KINDS[name].draw(chance))
        incidents.append(incident)
        if lasts < _BRIEF and chance.random() < _ALONE:
            at = incident.over


# the logarithm is even: short ones are as many as long ones
def _drawn(chance: Random, least: int, most: int) -> int:
    if least == most:
        return least
    return round(math.exp(chance.uniform(math.log(least), math.log(most))))


def text(incidents: list[Incident]) -> str:
    """Return the script as people read it."""
    return "\n".join(
        f"{stamp(one.at)}  {_span(one.lasts):>9}  {one.sentence}" for one in incidents
    )


def stamp(seconds: float) -> str:
    """Return a time since the beginning, e.g. "day 3 04:05:06"."""
    day, rest = divmod(int(seconds), DAY)
    return f"day {day:2} {rest // HOUR:02}:{rest % HOUR // 60:02}:{rest % 60:02}"


def _span(seconds: int) -> str:
    if seconds < 2 * MINUTE:
        return f"{seconds} s" if seconds else ""
    return f"{seconds // MINUTE} min" if seconds < 3 * HOUR else f"{seconds / HOUR:.1f} h"
