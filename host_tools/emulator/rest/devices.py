"""Devices: the identity registry of a hub over REST.

Owns the JSON of a device identity, as Azure spells it. Doesn't own the registry (hub/hub.py).
Seen of the service: PUT without If-Match only creates, with it only updates; it replaces all of
an identity, so that one without keys gets new ones; DELETE needs If-Match.
Source: "IoT Hub REST API: Devices".
"""

from typing import Any

from starlette.responses import Response

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.hub.device import Device
from host_tools.emulator.hub.hub import Hub
from host_tools.emulator.hub.registry import KEY_SIZE
from host_tools.emulator.key_pair import KeyPair, generate_keys
from host_tools.emulator.rest import bodies
from host_tools.emulator.rest.bodies import INVALID
from host_tools.emulator.rest.calls import Call, answer
from host_tools.emulator.timestamps import timestamp
from host_tools.errors import CommandError
from host_tools.keys import decode_key, encode_key

STATUSES = ("enabled", "disabled")
_MOST = 1000  # devices in one list
_LONGEST_REASON = 128
_NOT_SERVED = "this cloud knows devices with symmetric keys only"


async def get(call: Call) -> Response:
    """Answer GET /devices/{device ID}."""
    device = call.hub.device(call.device_id)
    return answer(document(call.hub, device), device.etag)


async def put(call: Call) -> Response:
    """Answer PUT /devices/{device ID}."""
    body = bodies.fields(await call.json())
    named = bodies.text(body, "deviceId")
    if named and named != call.device_id:
        raise ServiceError(INVALID, "deviceId in the body is not the one in the address")
    device = put_identity(call.hub, call.device_id, body, call.now, call.if_match)
    return answer(document(call.hub, device), device.etag)


async def delete(call: Call) -> Response:
    """Answer DELETE /devices/{device ID}."""
    call.hub.device(call.device_id)
    if call.if_match is None:
        raise ServiceError(412001, "Etag missing")
    call.hub.delete(call.device_id, call.now, call.if_match)
    return Response(status_code=204)


async def list_all(call: Call) -> Response:
    """Answer GET /devices[?top={number}]."""
    top = call.request.query_params.get("top", str(_MOST))
    if not (top.isascii() and top.removeprefix("-").isdigit() and len(top) < 20):
        raise ServiceError(INVALID, "top is not a number")
    most = int(top) if 0 < int(top) < _MOST else _MOST
    return answer([document(call.hub, device) for device in call.hub.devices()[:most]])


async def purge(call: Call) -> Response:
    """Answer DELETE /devices/{device ID}/commands."""
    purged = call.hub.purge(call.device_id, call.now)
    found = {"totalMessagesPurged": purged, "deviceId": call.device_id, "moduleId": None}
    return answer(found)


async def counts(call: Call) -> Response:
    """Answer GET /statistics/devices."""
    found = call.hub.statistics()
    names = ("totalDeviceCount", "enabledDeviceCount", "disabledDeviceCount")
    return answer({name: found[name] for name in names})


async def connected(call: Call) -> Response:
    """Answer GET /statistics/service."""
    return answer({"connectedDeviceCount": call.hub.statistics()["connectedDeviceCount"]})


def put_identity(
    hub: Hub, device_id: str, body: dict[str, Any], now: float, if_match: str | None
) -> Device:
    """Create a device or, given an etag, replace all of it; raise ServiceError."""
    enabled = bodies.choice(body, "status", STATUSES) == "enabled"
    reason = bodies.text(body, "statusReason", _LONGEST_REASON)
    keys = _keys(bodies.part(body, "authentication"))
    edge = bodies.flag(bodies.part(body, "capabilities"), "iotEdge")
    if body.get("deviceScope") or body.get("parentScopes"):
        raise ServiceError(INVALID, f"deviceScope and parentScopes: {_NOT_SERVED}")
    if if_match is None:
        return hub.create(device_id, now, keys, enabled, reason, edge)
    return hub.update(
        device_id,
        now,
        keys=keys if keys.primary else generate_keys(hub.random, KEY_SIZE),
        enabled=enabled,
        status_reason=reason,
        edge=edge,
        if_match=if_match,
    )


# {"type": "sas", "symmetricKey": {"primaryKey": Base64, "secondaryKey": Base64}}
def _keys(authentication: dict[str, Any]) -> KeyPair:
    thumbprint = bodies.part(authentication, "x509Thumbprint")
    if bodies.text(authentication, "type") not in ("", "sas") or any(thumbprint.values()):
        raise ServiceError(INVALID, f"authentication: {_NOT_SERVED}, not X.509 nor a CA")
    given = bodies.part(authentication, "symmetricKey")
    keys = KeyPair(_key(given, "primaryKey"), _key(given, "secondaryKey"))
    if bool(keys.primary) != bool(keys.secondary):
        raise ServiceError(INVALID, "Either no keys or both keys can be set")
    return keys


def _key(owner: dict[str, Any], name: str) -> bytes:
    text = bodies.text(owner, name)
    try:
        return decode_key(text, name) if text else b""
    except CommandError as error:
        raise ServiceError(INVALID, str(error)) from None


def document(hub: Hub, device: Device) -> dict[str, Any]:
    """Return a device as the registry shows it, with its keys."""
    presence = hub.presence(device.device_id)
    return {
        "deviceId": device.device_id,
        "generationId": device.generation_id,
        "etag": device.etag,
        "connectionState": "Connected" if presence.connected else "Disconnected",
        "status": STATUSES[not device.enabled],
        "statusReason": device.status_reason or None,
        "connectionStateUpdatedTime": timestamp(presence.since),
        "statusUpdatedTime": timestamp(device.updated),
        "lastActivityTime": timestamp(presence.last_activity),
        "cloudToDeviceMessageCount": hub.pending(device.device_id),
        "authentication": {
            "symmetricKey": {
                "primaryKey": encode_key(device.keys.primary),
                "secondaryKey": encode_key(device.keys.secondary),
            },
            "x509Thumbprint": {"primaryThumbprint": None, "secondaryThumbprint": None},
            "type": "sas",
        },
        "capabilities": {"iotEdge": device.edge},
    }
