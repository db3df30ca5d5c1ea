"""A device's twin: what it reported, and an editor of what is desired and of the tags.

Saving sends the differences only, so that a device hears of nothing that did not change.
"""

import json
from typing import Any

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.portal.desk import Desk, Facts, Outcome, Page, Query, url
from host_tools.emulator.portal.forms import Form, FormError
from host_tools.emulator.portal.pages.telemetry import device_of, head

_CHANGED = 412


def _facts(desk: Desk, query: Query) -> Facts:
    hub, device = device_of(desk, query)
    twin = hub.twin(device.device_id)
    document = hub.twin_document(device.device_id)
    properties = document["properties"]
    return {
        **head(hub, device),
        "twin": twin,
        "versions": {name: properties[name].get("$version") for name in properties},
        "updated": {
            name: properties[name].get("$metadata", {}).get("$lastUpdated") for name in properties
        },
    }


def _save(desk: Desk, query: Query, form: Form) -> Outcome:
    hub, device = device_of(desk, query)
    twin = hub.twin(device.device_id)
    patch: dict[str, Any] = {}
    if tags := difference(twin.tags, form.json_object("tags")):
        patch["tags"] = tags
    if desired := difference(twin.desired, form.json_object("desired")):
        patch["properties"] = {"desired": desired}
    if not patch:
        return Outcome(_page(query), "Nothing was changed.")
    try:
        hub.patch_twin(device.device_id, patch, desk.clock(), form.text("etag", "*"))
    except ServiceError as error:
        if error.status == _CHANGED:
            raise FormError("", _CONFLICT, _CHANGED) from None
        raise
    if not desired:
        return Outcome(_page(query), "Saved. Tags are the cloud's own: the device hears nothing.")
    if hub.presence(device.device_id).connected:
        return Outcome(_page(query), "Saved. The device was told, if it listens.")
    return Outcome(_page(query), "Saved. The device reads it when it is back.")


_CONFLICT = (
    "Somebody changed the twin while you edited it; what it holds now is shown beside. Take over"
    " what you need, then save again: that sends your text as it stands here."
)


def difference(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return the merge patch (RFC 7396) that makes new of old."""
    patch: dict[str, Any] = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := difference(before, value):
                patch[name] = inner
        elif name not in old or json.dumps(before) != json.dumps(value):
            patch[name] = value
    return patch


def _page(query: Query) -> str:
    return url("/device/twin", hub=query.get("hub"), id=query.get("id"))


PAGE = Page("/device/twin", "twin.html", _facts, actions={"save": _save})
