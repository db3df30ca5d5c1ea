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

from host_tools.emulator.cloud import Cloud
from host_tools.emulator.dps.enrollment import Enrollment
from host_tools.emulator.events import Event
from host_tools.emulator.host_names import dialable, place
from host_tools.emulator.outlet import Outlet, stdout
from host_tools.emulator.policies import Policies
from host_tools.emulator.rest.address import Address
from host_tools.emulator.styles import Painter
from host_tools.emulator.trace.line import Line
from host_tools.keys import encode_key

Facts = dict[str, Any]


def describe(
    cloud: Cloud, host: str, port: int, ca: Path, show_keys: bool, rest: Address | None = None
) -> Facts:
    """Return what a device, and who installs it, need to know of a cloud that listens.

    Raises StoreError.
    """
    return {
        "host": host,
        "port": port,
        "dial": dialable(host),
        "id_scope": cloud.config.id_scope,
        "ca": str(ca),
        "advertise": cloud.advertise,
        "rest": _of_rest(rest, show_keys),
        "hubs": [
            {"name": hub.name, **_policy(hub.policies, "iothubowner", rest, show_keys)}
            for hub in cloud.hubs.all()
        ],
        "dps": _policy(cloud.dps.policies, "provisioningserviceowner", rest, show_keys),
        "enrollment_groups": [
            {"name": one.name, **_details(one, show_keys)} for one in cloud.dps.groups()
        ],
        "individual_enrollments": [
            {
                "registration_id": one.registration_id,
                "device_id": one.name_at_hub(one.registration_id),
                **_details(one, show_keys),
            }
            for one in cloud.dps.individuals()
        ],
    }


# the portal's address may hold a token, which is a key like any other
def _of_rest(rest: Address | None, show_keys: bool) -> Facts | None:
    if rest is None:
        return None
    portal = rest.portal if show_keys else rest.portal.partition("?")[0]
    return {"url": rest.url, "portal": portal, "control": str(rest.control)}


def _policy(policies: Policies, name: str, rest: Address | None, show_keys: bool) -> Facts:
    if rest is None or not show_keys:
        return {}
    return {"connection_string": policies.connection_string(rest.host, name)}


def _details(enrollment: Enrollment, show_keys: bool) -> Facts:
    key = {"primary_key": encode_key(enrollment.keys.primary)} if show_keys else {}
    return {"hub": _hubs(enrollment), "enabled": enrollment.enabled, **key}


def _hubs(enrollment: Enrollment) -> str:
    return " or ".join(enrollment.hubs) or "any hub"


class Report(Protocol):
    """Where the news of a cloud go."""

    def listening(self, facts: Facts) -> None:
        """Tell that the cloud is ready, and what describe() says."""

    def event(self, event: Event) -> None:
        """Tell what happened."""

    def trace(self, line: Line) -> None:
        """Tell what passed on a connection."""

    def close(self) -> None:
        """Print what is left."""


class TextReport:
    """Lines for people, in colour on a terminal unless NO_COLOR is set."""

    def __init__(self, on_failed: Callable[[OSError], object]) -> None:
        """on_failed: called in another thread when nothing more can be printed."""
        self._paint = Painter()
        self._outlet = Outlet(stdout(), on_failed, lambda count: f"... {count} events not shown")
        self.close = self._outlet.close

    def listening(self, facts: Facts) -> None:
        """Tell that the cloud is ready, and what describe() says."""
        first = f"listening on {place(facts['host'], facts['port'])}"
        lines = [self._paint.line(first, "bold")]
        lines += [f"  {name:<22} {value}" for name, value in _lines(facts)]
        self._outlet.put("\n".join(lines), at_any_rate=True)

    def event(self, event: Event) -> None:
        """Tell what happened, with the local time."""
        time = datetime.fromtimestamp(event.time).strftime("%H:%M:%S")
        self._outlet.put(self._paint.event(event.NAME, f"{time} {event.line()}"))

    def trace(self, line: Line) -> None:
        """Tell what passed on a connection."""
        self._outlet.put(self._paint.text(line.styled()))


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

    def trace(self, line: Line) -> None:
        """Tell what passed on a connection."""
        self._outlet.put(line.json())


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
        *_rest_lines(facts),
        *((f"{what} port", str(port)) for what, port in facts.get("ports", {}).items()),
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


def _rest_lines(facts: Facts) -> list[tuple[str, str]]:
    rest = facts["rest"]
    if not rest:
        return [("service REST", "off")]
    lines = [
        ("service REST", rest["url"]),
        ("portal", rest["portal"]),
        ("control token", rest["control"]),
    ]
    if facts["dps"]:
        lines.append(("DPS owner's policy", facts["dps"]["connection_string"]))
    for hub in facts["hubs"]:
        lines.append(("hub", hub["name"]))
        if "connection_string" in hub:
            lines.append(("  its owner's policy", hub["connection_string"]))
    return lines


def _enrollment_lines(
    kind: str, name: str, facts: Facts, suffix: str = ""
) -> list[tuple[str, str]]:
    off = "" if facts["enabled"] else ", disabled"
    lines = [(kind, f"{name} -> {facts['hub']}{suffix}{off}")]
    if "primary_key" in facts:
        lines.append(("  its primary key", facts["primary_key"]))
    return lines
