"""Plots as inline SVG: no script, colours from the page's style sheet, words for those who listen.

Owns the drawing. Lengths are pixels of a picture that is WIDTH or WIDE wide and scales with its
page.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from markupsafe import Markup, escape

from host_tools.batch_report.figures import Figures, Reason, quantile
from host_tools.batch_report.scale import (
    between,
    columns,
    floor,
    seconds,
    ticks,
    whole_ticks,
    written,
)
from host_tools.printable import counted

WIDTH, WIDE = 520, 1088
_ROW, _BAR = 30, 14
_BINS = 32
_PAUSE = 28  # between two stretches of work


def _picture(height: float, title: str, parts: Iterable[str], width: float = WIDTH) -> Markup:
    return Markup(
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}">'
        + "".join(parts)
        + "</svg>"
    )


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}"'
    return f"<text {place}>{escape(text)}</text>"


def _rect(x: float, y: float, width: float, height: float, kind: str, say: str = "") -> str:
    title = f"<title>{escape(say)}</title>" if say else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}"'
        f' class="{kind}">{title}</rect>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def states(figures: Figures) -> Markup:
    """Return one bar of all boards, by state."""
    total, x, gap = max(sum(figures.states.values()), 1), 0.0, 2.0
    shown = [(state, count) for state, count in figures.states.items() if count]
    room = 1000 - gap * (len(shown) - 1)
    parts = []
    for state, count in shown:
        width = max(room * count / total, 3)
        kind = f"state {state.replace(' ', '-')}"
        parts.append(_rect(x, 0, width, 22, kind, f"{state}: {count}"))
        x += width + gap
    said = ", ".join(f"{count} {state}" for state, count in shown)
    head = '<svg viewBox="0 0 1000 22" preserveAspectRatio="none" class="strip" role="img"'
    return Markup(f'{head} aria-label="{escape(said)}">{"".join(parts)}</svg>')


def failures(reasons: Sequence[Reason]) -> Markup:
    """Return a bar for each reason: its boards, those still in that trouble darker."""
    left, right = 150, 50
    most = max((len(one.boards) for one in reasons), default=1)
    scale = (WIDTH - left - right) / most
    parts = []
    for number, one in enumerate(reasons):
        y = number * _ROW + (_ROW - _BAR) / 2
        boards = len(one.boards)
        still, whole = len(one.still) * scale, boards * scale
        say = (
            f"{one.name}: {counted(boards, 'board')}, of which {len(one.still)} still failed or"
            f" refused; {counted(one.attempts, 'attempt')}, {counted(one.refusals, 'refusal')}"
        )
        parts += [
            _text(left - 12, y + _BAR - 3, _short(one.name, 19), "mono", "end"),
            _rect(left, y, whole, _BAR, "bar mended", say),
            _rect(left, y, still, _BAR, "bar open", say),
            _text(left + whole + 8, y + _BAR - 3, written(boards), "value"),
        ]
    said = ", ".join(f"{one.name} {counted(len(one.boards), 'board')}" for one in reasons)
    return _picture(max(len(reasons), 1) * _ROW, f"Failures by reason: {said}", parts)


def steps(took: dict[str, list[float]]) -> Markup:
    """Return a row for each step: where the middle half of attempts is, and 90 % of them."""
    left, right, foot = 74, 60, 26
    marks = ticks(max((quantile(values, 0.95) for values in took.values()), default=1))
    scale = (WIDTH - left - right) / marks[-1]
    bottom = len(took) * _ROW
    parts = [*_grid(marks, left, scale, bottom)]
    for number, (step, values) in enumerate(took.items()):
        parts += _step(step, values, number * _ROW + _ROW / 2, left, scale)
    said = ", ".join(f"{step} {seconds(quantile(values, 0.5))}" for step, values in took.items())
    return _picture(bottom + foot, f"Median time of each step: {said}", parts)


def _grid(marks: Iterable[float], left: float, scale: float, bottom: float) -> Iterable[str]:
    for mark in marks:
        x = left + mark * scale
        yield _line(x, 0, x, bottom, "grid")
        yield _text(x, bottom + 18, seconds(mark), "axis", "middle")


def _step(step: str, values: list[float], y: float, left: float, scale: float) -> list[str]:
    low, begin, middle, end, high = (
        left + quantile(values, part) * scale for part in (0.05, 0.25, 0.5, 0.75, 0.95)
    )
    mid = quantile(values, 0.5)
    say = (
        f"{step}: median {seconds(mid)}, half of them {seconds(quantile(values, 0.25))} to"
        f" {seconds(quantile(values, 0.75))}, 90 % {seconds(quantile(values, 0.05))} to"
        f" {seconds(quantile(values, 0.95))}"
    )
    return [
        _text(left - 12, y + 4, step, "", "end"),
        _line(low, y, high, y, "whisker"),
        _rect(begin, y - _BAR / 2, max(end - begin, 1.5), _BAR, "box", say),
        _line(middle, y - _BAR / 2 - 2, middle, y + _BAR / 2 + 2, "median"),
        _text(max(high, middle) + 8, y + 4, seconds(mid), "value"),
    ]


def whole(values: list[float]) -> Markup:
    """Return how many attempts took how long, from plugging in to the ledger."""
    left, top, foot, height = 44, 20, 26, 150
    marks = between(quantile(values, 0.01), quantile(values, 0.99))
    first, reach = marks[0], marks[-1] - marks[0]
    counts = Counter(min(max(int((one - first) / reach * _BINS), 0), _BINS - 1) for one in values)
    levels = whole_ticks(max(counts.values()))
    scale, tall = (WIDTH - left - 12) / reach, height / levels[-1]
    bottom, wide = top + height, (WIDTH - left - 12) / _BINS
    parts = [*_levels(levels, left, WIDTH, bottom, tall)]
    for number, count in counts.items():
        x, tip = left + number * wide, bottom - count * tall
        begin, end = (first + reach / _BINS * (number + n) for n in (0, 1))
        say = f"{counted(count, 'attempt')} took {seconds(begin)} to {seconds(end)}"
        parts.append(_rect(x + 0.5, tip, wide - 1, count * tall, "bar", say))
    for mark in marks:
        x = left + (mark - first) * scale
        parts.append(_text(x, bottom + 18, seconds(mark), "axis", "middle"))
    x = left + (quantile(values, 0.5) - first) * scale
    name = f"median {seconds(quantile(values, 0.5))}"
    parts += [
        _line(x, top - 4, x, bottom, "median thin"),
        _text(x, top - 9, name, "value", "middle"),
    ]
    return _picture(bottom + foot, f"Time per board: {name}", parts)


def _levels(
    levels: Sequence[float], left: float, right: float, bottom: float, tall: float
) -> Iterable[str]:
    for level in levels:
        y = bottom - level * tall
        yield _line(left, y, right, y, "grid")
        yield _text(left - 8, y + 4, written(level), "axis", "end")


def over_time(done: Sequence[datetime], lost: Sequence[datetime]) -> tuple[str, Markup]:
    """Return the name of the plot, and a column for each stretch of time: good, and failed."""
    moments = sorted((*done, *lost))
    width, name, runs = columns(moments)
    good = Counter(floor(at, width) for at in done)
    bad = Counter(floor(at, width) for at in lost)
    left, top, foot, height = 44, 8, 40, 160
    begins = [at for run in runs for at in run]
    levels = whole_ticks(max(good[at] + bad[at] for at in begins))
    tall, bottom = height / levels[-1], top + height
    wide = min((WIDE - left - _PAUSE * (len(runs) - 1)) / len(begins), 76)
    parts, x = [*_levels(levels, left, WIDE, bottom, tall)], float(left)
    for run in runs:
        for number, at in enumerate(run):
            place = x + number * wide
            say = f"{_stamp(at, width)}: {good[at]} good, {bad[at]} failed"
            parts += _column(say, place, wide, bottom, good[at] * tall, bad[at] * tall)
        parts += _dates(run, width, x, wide, bottom)
        x += len(run) * wide + _PAUSE
    said = f"{name}: {len(done)} good, {len(lost)} failed attempts"
    return name, _picture(bottom + foot, said, parts, WIDE)


def _column(
    say: str, x: float, wide: float, bottom: float, good: float, bad: float
) -> Iterable[str]:
    gap = min(2.0, wide / 5)
    yield _rect(x + gap / 2, bottom - good, wide - gap, good, "bar", say)
    yield _rect(x + gap / 2, bottom - good - bad, wide - gap, bad, "bar open", say)


def _dates(
    run: Sequence[datetime], width: timedelta, left: float, wide: float, bottom: float
) -> Iterable[str]:
    every = max(1, -(-46 // int(max(wide, 1))))
    day, free = None, 0.0
    for number, at in enumerate(run):
        x = left + number * wide
        if width < timedelta(days=1) and number % every == 0:
            yield _text(x, bottom + 17, f"{at:%H:%M}", "axis")
        if at.date() != day and x >= free:
            yield _text(x, bottom + 34, f"{at:%a} {at.day} {at:%b}", "axis strong")
            free = x + 80
        day = at.date()


def _stamp(at: datetime, width: timedelta) -> str:
    return f"{at:%Y-%m-%d}" if width >= timedelta(days=1) else f"{at:%Y-%m-%d %H:%M} UTC"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"
