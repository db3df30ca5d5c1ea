"""What a person sees of a retrofit while it goes on, and what a script reads.

Owns words and colours: a live row on a terminal, lines on a pipe, objects with --json.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from host_tools.retrofit.order import Told
from host_tools.retrofit.steps import Result

_DOING = {
    "connect": "stopping what runs on the board",
    "identify": "looking who it is",
    "back up": "backing up its files",
    "copy": "copying the firmware beside them",
    "install": "exchanging the files",
    "verify": "reading back",
    "boot": "booting",
    "prove": "proving its key",
    "register": "registering at DPS",
    "record": "recording",
    "tidy up": "tidying up",
    "put back": "putting the board back as it was",
}


@contextmanager
def shown(as_json: bool) -> Iterator[Told]:
    """Lend the teller that fits."""
    console = Console(highlight=False, soft_wrap=not (sys.stdout and sys.stdout.isatty()))
    if as_json:
        yield Objects()
    elif console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(20), _Moved())
        with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
            yield Row(progress)
    else:
        yield Lines(console)


class _Moved(DownloadColumn):
    """How many bytes of how many; nothing of a step that is not of bytes."""

    def render(self, task: Task) -> Text:
        """See rich.progress."""
        return super().render(task) if task.total else Text()


class Row:
    """One row, of the step that goes on; facts stay above it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def step(self, name: str, total: int = 0) -> None:
        """See order.Told."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(_DOING[name], total=total or None)

    def moved(self, size: int) -> None:
        """See order.Told."""
        if self._task is not None:
            self._progress.advance(self._task, size)

    def fact(self, text: str) -> None:
        """See order.Told."""
        self._progress.console.print(Text(text))


class Lines:
    """A line a step and a fact."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def step(self, name: str, total: int = 0) -> None:
        """See order.Told."""
        size = f", {total} bytes" if total else ""
        self._console.print(Text(f"{_DOING[name]}{size}"))

    def moved(self, size: int) -> None:
        """See order.Told."""

    def fact(self, text: str) -> None:
        """See order.Told."""
        self._console.print(Text(f"  {text}"))


class Objects:
    """One JSON object a line."""

    def step(self, name: str, total: int = 0) -> None:
        """See order.Told."""
        print(json.dumps({"step": name, "bytes": total}), flush=True)

    def moved(self, size: int) -> None:
        """See order.Told."""

    def fact(self, text: str) -> None:
        """See order.Told."""
        print(json.dumps({"fact": text}), flush=True)


def document(result: Result, done: bool) -> str:
    """Return how it ended as a JSON object."""
    return json.dumps({"result": "good" if done else "would", **result.document()})


def said(result: Result, done: bool) -> str:
    """Return how it ended as a line for people."""
    mac = result.mac.hex(":")
    files = f"{result.new} files, {result.size} bytes"
    files += (
        f"; {result.replaced + result.aside} replaced" if result.replaced + result.aside else ""
    )
    if not done:
        return f"would make {mac} into {result.registration_id}: {files}"
    return f"good: {result.registration_id}, MAC {mac}; {files}"
