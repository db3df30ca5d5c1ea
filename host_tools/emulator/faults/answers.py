"""Answers: the bodies and topics of what a service says when a rule makes it err.

Owns the error and status JSON of DPS and of a hub as devices get it over MQTT. Doesn't own when
it is sent: peer.py.
Source: protocol.md 1.4 and 4.2.
"""

import json
import re
from typing import Any

from host_tools.emulator.dps import bodies
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.faults.action import Action
from host_tools.emulator.timestamps import timestamp

USUAL_WAIT = 3  # seconds, what DPS says as a rule
# (of DPS, of a hub) where only three digits were given; else the code is {status}001
_CODES = {
    400: (400004, 400004),
    401: (401002, 401002),
    403: (403001, 403002),
    404: (404201, 404001),
    409: (409203, 409001),
    412: (412002, 412001),
    504: (504101, 504101),
}
_WORDS = {
    400: "Bad request.",
    401: "Unauthorized",
    403: "Forbidden.",
    404: "Not found.",
    409: "Precondition failed.",
    412: "Precondition failed.",
    413: "The request is too large.",
    429: "Throttled: too many requests.",
    500: "Internal server error.",
    503: "The service is unavailable.",
    504: "Gateway timeout.",
}
_FAILURES = {
    400207: "Custom allocation failed with status code: 400",
    400208: "No IoT hub is specified for the enrollment.",
    400209: "The IoT hub is not authorized.",
}
_RID = re.compile(r"[?&]\$rid=([^&]*)")
_OPERATION = re.compile(r"&operationId=([^&]*)")
_RETRY_AFTER = re.compile(r"&retry-after=[^&]*")


def service_error(action: Action, dps: bool = True) -> ServiceError:
    """Return the error that an action of kind ERROR is."""
    status = action.code if action.code < 1000 else action.code // 1000
    code = action.code
    if code < 1000:
        code = _CODES.get(status, (status * 1000 + 1,) * 2)[0 if dps else 1]
    wait = action.retry_after
    if wait is None and not action.bare and (status == 429 or status >= 500):
        wait = USUAL_WAIT
    return ServiceError(code, _WORDS.get(status, "The service can not do as asked."), wait)


# {"errorCode":429001,"trackingId":"...","message":"...","info":{},"timestampUtc":"..."}
def error_body(error: ServiceError, tracking_id: str, now: float) -> bytes:
    """Return an error's body as a device gets it."""
    return _compact(
        {
            "errorCode": error.code,
            "trackingId": tracking_id,
            "message": str(error),
            "info": {},
            "timestampUtc": timestamp(now),
        }
    )


# {"operationId":"...","status":"failed","registrationState":{...}}
def state_body(
    action: Action, registration_id: str, operation_id: str, tag: str, now: float
) -> bytes:
    """Return the answer of DPS that an action of kind STATUS is; tag: a GUID for its etag."""
    state: dict[str, Any] = {
        "registrationId": registration_id,
        "createdDateTimeUtc": timestamp(now),
        "status": action.text,
    }
    if action.text == "failed":
        state["errorCode"] = action.code or 400207
        state["errorMessage"] = _FAILURES.get(state["errorCode"], "The registration failed.")
    state |= {"lastUpdatedDateTimeUtc": timestamp(now), "etag": bodies.etag(tag)}
    return _compact(
        {"operationId": operation_id, "status": action.text, "registrationState": state}
    )


# $dps/registrations/res/{status}/?$rid={request ID}[&retry-after={seconds}]
# $iothub/twin/res/{status}/?$rid={request ID}
def topic(dps: bool, status: int, question: str, retry_after: int | None = None) -> str:
    """Return the topic of the answer to a question's topic."""
    rid = _RID.search(question)
    base = "$dps/registrations/res" if dps else "$iothub/twin/res"
    tail = "" if retry_after is None else f"&retry-after={retry_after}"
    return f"{base}/{status}/?$rid={rid[1] if rid else ''}{tail}"


def operation_id(question: str, lot: int) -> str:
    """Return the operation that a question is about; one made of lot if it begins one."""
    found = _OPERATION.search(question)
    return found[1] if found else f"5.{lot >> 64:016x}.{guid(lot)}"


def with_other_rid(topic: str) -> str:
    """Return a topic with a request ID that nobody sent."""
    return _RID.sub(lambda rid: rid[0] + "-of-another", topic, count=1)


def without_retry_after(topic: str) -> str:
    """Return a topic of DPS without its retry-after."""
    return _RETRY_AFTER.sub("", topic)


def guid(lot: int) -> str:
    """Return a GUID made of 128 bits."""
    text = f"{lot & (1 << 128) - 1:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _compact(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
