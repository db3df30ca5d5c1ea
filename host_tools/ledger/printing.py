"""Printing: boards, batches and histories for people; in colour on a terminal only.

A terminal gets aligned columns, a pipe gets tabs.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from host_tools.batch import Batch
from host_tools.ledger.model import BatchCount, Event, Identity
from host_tools.printable import printable
from keystead.registration_id import format_mac

_STYLES = {
    "good": "bold green",
    "failed": "bold red",
    "scrapped": "red",
    "refused": "red",
    "reserved": "dim",
    "imported": "dim",
    "proven": "green",
    "registered": "green",
}
_HASH = re.compile("[0-9a-f]{33,}")
_PAGE = 500  # lines that are aligned together


class Printer:
    """Lines on stdout."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)

    def rows(self, rows: Iterable[Sequence[str]], state: int, head: Sequence[str]) -> None:
        """Print a table; state: which column says how it is; head: for a terminal only."""
        page: list[Sequence[str]] = []
        for row in rows:
            if head and self._console.is_terminal:
                page.append(head)
                head = ()
            page.append([printable(cell) for cell in row])
            if len(page) == _PAGE:
                self._page(page, state)
                page = []
        self._page(page, state)

    def _page(self, page: Sequence[Sequence[str]], state: int) -> None:
        if not self._console.is_terminal:
            for row in page:
                print("\t".join(row).rstrip("\t"))
            return
        widths = [max(map(len, column)) for column in zip(*page, strict=True)]
        for row in page:
            line = Text()
            for number, (cell, width) in enumerate(zip(row, widths, strict=True)):
                style = _STYLES.get(row[state], "") if number == state else ""
                line.append(cell.ljust(width) + "  ", style)
            line.rstrip()
            self._console.print(line)

    def line(self, text: str, style: str = "") -> None:
        """Print one line."""
        self._console.print(Text(printable(text), style))

    def history(self, identity: Identity, batch: Batch, events: Iterable[Event]) -> None:
        """Print a board and its time line: when, how long after the last, where, what."""
        style = _STYLES.get(identity.state, "yellow")
        name, state = printable(identity.registration_id), printable(_state(identity))
        self._console.print(Text(f"{name}  ").append(state, style))
        for name, value in _facts(identity, batch):
            self.line(f"  {name:<12} {value}")
        self.line("")
        for cells, kind in _time_line(events):
            at, after, station, what = map(printable, cells)
            line = Text(f"  {at}  ", "dim" if self._console.is_terminal else "")
            line.append(f"{after:>9}  {station:<12} ")
            line.append(f"{printable(kind):<12} ", _STYLES.get(kind, "")).append(what)
            line.rstrip()
            self._console.print(line)


def _state(identity: Identity) -> str:
    because = f" ({identity.reason})" if identity.reason else ""
    return f"{identity.state}{because}"


def _facts(identity: Identity, batch: Batch) -> Iterator[tuple[str, str]]:
    yield "batch", f"{identity.batch}, serial {identity.serial}"
    yield "board", f"{batch.board}, MAC {format_mac(identity.mac, ':')}"
    yield "ID scope", f"{batch.id_scope} at {batch.endpoint}"
    yield "device key", f"fingerprint {(identity.fingerprint or 'not known yet')[:16]}"
    yield "attempts", str(identity.attempt)


def _time_line(events: Iterable[Event]) -> Iterator[tuple[tuple[str, str, str, str], str]]:
    last = None
    for event in events:
        now = datetime.fromisoformat(event.at)
        after = "" if last is None else _span((now - last).total_seconds())
        last = now
        what = "  ".join(f"{name}={_short(value)}" for name, value in event.facts.items())
        at = event.at[:19].replace("T", " ")
        yield (at, after, event.station, what), event.kind


def _span(seconds: float) -> str:
    if abs(seconds) < 60:
        return f"{seconds:+.3f} s"
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if abs(seconds) >= size:
            return f"{seconds / size:+.1f} {unit}"
    return ""


# hashes are known by their begin; what a failure says is wanted whole
def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    text = " ".join(text.split())
    return f"{text[:16]}..." if _HASH.fullmatch(text) else text


BOARD = ("registration ID", "batch", "serial", "MAC", "state", "reason")


def board_row(identity: Identity) -> list[str]:
    """Return the cells of one board, as BOARD names them."""
    return [
        identity.registration_id,
        identity.batch,
        identity.serial,
        format_mac(identity.mac, ":"),
        identity.state,
        identity.reason,
    ]


def states_of(count: BatchCount) -> str:
    """Return how many boards of a batch are in which state."""
    return ", ".join(f"{number} {state}" for state, number in sorted(count.states.items()))


REFUSAL = ("when, UTC", "batch", "MAC", "chip", "reason", "station", "port", "detail")


def refusal_row(event: Event) -> list[str]:
    """Return the cells of one refusal, as REFUSAL names them."""
    facts = {name: "" if value is None else str(value) for name, value in event.facts.items()}
    return [
        event.at[:19].replace("T", " "),
        facts.get("batch", ""),
        facts.get("mac", "") or "no MAC",
        facts.get("chip", ""),
        facts.get("reason", ""),
        event.station,
        facts.get("port", ""),
        facts.get("detail", ""),
    ]


def board_json(identity: Identity) -> dict[str, Any]:
    """Return a board in JSON's names."""
    return {
        "registrationId": identity.registration_id,
        "batch": identity.batch,
        "serial": identity.serial,
        "mac": format_mac(identity.mac, ":"),
        "chip": identity.chip,
        "state": identity.state,
        "reason": identity.reason,
        "attempts": identity.attempt,
        "fingerprint": identity.fingerprint,
        "updated": identity.updated,
    }


def batch_facts(batch: Batch) -> dict[str, str]:
    """Return a batch itself, however far it is, in JSON's names."""
    return {
        "batch": batch.name,
        "board": batch.board,
        "idScope": batch.id_scope,
        "endpoint": batch.endpoint,
        "template": batch.template,
        "rule": "service" if batch.wide else "seed",
        "note": batch.note,
    }


def batch_json(batch: Batch, count: BatchCount) -> dict[str, Any]:
    """Return a batch in JSON's names."""
    return {
        **batch_facts(batch),
        "units": count.units,
        "free": count.free,
        "states": dict(count.states),
    }
