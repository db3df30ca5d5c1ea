"""Plot: the numbers in a device's messages, as lines to draw.

Owns which values are numbers, the scale of an axis and the geometry. Doesn't own the drawing:
that is a template. Foreign bytes come in here; whatever is no number is left out.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from host_tools.emulator.events import Telemetry, printable

MOST = 12  # plots of one device
WIDTH, HEIGHT = 320.0, 84.0  # of the area that is drawn in
_LARGEST = 64 * 1024  # bytes of a body that is looked into
_DEEPEST = 4  # levels of objects and arrays
_LONGEST = 40  # characters of a name
_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Tick:
    """One mark of an axis: where it is, and what it says."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Plot:
    """One value's course: a line, its last point, its axis and its legend."""

    name: str
    count: int
    last: str
    lowest: str
    highest: str
    line: str  # "x,y x,y ..."
    end: tuple[float, float]
    ticks: tuple[Tick, ...]


Points = list[tuple[float, float]]


def plots(messages: Sequence[Telemetry]) -> list[Plot]:
    """Return a plot of each value that is a number, in the order they first came."""
    courses: dict[str, Points] = {}
    for message in messages:
        for name, value in numbers(message.body):
            if name in courses or len(courses) < MOST:
                courses.setdefault(name, []).append((message.time, value))
    if not courses:
        return []
    begin, end = messages[0].time, messages[-1].time
    return [_plot(name, points, begin, end) for name, points in courses.items()]


def numbers(body: bytes) -> Iterator[tuple[str, float]]:
    """Give the numbers in a JSON body, named by their path; none if it is not JSON."""
    if len(body) > _LARGEST:
        return
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return
    yield from _within(document, "", _DEEPEST)


def _within(value: Any, path: str, depth: int) -> Iterator[tuple[str, float]]:
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        number = _finite(value)
        if number is not None:
            yield printable(path[:_LONGEST]) or "value", number
    elif isinstance(value, dict) and depth:
        for name, inner in value.items():
            yield from _within(inner, f"{path}.{name}" if path else name, depth - 1)
    elif isinstance(value, list) and depth:
        for index, inner in enumerate(value):
            yield from _within(inner, f"{path}[{index}]", depth - 1)


def _finite(value: float) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if abs(number) < 1e300 else None  # also not NaN


def _plot(name: str, points: Points, begin: float, end: float) -> Plot:
    values = [value for _, value in points]
    low, high, ticks = axis(min(values), max(values))
    span = end - begin
    placed = [
        (
            (time - begin) / span * WIDTH if span > 0 else WIDTH,
            _height(value, low, high),
        )
        for time, value in points
    ]
    return Plot(
        name=name,
        count=len(points),
        last=brief(values[-1]),
        lowest=brief(min(values)),
        highest=brief(max(values)),
        line=" ".join(f"{x:.1f},{y:.1f}" for x, y in placed),
        end=placed[-1],
        ticks=tuple(Tick(_height(value, low, high), brief(value)) for value in ticks),
    )


def _height(value: float, low: float, high: float) -> float:
    return HEIGHT - (value / 2 - low / 2) / (high / 2 - low / 2) * HEIGHT


def axis(lowest: float, highest: float) -> tuple[float, float, tuple[float, ...]]:
    """Return the lower and the upper end of an axis, and two to four round values on it."""
    largest = max(abs(lowest), abs(highest))
    if highest - lowest <= max(largest * 1e-9, 1e-290):  # beyond what a float can tell apart
        around = largest / 10 or 1.0
        lowest, highest = lowest - around, highest + around
    step = _step((highest - lowest) / 2)
    low, high = math.floor(lowest / step) * step, math.ceil(highest / step) * step
    count = round((high - low) / step)
    every = max(1, math.ceil(count / 3))
    return low, high, tuple(low + step * i for i in range(0, count + 1, every))


def _step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * step for step in _STEPS if power * step >= least * 0.999)


def brief(value: float) -> str:
    """Return a number as people write it, with at most six digits that count."""
    return f"{value:.6g}".replace("e+0", "e").replace("e+", "e").replace("-", "\N{MINUS SIGN}")


def span_of(messages: Iterable[Telemetry]) -> tuple[float, float] | None:
    """Return the times of the first and the last message."""
    times = [message.time for message in messages]
    return (times[0], times[-1]) if times else None
