"""The rows: what a person sees of many ports at once, and what a script reads.

Owns words, colours and the live table; on a pipe it is plain lines, with --json an object a line.
Doesn't own a number.
"""

import json
import os.path
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from host_tools.flash.course import STEPS
from host_tools.flash.station import News, Outcome

_DOING = {
    "connect": "looking who is there",
    "reserve": "reserving its identity",
    "write": "writing",
    "verify": "reading back",
    "boot": "booting",
    "prove": "proving its key",
    "register": "registering at DPS",
    "record": "recording",
    "wait": "waiting for a board",
}
# about how long each step is beside the others
_WEIGHTS = {"write": 20, "boot": 5, "verify": 4, "register": 8}
_USUAL = 80  # columns; with less, steps are shortened
_WIDE = 140  # columns, from here on there is room for MACs beside the IDs that end with them
_BAR = 12  # columns
_STEP = max(map(len, _DOING.values()))  # columns: the table keeps its shape from step to step
_SECONDS = 6  # columns
_PORT = 20  # columns at least: an IPv4 address and a port
_LEAST = 8  # columns of a text that is shortened
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
            self._console.print(Text(f"{news.port}: {_DOING.get(news.step, news.step)}"))


@dataclass
class Row:
    """What is known of one port."""

    step: str = "connect"
    fraction: float = 0
    mac: str = ""
    registration_id: str = ""
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
        self.outcome = news.outcome or self.outcome

    def done(self) -> float:
        """Return how much of all steps is done, 0 to 1."""
        if self.step not in STEPS:
            return 0
        weights = [_WEIGHTS.get(name, 1) for name in STEPS]
        at = STEPS.index(self.step)
        return (sum(weights[:at]) + self.fraction * weights[at]) / sum(weights)


@dataclass(frozen=True)
class Shortened:
    """A text in one line: what does not fit is left out of its middle."""

    text: str
    style: str = ""

    def __str__(self) -> str:
        """Return all of it."""
        return self.text

    def fit(self, width: int) -> str:
        """Return it in so many columns."""
        if len(self.text) <= width:
            return self.text
        kept = max(width - 1, 1)
        return f"{self.text[: kept // 2]}…{self.text[kept // 2 - kept :]}"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # a text: a port's name, as rfc2217://[fe80::1]:2217, may look like rich's markup
        yield Text(self.fit(options.max_width), style=self.style, no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(len(self.text), _LEAST), len(self.text))


def short_names(ports: Sequence[str], width: int) -> list[str]:
    """Return the ports without the folder or scheme that all share; more if that is too wide."""
    shared = os.path.commonprefix([port[:-1] for port in ports])  # noqa: RUF071
    names = [port[shared.rfind("/") + 1 :] for port in ports]
    if len(ports) > 1 and max(map(len, names)) > width:  # /dev/serial/by-id, say
        names = [port[max(map(shared.rfind, "/:_-")) + 1 :] for port in ports]
    return names


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
        usual, wide = (self._console.width >= width for width in (_USUAL, _WIDE))
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=True)
        room = max(_PORT, self._console.width // 4)
        table.add_column("port", no_wrap=True, max_width=room)
        table.add_column("step", no_wrap=True, overflow="ellipsis", width=_STEP if usual else _BAR)
        table.add_column("", no_wrap=True, overflow="ellipsis", width=_BAR)
        if wide:
            table.add_column("MAC", no_wrap=True)
        table.add_column("registration ID", no_wrap=True, overflow="ellipsis", ratio=1)
        table.add_column("s", justify="right", no_wrap=True, min_width=_SECONDS)
        for name, row in zip(short_names([*self._rows], room), self._rows.values(), strict=True):
            mac = [Text(row.mac)] if wide else []
            table.add_row(Shortened(name), *_step(row), *mac, _who(row), _seconds(row))
        if self._outcomes and not self._over:
            table.caption = _counted(self._outcomes)
            table.caption_justify, table.caption_style = "left", ""
        return table


def _step(row: Row) -> tuple[Text, ProgressBar | Text]:
    if row.outcome:
        return _state(row.outcome), Text("take it off" if row.step == "wait" else "")
    if row.step == "wait" and row.last:  # nobody came, or the same board was seen again
        return _state(row.last), Text("last board")
    doing = Text(_DOING.get(row.step, row.step))
    return doing, ProgressBar(total=1, completed=row.done(), width=_BAR)


def _who(row: Row) -> Shortened:
    shown = row.outcome or (row.last if row.step == "wait" else None)
    if shown is None:
        return Shortened(row.registration_id)
    return Shortened(shown.registration_id, "red" if shown.result == "failed" else "green")


def _seconds(row: Row) -> str:
    return f"{row.outcome.seconds if row.outcome else time.monotonic() - row.begun:.1f}"


def _state(outcome: Outcome) -> Text:
    if outcome.result == "failed":
        return Text(f"FAILED {outcome.reason}", style="bold red")
    return Text(outcome.result.upper(), style="bold green")


def said(outcome: Outcome) -> Text:
    """Return an outcome in one line for people."""
    text = Text(f"{outcome.port}: ")
    text.append_text(_state(outcome))
    if outcome.result == "failed":
        return text.append(f" at step {outcome.step}: {outcome.message}")
    mac = outcome.mac.hex(":") if outcome.mac else ""
    if outcome.result == "would":
        return text.append(f" make {mac} into {outcome.registration_id}")
    line = outcome.traffic
    return text.append(
        f" {outcome.registration_id}, MAC {mac}, {outcome.seconds:.1f} s,"
        f" {line.sent + line.received} bytes on the line"
    )


def summed(console: Console, outcomes: Sequence[Outcome]) -> None:
    """Print how many of each there are, and the failures by reason."""
    text = _counted(outcomes)
    failed = [outcome for outcome in outcomes if outcome.result == "failed"]
    for reason in sorted({outcome.reason for outcome in failed}):
        text.append(f"\n  {sum(o.reason == reason for o in failed)} x {reason}")
    console.print(text)


def _counted(outcomes: Sequence[Outcome]) -> Text:
    good, would, failed = (
        sum(outcome.result == result for outcome in outcomes)
        for result in ("good", "would", "failed")
    )
    text = Text(f"{good} good" if not would else f"dry run: {would} would be made")
    return text.append(f", {failed} failed" if failed else "", style="bold red")
