"""The devices of one hub, as a list that lives; and a new one."""

from host_tools.emulator.hub.device import Device, Presence
from host_tools.emulator.hub.hub import Hub
from host_tools.emulator.portal.desk import Desk, Facts, Outcome, Page, Query, part_of, url
from host_tools.emulator.portal.forms import Form
from host_tools.emulator.portal.pages import policies

_STATUS = {"enabled": True, "disabled": False}
_CONNECTION = {"connected": True, "disconnected": False}


def hub_of(desk: Desk, query: Query) -> Hub:
    """Return the hub in a page's address; ServiceError."""
    return desk.cloud.hubs.hub(query.get("hub", ""))


def _facts(desk: Desk, query: Query) -> Facts:
    hub = hub_of(desk, query)
    counts = hub.statistics()
    leaf = part_of(_wanted(hub, query), "/devices", query)
    leaf["rows"] = [
        (device, presence, hub.pending(device.device_id)) for device, presence in leaf["rows"]
    ]
    return {
        "hub": hub.name,
        "counts": counts,
        "devices": leaf,
        "wanted": query.get("q", ""),
        "status": query.get("status", ""),
        "connection": query.get("connection", ""),
    }


def _wanted(hub: Hub, query: Query) -> list[tuple[Device, Presence]]:
    text = query.get("q", "").strip().lower()
    enabled = _STATUS.get(query.get("status", ""))
    connected = _CONNECTION.get(query.get("connection", ""))
    found = (
        (device, hub.presence(device.device_id))
        for device in hub.devices()
        if text in device.device_id.lower() and enabled in (None, device.enabled)
    )
    return [one for one in found if connected in (None, one[1].connected)]


def _new_facts(desk: Desk, query: Query) -> Facts:
    return {"hub": hub_of(desk, query).name}


def _create(desk: Desk, query: Query, form: Form) -> Outcome:
    hub = hub_of(desk, query)
    device = hub.create(
        form.needed("device_id", "The device ID"),
        desk.clock(),
        policies.own_keys(form),
        edge=form.ticked("edge"),
    )
    return Outcome(
        url("/device", hub=hub.name, id=device.device_id),
        f"The device {device.device_id} is made. Its keys are under Access.",
    )


PAGE = Page("/devices", "devices.html", _facts)
NEW = Page("/devices/new", "device_new.html", _new_facts, actions={"create": _create})
