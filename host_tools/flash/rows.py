"""The rows: what a person sees of many ports at once, and what a script reads.

Owns the live table; on a pipe it is plain lines, with --json an object a line. Doesn't own the
words (words.py), nor a number.
"""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from host_tools.flash.course import STEPS
from host_tools.flash.shortened import Shortened, short_names
from host_tools.flash.station import News, Outcome
from host_tools.flash.words import DOING, counted, said, state

# about how long each step is beside the others
_WEIGHTS = {"write": 20, "boot": 5, "verify": 4, "register": 8}
_USUAL = 80  # columns; with less, how far a board is stands as a number behind its step
_NARROW = 64  # columns; with less, nobody's name is shown either
_WIDE = 140  # columns, from here on there is room for MACs beside the IDs that end with them
_SPARE = 3  # columns at the right, where a terminal echoes ^C: in a full line it would wrap
_BAR = 12  # columns
_STEP = 22  # columns: the longest step, or FAILED and the longest reason
_PERCENT = 5  # columns: " 100%"
_SECONDS = 6  # columns
_PORT = 20  # columns at least: an IPv4 address and a port
_TENTHS = 10  # times a second that the table is drawn


class View(Protocol):
    """Whoever shows news."""

    def take(self, news: News) -> None:
        """Show what changed."""


def follow(all_news: Iterable[News], view: View) -> list[Outcome]:
    """Show all news as they come; return how it went on each port, in the order they ended."""
    outcomes = []
    for news in all_news:
        view.take(news)
        if news.outcome:
            outcomes.append(news.outcome)
    return outcomes


@contextmanager
def shown(ports: Sequence[str], as_json: bool) -> Iterator[View]:
    """Lend the view that fits: objects, a live table on a terminal, or lines."""
    console = Console(highlight=False, soft_wrap=not (sys.stdout and sys.stdout.isatty()))
    if as_json:
        yield Objects()
    elif console.is_terminal:
        rows = Rows(ports, console)
        with Live(get_renderable=rows.table, console=console, refresh_per_second=_TENTHS):
            try:
                yield rows
            finally:
                rows.end()
    else:
        yield Lines(console)


class Objects:
    """One JSON object a line: each step as it begins, each remark, each outcome."""

    def take(self, news: News) -> None:
        """Print what changed."""
        if news.outcome:
            print(json.dumps(news.outcome.document()), flush=True)
        elif news.remark:
            print(json.dumps({"port": news.port, "remark": news.remark}), flush=True)
        elif news.step:
            print(json.dumps({"port": news.port, "step": news.step}), flush=True)


