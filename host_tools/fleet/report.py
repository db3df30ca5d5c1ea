"""Report: what a person sees of a fleet, while it runs and when it is over.

Owns the words, the table and the progress bar. Doesn't own a number (results.py).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from host_tools.fleet.fleet import Fleet

_LOOK = 0.25  # seconds between two looks
_PIPE_WIDTH = 200  # columns; nothing is folded where nobody looks at a screen
_TIMES = ("median", "p90", "p99", "longest")


@asynccontextmanager
async def progress(console: Console, fleet: Fleet) -> AsyncIterator[None]:
    """Show how far a fleet is as long as the block lasts; nothing where no terminal is."""
    if not console.is_terminal:
        yield
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeElapsedColumn())  # fmt: skip
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as bars:
        watch = asyncio.create_task(_watch(bars, fleet))
        try:
            yield
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch


async def _watch(bars: Progress, fleet: Fleet) -> None:
    tasks = {name: bars.add_task(name, visible=False) for name in fleet.tally()}
    while True:
        for name, (done, total) in fleet.tally().items():
            seen = total > 0 and (name != "failed" or done > 0)
            bars.update(tasks[name], completed=done, total=total, visible=seen)
        bars.refresh()
        await asyncio.sleep(_LOOK)


def show(console: Console, document: dict[str, Any]) -> None:
    """Print a summary's document for people."""
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    console.print(_headline(document))
    if document["connected"] or document["assigned"]:
        console.print(_times(document))
    for failure in document["failures"]:
        code = f" ({failure['code']})" if failure["code"] else ""
        detail = f": {failure['detail']}" if failure["detail"] else ""
        console.print(
            Text(f"{failure['count']:>7} x {failure['reason']}{code}", "bold red"),
            Text(f"          {failure['happened']}; {failure['example']}{detail}"),
            sep="\n",
        )


def _headline(document: dict[str, Any]) -> Text:
    failed = document["failed"]
    assigned = f"{document['assigned']} assigned, " if document["asked_dps"] else ""
    text = Text(
        f"{document['devices']} devices: {assigned}{document['connected']} connected"
        f" in {document['boot_seconds']:.1f} s, {document['connections_per_second']:.0f}"
        " connections a second"
    )
    text.append(f"; {failed} failed", "bold red" if failed else "green")
    return text


def _times(document: dict[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("", *_TIMES):
        table.add_column(name, justify="right" if name else "left")
    for what, times in _measured(document):
        if times:
            table.add_row(what, *(_seconds(times[name]) for name in _TIMES))
    return table


def _measured(document: dict[str, Any]) -> list[tuple[str, dict[str, float] | None]]:
    rows = [
        ("assigned after", document["seconds_to_assigned"]),
        ("connected after", document["seconds_to_connected"]),
    ]
    if messages := document["messages"]:
        what = f"{messages['acknowledged']} messages, {messages['per_second']:.0f}/s, PUBACK after"
        rows.append((what, messages["seconds_to_acknowledged"]))
    return rows


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"
