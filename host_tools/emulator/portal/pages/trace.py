"""A device's connections, packet by packet; as far as the cloud traces them."""

from host_tools.emulator.portal.desk import Desk, Facts, Outcome, Page, Query, url
from host_tools.emulator.portal.forms import Form
from host_tools.emulator.portal.pages.telemetry import device_of, head
from host_tools.emulator.trace.entry import RECEIVED, SENT
from host_tools.emulator.trace.line import Line
from host_tools.emulator.trace.trace import Trace

_CONNECTIONS = 12
_LINES = 200
_WAYS = {RECEIVED: "from the device", SENT: "to the device"}


def _facts(desk: Desk, query: Query) -> Facts:
    hub, device = device_of(desk, query)
    found = desk.cloud.traces.find(device.device_id)
    chosen = _chosen(found, query.get("connection", ""))
    lines = chosen.lines() if chosen else []
    return {
        **head(hub, device),
        "tracing": desk.cloud.traces.on,
        "connections": found[:_CONNECTIONS],
        "chosen": chosen,
        "lines": [_shown(line) for line in lines[-_LINES:]],
        "dropped": (chosen.dropped if chosen else 0) + max(0, len(lines) - _LINES),
    }


def _chosen(found: list[Trace], number: str) -> Trace | None:
    wanted = next((one for one in found if str(one.number) == number), None)
    return wanted or (found[0] if found else None)


def _shown(line: Line) -> Facts:
    packet, words, _ = line.summary
    entry = line.entry
    return {
        "time": entry.time,
        "at": f"{entry.time - line.began:.3f}",
        "gap": f"{entry.gap:.3f}",
        "way": {RECEIVED: "in", SENT: "out"}.get(entry.way, "note"),
        "said": _WAYS.get(entry.way, "note"),
        "packet": packet,
        "words": words,
        "bytes": entry.wire,
    }


def _switch(desk: Desk, query: Query, form: Form) -> Outcome:
    traces = desk.cloud.traces
    traces.on = form.text("on") == "yes"
    said = (
        "Connections are traced from now on: the next one of this device shows here."
        if traces.on
        else "New connections are no longer traced."
    )
    return Outcome(url("/device/trace", hub=query.get("hub"), id=query.get("id")), said)


PAGE = Page("/device/trace", "trace.html", _facts, actions={"switch": _switch})
