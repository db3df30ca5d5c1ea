"""Report: what `keystead cloud` prints, for people or for scripts.

Owns the words around events; an event words itself (events.py), and outlet.py carries the lines.
No key is printed unless asked for.
"""

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.text import Text

from host_tools.emulator.cloud import Cloud
from host_tools.emulator.dps.enrollment import Enrollment
from host_tools.emulator.events import (
    Assigned,
    Connected,
    Disconnected,
    Dropped,
    Event,
    Failed,
    Refused,
    Telemetry,
)
from host_tools.emulator.host_names import dialable, place
from host_tools.emulator.outlet import Outlet, stdout
from host_tools.keys import encode_key

Facts = dict[str, Any]

_STYLES: dict[type[Event], str] = {
    Assigned: "bold green",
    Connected: "green",
    Disconnected: "dim",
    Dropped: "yellow",
    Failed: "bold red",
    Refused: "bold red",
    Telemetry: "cyan",
}


def describe(cloud: Cloud, host: str, port: int, ca: Path, show_keys: bool) -> Facts:
    """Return what a device, and who installs it, need to know of a cloud that listens."""
    return {
        "host": host,
        "port": port,
        "dial": dialable(host),
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

    def close(self) -> None:
        """Print what is left."""


class TextReport:
    """Lines for people, in colour on a terminal unless NO_COLOR is set."""

    def __init__(self, on_failed: Callable[[OSError], object]) -> None:
        """on_failed: called in another thread when nothing more can be printed."""
        self._console = Console(highlight=False, soft_wrap=True)
        self._outlet = Outlet(stdout(), on_failed, lambda count: f"... {count} events not shown")
        self.close = self._outlet.close

    def listening(self, facts: Facts) -> None:
        """Tell that the cloud is ready, and what describe() says."""
        lines = [self._styled(f"listening on {place(facts['host'], facts['port'])}", "bold")]
        lines += [f"  {name:<22} {value}" for name, value in _lines(facts)]
        self._outlet.put("\n".join(lines), at_any_rate=True)

    def event(self, event: Event) -> None:
        """Tell what happened, with the local time."""
        time = datetime.fromtimestamp(event.time).strftime("%H:%M:%S")
        self._outlet.put(self._styled(f"{time} {event.line()}", _STYLES.get(type(event), "")))

    def _styled(self, line: str, style: str) -> str:
        if not self._console.is_terminal:
            return line
        with self._console.capture() as capture:
            self._console.print(Text(line, style), end="")
        return capture.get()


class JsonReport:
    """JSON lines for scripts; the one line for people goes to stderr."""

    def __init__(self, on_failed: Callable[[OSError], object]) -> None:
        """on_failed: called in another thread when nothing more can be printed."""
        self._outlet = Outlet(stdout(), on_failed, _not_shown)
        self.close = self._outlet.close

    def listening(self, facts: Facts) -> None:
        """Tell that the cloud is ready, and what describe() says."""
        self._outlet.put(json.dumps({"event": "listening", **facts}), at_any_rate=True)
        if sys.stderr is None:  # print() would take stdout instead
            return
        with suppress(OSError):
            ready = f"listening on {place(facts['host'], facts['port'])}"
            print(ready, file=sys.stderr, flush=True)

    def event(self, event: Event) -> None:
        """Tell what happened."""
        self._outlet.put(event.json())


def _not_shown(count: int) -> str:
    return json.dumps({"event": "not-shown", "count": count})


def _lines(facts: Facts) -> list[tuple[str, str]]:
    dialled = (
        facts["advertise"] or "as configured; --advertise localhost if they dial this machine"
    )
    lines = [
        ("ID scope", facts["id_scope"]),
        ("DPS endpoint", f"{facts['dial']}, port {facts['port']}"),
        ("CA certificate", facts["ca"]),
        ("hub they are told", dialled),
    ]
    for one in facts["enrollment_groups"]:
        lines += _enrollment_lines("enrollment group", one["name"], one)
    for one in facts["individual_enrollments"]:
        name = one["registration_id"]
        as_device = "" if one["device_id"] == name else f", there {one['device_id']}"
        lines += _enrollment_lines("individual enrollment", name, one, as_device)
    enrollments = facts["enrollment_groups"] + facts["individual_enrollments"]
    if not enrollments:
        lines.append(("enrollments", "none: every device will be refused"))
    elif not any("primary_key" in one for one in enrollments):
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
