"""A device's first page: what it sends, as plots and as a list."""

from contextlib import suppress

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.hub.device import Device, Presence
from host_tools.emulator.hub.hub import Hub
from host_tools.emulator.portal import plot
from host_tools.emulator.portal.desk import Desk, Facts, Page, Query
from host_tools.emulator.portal.pages.devices import hub_of

_LISTED = 50


def device_of(desk: Desk, query: Query) -> tuple[Hub, Device]:
    """Return the hub and the device in a page's address; ServiceError."""
    hub, name = hub_of(desk, query), query.get("id", "")
    try:
        return hub, hub.device(name)
    except ServiceError as error:
        if elsewhere := _moved_to(desk, hub, name):
            message = f"{name} is no longer at {hub.name}: DPS moved it to {elsewhere}."
            raise ServiceError(error.code, message) from None
        raise


def _moved_to(desk: Desk, hub: Hub, name: str) -> str:
    with suppress(ServiceError):
        record = desk.cloud.dps.registration(name)
        if record.hub.lower() != hub.name.lower() and record.device_id == name:
            return record.hub
    return ""


def head(hub: Hub, device: Device) -> Facts:
    """Return what the head of all of a device's pages shows."""
    presence: Presence = hub.presence(device.device_id)
    return {
        "hub": hub.name,
        "device": device,
        "presence": presence,
        "pending": hub.pending(device.device_id),
        "of": {"hub": hub.name, "id": device.device_id},
    }


def _facts(desk: Desk, query: Query) -> Facts:
    hub, device = device_of(desk, query)
    messages = desk.memory.messages(hub.name, device.device_id)
    return {
        **head(hub, device),
        "plots": plot.plots(messages),
        "width": plot.WIDTH,
        "height": plot.HEIGHT,
        "span": plot.span_of(messages),
        "messages": list(reversed(messages[-_LISTED:])),
        "kept": len(messages),
        "moments": desk.memory.moments({device.device_id}, 15),
    }


PAGE = Page("/device", "telemetry.html", _facts)
