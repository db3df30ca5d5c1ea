"""The table: rows for people, in colour on a terminal and as Markdown in a pipe, or as JSON."""

import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.figures import Bar, Row, digits
from host_tools.errors import CommandError
from host_tools.toolchain import micropython

_PIPE_WIDTH = 200  # columns; nothing is folded where nobody looks at a screen
_COLUMNS = ("what", "ours", f"stock umqtt.simple {micropython.UMQTT}, same run", "ratio")
_AGAINST = ("best published anchor", "bar")

Sections = Mapping[str, Sequence[Row] | str]  # title to rows, or to why there are none


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0,
        "load": round(os.getloadavg()[0], 1),
        "processor": _processor(),
        "python": platform.python_version(),
        "micropython": {str(bits): _version(bits) for bits in (64, 32)},
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.machine()


def _version(bits: int) -> str:
    try:
        words = micropython.interpreter(bits)
    except CommandError:
        return ""
    if micropython.stands_in(bits):
        return ""
    return str(micropython.ask(words) or "")


def show(console: Console, sections: Sections, facts: Mapping[str, Any]) -> None:
    """Print all sections as one table, then the notes its rows refer to."""
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    notes: list[str] = []
    console.print(_head(facts))
    console.print(_table(console, sections, notes))
    for number, note in enumerate(notes, 1):
        console.print(Text(f"[{number}] {note}"))


def _head(facts: Mapping[str, Any]) -> Text:
    versions = ", ".join(f"{v} ({bits}-bit)" for bits, v in facts["micropython"].items() if v)
    return Text(
        f"{facts['processor']}, {facts['cores']} cores, load {facts['load']:.1f} at the start; "
        f"MicroPython {versions}; Python {facts['python']}\n"
    )


def _table(console: Console, sections: Sections, notes: list[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else box.MARKDOWN)
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name == "what" else "right")
    for name in _AGAINST:
        table.add_column(name)
    for title, rows in sections.items():
        table.add_row(Text(title, style="bold"))
        if isinstance(rows, str):
            table.add_row(Text(f"  not measured: {rows}", style="dim"))
            continue
        for row in rows:
            table.add_row(*_cells(row, notes))
    return table


def _cells(row: Row, notes: list[str]) -> list[Text]:
    what = "  " + row.what
    if row.note:
        if row.note not in notes:
            notes.append(row.note)
        what += f" [{notes.index(row.note) + 1}]"
    beside = str(row.beside or "")
    if row.against:
        beside = f"{row.against}: {beside}" if beside else row.against
    ratio = "" if row.ratio is None else f"x {digits(row.ratio)}"
    texts = (what, str(row.ours), beside, ratio, row.anchor)
    return [*map(Text, texts), _verdict(row.bar, row)]


def _verdict(bar: Bar | None, row: Row) -> Text:
    if bar is None:
        return Text("")
    wanted = f"{'at most' if bar.at_most else 'at least'} {digits(bar.limit)}: "
    return Text(wanted) + (Text("met", "green") if row.met else Text("NOT MET", "bold red"))


def as_json(sections: Sections, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything the table says, and the spreads it leaves out, as JSON values."""
    return {
        "machine": dict(facts),
        "sections": {
            title: rows if isinstance(rows, str) else [_fields(row) for row in rows]
            for title, rows in sections.items()
        },
    }


def _fields(row: Row) -> dict[str, Any]:
    return {
        "what": row.what,
        "ours": row.ours.number,
        "worst": row.ours.worst,
        "unit": row.ours.unit,
        "beside": row.beside.number if row.beside else None,
        "against": row.against or ("stock" if row.beside else ""),
        "ratio": row.ratio,
        "anchor": row.anchor,
        "bar": row.bar.limit if row.bar else None,
        "met": row.met,
        "note": row.note,
    }
