"""Figures: one row of the table, and what it means to meet a bar.

Owns the values and how a number is written. Doesn't own where they come from.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A measured number; worst is the other end of its spread, where repetitions differ."""

    number: float
    unit: str
    worst: float | None = None

    def __str__(self) -> str:
        """Return it as people write it, e.g. "12 us (.. 14)"."""
        text = f"{digits(self.number)} {self.unit}"
        if self.worst is None or digits(self.worst) == digits(self.number):
            return text
        return f"{text} (.. {digits(self.worst)})"


@dataclass(frozen=True)
class Bar:
    """What a figure is to be: at most limit, or at least."""

    limit: float
    at_most: bool = True

    def met(self, figure: Figure) -> bool:
        """Tell whether a figure is good enough."""
        return figure.number <= self.limit if self.at_most else figure.number >= self.limit


@dataclass(frozen=True)
class Row:
    """One line of the table.

    beside: the same of the stock umqtt.simple, or of whom `against` names, in this run; anchor:
    the best that others published or that was measured of them; note: what a reader must know.
    """

    what: str
    ours: Figure
    beside: Figure | None = None
    against: str = ""
    anchor: str = ""
    bar: Bar | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Return ours in units of the other, None where there is no other."""
        return self.ours.number / self.beside.number if self.beside else None

    @property
    def met(self) -> bool | None:
        """Tell whether the bar is met, None where there is no bar."""
        return self.bar.met(self.ours) if self.bar else None


class Unmeasured(Exception):
    """A section can not be measured on this machine; the text says why."""


def quickest(seconds: Sequence[float], times: float, unit: str) -> Figure:
    """Return the least of several durations, times a factor, with the longest as its spread."""
    return Figure(min(seconds) * times, unit, max(seconds) * times)


def usual_rate(seconds: Sequence[float], count: int) -> Figure:
    """Return the median rate of several runs of count each, with the lowest as its spread.

    Not the best: a rate that depends on the scheduler would meet its bar by luck.
    """
    return Figure(count / statistics.median(seconds), "/s", count / max(seconds))


def digits(number: float) -> str:
    """Return a number with as many digits as matter, thousands apart."""
    if number != int(number) and abs(number) < 100:
        return f"{number:.1f}" if abs(number) >= 1 else f"{number:.2f}"
    return f"{number:,.0f}".replace(",", " ")
