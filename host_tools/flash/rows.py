"""The rows: what a person sees of many ports at once, and what a script reads.

Owns words, colours and the live table; on a pipe it is plain lines, with --json an object a line.
Doesn't own a number.
"""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from host_tools.flash.station import News, Outcome
from host_tools.flash.steps import STEPS

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
_WIDE = 110  # columns
_BAR = 12  # columns
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
            yield rows
    else:
        yield Lines(console)


class Objects:
    """One JSON object a line: each step as it begins, each outcome."""

    def take(self, news: News) -> None:
        """Print what changed."""
        if news.outcome:
            print(json.dumps(news.outcome.document()), flush=True)
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

    def take(self, news: News) -> None:
        """Take what changed."""
        if news.step == "connect":
            self.__init__()  # type: ignore[misc]  # another board
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


class Rows:
    """A live table with a row for each port; how a board ended is said above it, and stays."""

    def __init__(self, ports: Sequence[str], console: Console) -> None:
        self._rows = {port: Row() for port in ports}
        self._console = console
        self._wide = console.width >= _WIDE  # else there is no room for MACs

    def take(self, news: News) -> None:
        """Take what changed; the table is drawn anew by and by."""
        self._rows[news.port].take(news)
        if news.outcome:
            self._console.print(said(news.outcome), soft_wrap=True)

    def table(self) -> Table:
        """Return the table as it is now."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=True)
        for name in ("port", "step", "", *(["MAC"] if self._wide else [])):
            table.add_column(name, no_wrap=True)
        table.add_column("registration ID", overflow="fold", ratio=1)
        table.add_column("s", justify="right", no_wrap=True)
        for port, row in self._rows.items():
            mac = [Text(row.mac)] if self._wide else []
            # texts: a port's name, as rfc2217://[fe80::1]:2217, may look like rich's markup
            who = Text(row.registration_id)
            table.add_row(Text(port), *_step(row), *mac, who, _seconds(row))
        return table


def _step(row: Row) -> tuple[Text, ProgressBar | Text]:
    if row.outcome and row.step != "wait":
        return _state(row.outcome), Text()
    doing = Text(_DOING.get(row.step, row.step))
    return doing, ProgressBar(total=1, completed=row.done(), width=_BAR)


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
    good = sum(outcome.result == "good" for outcome in outcomes)
    would = sum(outcome.result == "would" for outcome in outcomes)
    failed = [outcome for outcome in outcomes if outcome.result == "failed"]
    text = Text(f"{good} good" if not would else f"dry run: {would} would be made")
    text.append(f", {len(failed)} failed" if failed else "", style="bold red")
    for reason in sorted({outcome.reason for outcome in failed}):
        text.append(f"\n  {sum(o.reason == reason for o in failed)} x {reason}")
    console.print(text)
