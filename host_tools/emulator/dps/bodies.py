"""DPS's bodies: the JSON it answers devices with, field by field as the service spells it.

Owns names, order and formats. Doesn't own when which body is sent: that is registrar.py.
Source: "Device registration" in the DPS REST API.
"""

import binascii
import json
import uuid
from collections.abc import Callable
from typing import Any

from host_tools.emulator.records import Registration
from host_tools.emulator.timestamps import timestamp

INITIAL, MIGRATED, RESET = "initialAssignment", "deviceDataMigrated", "deviceDataReset"
# the hub knew the device already; clients of an older version never hear of it
AGAIN, AGAIN_SINCE = "reprovisionedToInitialAssignment", "2019-04-15"


def assigning(operation_id: str) -> bytes:
    """Return the answer to "register": it goes on."""
    return compact({"operationId": operation_id, "status": "assigning"})


def still_assigning(operation_id: str, registration_id: str) -> bytes:
    """Return the answer to a poll: it still goes on."""
    state = {"registrationId": registration_id, "status": "assigning"}
    return _envelope(operation_id, state)


def registered(operation_id: str, registration: Registration, hub: str, api_version: str) -> bytes:
    """Return the end, good or bad; hub is the name to dial."""
    return _envelope(operation_id, device_state(registration, hub, api_version))


def device_state(registration: Registration, hub: str, api_version: str) -> dict[str, Any]:
    """Return a registration as its device hears of it; hub is the name to dial."""
    document = state(registration)
    if registration.status != "assigned":
        return document
    document["assignedHub"] = hub
    if registration.substatus == AGAIN and api_version < AGAIN_SINCE:
        document["substatus"] = INITIAL
    if registration.enrollment_group:
        document["symmetricKey"] = {"enrollmentGroupId": registration.enrollment_group}
    if registration.payload is not None:
        document["payload"] = registration.payload
    return document


def state(registration: Registration) -> dict[str, Any]:
    """Return a registration as the service's API shows it."""
    assigned = registration.status == "assigned"
    document = {
        "registrationId": registration.registration_id,
        "createdDateTimeUtc": timestamp(registration.created),
        "assignedHub": registration.hub if assigned else None,
        "deviceId": registration.device_id if assigned else None,
        "status": registration.status,
        "substatus": registration.substatus if assigned else None,
        "errorCode": registration.error_code,
        "errorMessage": registration.error_message or None,
        "lastUpdatedDateTimeUtc": timestamp(registration.updated),
        "etag": registration.etag,
    }
    return {name: value for name, value in document.items() if value is not None}


def unassigned(registration_id: str) -> dict[str, Any]:
    """Return the state of a device that has not registered yet."""
    return {"registrationId": registration_id, "status": "unassigned"}


def error(code: int, message: str, tracking_id: str, now: float) -> bytes:
    """Return an error; code is the topic's status times 1000 and something."""
    return compact(
        {
            "errorCode": code,
            "trackingId": tracking_id,
            "message": message,
            "info": {},
            "timestampUtc": timestamp(now),
        }
    )


def guid(random: Callable[[int], bytes]) -> str:
    """Return a random GUID."""
    return str(uuid.UUID(bytes=random(16), version=4))


def new_etag(random: Callable[[int], bytes]) -> str:
    """Return a new entity tag."""
    return etag(guid(random))


# Base64 of a GUID in quotes
def etag(guid: str) -> str:
    """Return an entity tag."""
    return binascii.b2a_base64(f'"{guid}"'.encode(), newline=False).decode()


def compact(document: Any) -> bytes:
    """Return JSON without blanks."""
    return json.dumps(document, separators=(",", ":")).encode()


def _envelope(operation_id: str, state: dict[str, Any]) -> bytes:
    document = {"operationId": operation_id, "status": state["status"], "registrationState": state}
    return compact(document)
