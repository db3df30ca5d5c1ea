"""Bulk: many changes to a hub's registry in one request.

Owns the list and its result; each device's change is done as a single request would do it, and
one that fails keeps no other from being done.
Source: "IoT Hub REST API: Bulk Registry - Update Registry".
"""

from typing import Any

from starlette.responses import JSONResponse, Response

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.hub.hub import Hub
from host_tools.emulator.rest import bodies, errors
from host_tools.emulator.rest.bodies import INVALID
from host_tools.emulator.rest.calls import Call
from host_tools.emulator.rest.devices import put_identity

MOST = 100  # devices
_TWICE = 400011
_MODES = (
    "createOrUpdate", "createOrUpdateIfMatchETag", "create", "update", "updateIfMatchETag",
    "delete", "deleteIfMatchETag", "updateTwin", "updateTwinIfMatchETag",
)  # fmt: skip


# [{"id", "importMode", "eTag", "status", "authentication", "tags", "properties", ...}, ...]
async def change(call: Call) -> Response:
    """Answer POST /devices."""
    devices = await call.json()
    if not isinstance(devices, list):
        raise ServiceError(INVALID, "the body is not a list of devices")
    if len(devices) > MOST:
        raise ServiceError(413002, f"{len(devices)} devices, at most {MOST} are taken at once")
    names = [bodies.text(bodies.fields(one, "a device"), "id") for one in devices]
    failed = []
    for name, device in zip(names, devices, strict=True):
        try:
            if names.count(name) > 1:
                raise ServiceError(_TWICE, "the device is in the list twice")
            _change(call, name, device)
        except ServiceError as error:
            failed.append(_failure(name, error))
    result = {"isSuccessful": not failed, "errors": failed, "warnings": []}
    headers = {errors.ERROR_HEADER: "BulkRegistryOperationFailure"} if failed else {}
    return JSONResponse(result, 400 if failed else 200, headers, media_type=errors.JSON)


def _change(call: Call, name: str, device: dict[str, Any]) -> None:
    mode = bodies.choice(device, "importMode", _MODES)
    if device.get("moduleId"):
        raise ServiceError(INVALID, "this cloud has devices only, no modules")
    if mode.startswith("updateTwin"):
        etag = _etag(device, "twinETag", mode)
        call.hub.patch_twin(name, device, call.now, etag)
    elif mode.startswith("delete"):
        call.hub.delete(name, call.now, _etag(device, "eTag", mode))
    else:
        _put(call, name, device, mode)


def _put(call: Call, name: str, device: dict[str, Any], mode: str) -> None:
    creates = mode == "create" or (mode.startswith("createOr") and not _knows(call.hub, name))
    if_match = None if creates else _etag(device, "eTag", mode)
    put_identity(call.hub, name, device, call.now, if_match)
    if device.get("tags") or device.get("properties"):
        call.hub.patch_twin(name, device, call.now)


def _knows(hub: Hub, device_id: str) -> bool:
    try:
        hub.device(device_id)
    except ServiceError:
        return False
    return True


def _etag(device: dict[str, Any], field: str, mode: str) -> str:
    etag = bodies.text(device, field).strip('"')
    return (etag or "*") if mode.endswith("IfMatchETag") else "*"


def _failure(name: str, error: ServiceError) -> dict[str, Any]:
    return {
        "deviceId": name,
        "errorCode": errors.name(error),
        "errorStatus": str(error),
        "moduleId": None,
        "operation": None,
    }
