"""Report: what `keystead cloud` prints, for people or for scripts.

Owns the words around events; an event words itself (events.py). No key is printed unless asked
for, and every line is flushed, as the reader may be a pipe.
"""

import json
import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.text import Text

from host_tools.emulator.cloud import Cloud
from host_tools.emulator.enrollment import Enrollment
from host_tools.emulator.events import (
    Assigned,
    Connected,
    Disconnected,
    Dropped,
    Event,
    Refused,
    Telemetry,
)
from host_tools.keys import encode_key

Facts = dict[str, Any]

_STYLES: dict[type[Event], str] = {
    Assigned: "bold green",
    Connected: "green",
    Disconnected: "dim",
    Dropped: "yellow",
    Refused: "bold red",
    Telemetry: "cyan",
}


def describe(cloud: Cloud, host: str, port: int, ca: Path, show_keys: bool) -> Facts:
    """Return what a device, and who installs it, need to know of a cloud that listens."""
    return {
        "host": host,
        "port": port,
        "id_scope": cloud.config.id_scope,
        "ca": str(ca),
        "advertise": cloud.advertise,
        "enrollment_groups": [
            {"name": one.name, **_details(one, show_keys)} for one in cloud.config.groups
        ],
        "individual_enrollments": [
            {
                "registration_id": one.registration_id,
                "device_id": one.device_id(one.registration_id),
                **_details(one, show_keys),
            }
            for one in cloud.config.individuals
        ],
    }


def _details(enrollment: Enrollment, show_keys: bool) -> Facts:
    key = {"primary_key": encode_key(enrollment.keys.primary)} if show_keys else {}
    return {"hub": enrollment.hub, "enabled": enrollment.enabled, **key}


class Report(Protocol):
    """Where the news of a cloud go."""

    def listening(self, facts: Facts) -> None:
        """Tell that the cloud is ready, and what describe() says."""

    def event(self, event: Event) -> None:
        """Tell what happened."""


class TextReport:
    """Lines for people, in colour on a terminal unless NO_COLOR is set."""

    def __init__(self, on_closed: Callable[[], object]) -> None:
        """on_closed: called when nobody reads any more."""
        self._console = Console(highlight=False, soft_wrap=True)
        self._on_closed = on_closed

    def listening(self, facts: Facts) -> None:
        """Tell that the cloud is ready, and what describe() says."""
        host = f"[{facts['host']}]" if ":" in facts["host"] else facts["host"]
        self._print(f"listening on {host}:{facts['port']}", "bold")
        for name, value in _lines(facts):
            self._print(f"  {name:<22} {value}")

    def event(self, event: Event) -> None:
        """Tell what happened, with the local time."""
        time = datetime.fromtimestamp(event.time).strftime("%H:%M:%S")
        self._print(f"{time} {event.line()}", _STYLES.get(type(event), ""))

    def _print(self, line: str, style: str = "") -> None:
        if self._console.is_terminal:
            self._console.print(Text(line, style))
        else:
            _write(line, self._on_closed)


class JsonReport:
    """JSON lines for scripts; the one line for people goes to stderr."""

    def __init__(self, on_closed: Callable[[], object]) -> None:
        """on_closed: called when nobody reads any more."""
        self._on_closed = on_closed

    def listening(self, facts: Facts) -> None:
        """Tell that the cloud is ready, and what describe() says."""
        print(f"listening on {facts['host']}:{facts['port']}", file=sys.stderr, flush=True)
        _write(json.dumps({"event": "listening", **facts}), self._on_closed)

    def event(self, event: Event) -> None:
        """Tell what happened."""
        _write(event.json(), self._on_closed)


def _lines(facts: Facts) -> list[tuple[str, str]]:
    dialled = (
        facts["advertise"] or "as configured; --advertise localhost if they dial this machine"
    )
    lines = [
        ("ID scope", facts["id_scope"]),
        ("DPS endpoint", f"{facts['host']}, port {facts['port']}"),
        ("CA certificate", facts["ca"]),
        ("hub they are told", dialled),
    ]
    for one in facts["enrollment_groups"]:
        lines += _enrollment_lines("enrollment group", one["name"], one)
    for one in facts["individual_enrollments"]:
        name = one["registration_id"]
        as_device = "" if one["device_id"] == name else f", there {one['device_id']}"
        lines += _enrollment_lines("individual enrollment", name, one, as_device)
    if not any("primary_key" in line for line in facts["enrollment_groups"]):
        lines.append(("keys", "not shown; --show-keys prints the primary ones"))
    return lines


def _enrollment_lines(
    kind: str, name: str, facts: Facts, suffix: str = ""
) -> list[tuple[str, str]]:
    off = "" if facts["enabled"] else ", disabled"
    lines = [(kind, f"{name} -> {facts['hub']}{suffix}{off}")]
    if "primary_key" in facts:
        lines.append(("  its primary key", facts["primary_key"]))
    return lines


def _write(line: str, on_closed: Callable[[], object]) -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:
        # nobody reads any more; Python would complain once more when it flushes at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        on_closed()