class Lines:
    """A line for each step, each identity and each outcome."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def take(self, news: News) -> None:
        """Print what changed."""
        if news.outcome:
            self._console.print(said(news.outcome))
        elif news.remark:
            self._console.print(Text(f"{news.port}: {news.remark}"))
        elif news.registration_id:
            self._console.print(Text(f"{news.port}: {news.registration_id}"))
        elif news.step:
            self._console.print(Text(f"{news.port}: {DOING.get(news.step, news.step)}"))


@dataclass
class Row:
    """What is known of one port."""

    step: str = "connect"
    fraction: float = 0
    mac: str = ""
    registration_id: str = ""
    serial: str = ""
    begun: float = field(default_factory=time.monotonic)
    outcome: Outcome | None = None
    last: Outcome | None = None  # of the board before this one

    def take(self, news: News) -> None:
        """Take what changed."""
        if news.step == "connect":
            last = self.outcome or self.last
            self.__init__(last=last)  # type: ignore[misc]  # another board
        if news.step:
            self.step, self.fraction = news.step, 0
        if news.fraction is not None:
            self.fraction = news.fraction
        self.mac = news.mac.hex(":") if news.mac else self.mac
        self.registration_id = news.registration_id or self.registration_id
        self.serial = news.serial or self.serial
        self.outcome = news.outcome or self.outcome

    def done(self) -> float:
        """Return how much of all steps is done, 0 to 1."""
        if self.step not in STEPS:
            return 0
        weights = [_WEIGHTS.get(name, 1) for name in STEPS]
        at = STEPS.index(self.step)
        return (sum(weights[:at]) + self.fraction * weights[at]) / sum(weights)


class Rows:
    """A live table with a line for each port; how a board ended is said above it, and stays."""

    def __init__(self, ports: Sequence[str], console: Console) -> None:
        self._rows = {port: Row() for port in ports}
        self._console = console
        self._outcomes: list[Outcome] = []
        self._over = False

    def take(self, news: News) -> None:
        """Take what changed; the table is drawn anew by and by."""
        self._rows[news.port].take(news)
        if news.outcome:
            self._outcomes.append(news.outcome)
            self._console.print(said(news.outcome), soft_wrap=True)
        if news.remark:
            self._console.print(Text(f"{news.port}: {news.remark}"), soft_wrap=True)

    def end(self) -> None:
        """Leave the count to whoever sums up."""
        self._over = True

    def table(self) -> Table:
        """Return the table as it is now."""
        columns = self._console.width
        narrow, usual, wide = columns < _NARROW, columns >= _USUAL, columns >= _WIDE
        room = max(_PORT, columns // 4)
        table = _empty(columns, room)
        for name, row in zip(short_names([*self._rows], room), self._rows.values(), strict=True):
            mac = [Text(row.mac)] if wide else []
            who = [] if narrow else [_who(row)]
            step = _step(row) if usual else [_step_and_percent(row)]
            table.add_row(Shortened(name), *step, *mac, *who, _seconds(row))
        if self._outcomes and not self._over:
            table.caption = counted(self._outcomes)
            table.caption_justify, table.caption_style = "left", ""
        return table


def _empty(columns: int, room: int) -> Table:
    """Return a table without rows for a terminal of so many columns; room: for a port's name."""
    cut: Any = {"no_wrap": True, "overflow": "ellipsis"}
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), width=columns - _SPARE)
    table.add_column("port", no_wrap=True, max_width=room)
    if columns < _NARROW:
        table.add_column("step", **cut, ratio=1)
    elif columns < _USUAL:
        table.add_column("step", **cut, width=_STEP + _PERCENT)
    else:
        table.add_column("step", **cut, width=_STEP)
        table.add_column("", **cut, width=_BAR)
    if columns >= _WIDE:
        table.add_column("MAC", no_wrap=True)
    if columns >= _NARROW:
        table.add_column("board", **cut, ratio=1)
    table.add_column("s", justify="right", no_wrap=True, min_width=_SECONDS)
    return table


def _step(row: Row) -> tuple[Text, ProgressBar | Text]:
    if row.outcome:
        return state(row.outcome), Text("take it off" if row.step == "wait" else "")
    if row.step == "again":
        return Text(DOING[row.step]), Text("take it off")
    if row.step == "wait" and row.last:  # nobody came since
        return state(row.last), Text("last board")
    doing = Text(DOING.get(row.step, row.step))
    return doing, _bar(row.done()) if row.step in STEPS else Text("")


def _step_and_percent(row: Row) -> Text:
    first, second = _step(row)
    if isinstance(second, ProgressBar):
        return first.append(f" {row.done():.0%}")
    return first.append(f" {second}", style="default not bold") if second else first


def _bar(done: float) -> ProgressBar:
    # quiet colours that are the terminal's own: red is for what failed, on dark and on white
    return ProgressBar(
        total=1, completed=done, width=_BAR, style="dim", complete_style="cyan",
        finished_style="green",
    )  # fmt: skip


def _shown(row: Row) -> Outcome | None:
    """Return the outcome that is in a row: its board's, or the last one's while none is there."""
    return row.outcome or (row.last if row.step in ("wait", "again") else None)


def _who(row: Row) -> Shortened:
    if (shown := _shown(row)) is None:
        return Shortened(row.registration_id, short=row.serial)
    style = "red" if shown.result == "failed" else "green"
    return Shortened(shown.registration_id, style, shown.serial)


def _seconds(row: Row) -> str:
    shown = _shown(row)
    return f"{shown.seconds if shown else time.monotonic() - row.begun:.1f}"
