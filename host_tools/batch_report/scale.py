"""Scales: round numbers along an axis, and how numbers are written."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

_LEAST = 0.001  # a millisecond: what was measured is no finer
_STEPS = (1, 2, 2.5, 5, 10)


def ticks(most: float, about: int = 5) -> list[float]:
    """Return round numbers from 0 to at least `most`, about so many."""
    if most <= 0:
        return [0.0, 1.0]
    most = max(most, _LEAST)
    size = 10 ** math.floor(math.log10(most / about))
    step = next((size * part for part in _STEPS if most / (size * part) <= about), size * 10)
    count = math.ceil(most / step - 1e-9)
    return [round(number * step, 6) for number in range(count + 1)]


def between(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers from at most `low` to at least `high`; from 0 if that is near."""
    if low < high / 3:
        return ticks(high, about)
    reach = max(high - low, high / 50, _LEAST)
    step = ticks(reach, about)[1]
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return [round(number * step, 6) for number in range(first, last + 1)]


def whole_ticks(most: int, about: int = 4) -> list[float]:
    """Return the same for things that are counted."""
    found = [tick for tick in ticks(most, about) if tick == int(tick)]
    return found if len(found) > 1 and found[-1] >= most else [0.0, float(max(most, 1))]


def written(number: float) -> str:
    """Return a number as people write it."""
    if abs(number) >= 1000:
        return f"{number:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    if number == int(number) or abs(number) >= 100:
        return f"{number:.0f}"
    return f"{number:.1f}" if abs(number) >= 1 else f"{number:.2f}"


def seconds(number: float) -> str:
    """Return a duration as people write it."""
    if number >= 5400:
        return f"{written(number / 3600)} h"
    return f"{written(number / 60)} min" if number >= 120 else f"{written(number)} s"


def share(part: int, whole: int) -> str:
    """Return a share in per cent; never 100 % for less than all, never 0 % for more than none."""
    if not whole:
        return "\N{EN DASH}"
    value = 100 * part / whole
    rounded = round(value, 1)
    if 0 < part < whole:
        rounded = min(max(rounded, 0.1), 99.9)
    return f"{rounded:g} %"


# width of a column of the plot over time, what it is called, and how many columns it is for
_IDLE = 4  # columns without anything that are still drawn
_WIDTHS = (
    (timedelta(minutes=10), "Attempts in ten minutes", 18),
    (timedelta(hours=1), "Attempts per hour", 100),
    (timedelta(days=1), "Attempts per day", 100),
    (timedelta(days=7), "Attempts per week", 500),
)


def columns(moments: Sequence[datetime]) -> tuple[timedelta, str, list[list[datetime]]]:
    """Return width and name of the columns, and their begins in stretches of work.

    moments: when something was done, in order. Where nothing was for long no column is drawn.
    """
    fitting = (row for row in _WIDTHS if (moments[-1] - moments[0]) / row[0] <= row[2])
    width, name, _ = next(fitting, _WIDTHS[-1])
    runs: list[list[datetime]] = []
    for begin in sorted({floor(at, width) for at in moments}):
        if runs and begin - runs[-1][-1] <= width * _IDLE:
            while runs[-1][-1] + width < begin:
                runs[-1].append(runs[-1][-1] + width)
            runs[-1].append(begin)
        else:
            runs.append([begin])
    return width, name, runs


def floor(at: datetime, width: timedelta) -> datetime:
    """Return the begin of the column that a moment is in; weeks begin on Monday."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    if width >= timedelta(days=7):
        return midnight - timedelta(days=at.weekday())
    return midnight + width * int((at - midnight) / width)
