"""DPS's bodies: the JSON it answers with, field by field as the service spells it.

Owns names, order and formats. Doesn't own when which body is sent: that is dps.py.
Source: "Device registration" in the DPS REST API.
"""

import binascii
import json
from datetime import UTC, datetime
from typing import Any

from host_tools.emulator.records import Registration


def assigning(operation_id: str) -> bytes:
    """Return the answer to "register": it goes on."""
    return compact({"operationId": operation_id, "status": "assigning"})


def still_assigning(operation_id: str, registration_id: str) -> bytes:
    """Return the answer to a poll: it still goes on."""
    state = {"registrationId": registration_id, "status": "assigning"}
    return _envelope(operation_id, "assigning", state)


def assigned(operation_id: str, registration: Registration, hub: str) -> bytes:
    """Return the good end; hub is the name to dial."""
    state: dict[str, Any] = {
        "registrationId": registration.registration_id,
        "createdDateTimeUtc": timestamp(registration.created),
        "assignedHub": hub,
        "deviceId": registration.device_id,
        "status": "assigned",
        "substatus": registration.substatus,
        "lastUpdatedDateTimeUtc": timestamp(registration.updated),
        "etag": registration.etag,
    }
    if registration.enrollment_group:
        state["symmetricKey"] = {"enrollmentGroupId": registration.enrollment_group}
    return _envelope(operation_id, "assigned", state)


def disabled(operation_id: str, registration_id: str, etag: str, now: float) -> bytes:
    """Return the end for a device whose enrollment is disabled."""
    state = {
        "registrationId": registration_id,
        "createdDateTimeUtc": timestamp(now),
        "status": "disabled",
        "lastUpdatedDateTimeUtc": timestamp(now),
        "etag": etag,
    }
    return _envelope(operation_id, "disabled", state)


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


# 2022-08-31T22:02:50.5163352Z
def timestamp(seconds: float) -> str:
    """Return a time (seconds since 1970) with the service's seven digits behind the point."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


# Base64 of a GUID in quotes
def etag(guid: str) -> str:
    """Return an entity tag."""
    return binascii.b2a_base64(f'"{guid}"'.encode(), newline=False).decode()


def compact(document: dict[str, Any]) -> bytes:
    """Return JSON without blanks."""
    return json.dumps(document, separators=(",", ":")).encode()


def _envelope(operation_id: str, status: str, state: dict[str, Any]) -> bytes:
    return compact({"operationId": operation_id, "status": status, "registrationState": state})
