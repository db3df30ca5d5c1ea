"""Web-hook: what DPS asks whoever allocates hubs for it, and what it makes of the answer.

Owns the two bodies. Doesn't own the call: serve/webhook.py.
Source: "Understand custom allocation policies", whose sample has the keys left out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from host_tools.emulator.dps import documents, json_fields
from host_tools.emulator.dps.enrollment import Enrollment, EnrollmentGroup, Webhook
from host_tools.emulator.dps.json_fields import Json
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.records import Registration

FAILED = 400207
TIMEOUT = 5  # seconds; the service's own figure is not published
LARGEST = 96 * 1024  # bytes of an answer: what a device may get


@dataclass(frozen=True)
class Allocation:
    """The hub that a device gets, and what else it was given."""

    hub: str
    initial_twin: Json | None = None  # goes before the enrollment's, and before a migrated one
    payload: Any = None


@dataclass(frozen=True)
class WebhookFailure:
    """There is no allocation; why, in words for the device and the operator."""

    why: str


Outcome = Allocation | WebhookFailure
Call = Callable[[Webhook, Json, Callable[[Outcome], None]], None]


# {"enrollmentGroup":{...},"deviceRuntimeContext":{"registrationId":"...",
#  "currentIotHubHostName":"...","currentDeviceId":"...","symmetricKey":{},"payload":...},
#  "linkedHubs":["..."]}
def request(
    enrollment: Enrollment,
    registration_id: str,
    earlier: Registration | None,
    payload: Any,
    linked: list[str],
) -> Json:
    """Return the body of a call."""
    is_group = isinstance(enrollment, EnrollmentGroup)
    context: Json = {"registrationId": registration_id}
    if earlier and earlier.hub:
        context["currentIotHubHostName"] = earlier.hub
        context["currentDeviceId"] = earlier.device_id
    context["symmetricKey"] = {}
    if payload is not None:
        context["payload"] = payload
    return {
        "enrollmentGroup" if is_group else "individualEnrollment": documents.document(enrollment),
        "deviceRuntimeContext": context,
        "linkedHubs": linked,
    }


# {"iotHubHostName":"...","initialTwin":{...},"payload":...}
def parse(status: int, body: bytes) -> Outcome:
    """Return what a web-hook's answer says."""
    if not 200 <= status < 300:
        return WebhookFailure(f"Custom allocation failed with status code: {status}")
    if len(body) > LARGEST:
        return WebhookFailure(f"Custom allocation failed: an answer of more than {LARGEST} bytes")
    try:
        # the service's own documents spell the first name in two ways
        answer = json_fields.fields(json_fields.parse(body), "the answer")
        named = {name.lower(): value for name, value in answer.items()}
        hub = json_fields.text(named, "iothubhostname")
        twin = json_fields.member(named, "initialtwin")
        initial_twin = documents.initial_twin(twin) if twin else None
    except ServiceError as error:
        return WebhookFailure(f"Custom allocation failed: {error}")
    if not hub:
        return WebhookFailure("Custom allocation failed: the answer names no iotHubHostName")
    return Allocation(hub, initial_twin, named.get("payload"))
