"""DpsPeer: one device at DPS, asking "register" and then "is it done?".

Owns the two requests, which answer each gets, and its topic. Doesn't own who may register nor
the assignment (dps.py), the bodies (dps_bodies.py) or the connection (session.py).
Source: "Communicate with DPS using the MQTT protocol"; keystead.dps is the other end.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Protocol

from host_tools.emulator.access import Reason
from host_tools.emulator.dps import bodies as dps_bodies
from host_tools.emulator.dps.enrollment import Enrollment, fold
from host_tools.emulator.dps.operations import Operation, Operations, guid
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Event, Refused, Registering
from host_tools.emulator.mqtt.packets import Publish
from host_tools.emulator.mqtt.peer import Hangup, Message, Peer
from host_tools.emulator.records import Registration
from keystead.dps import RESPONSES

# $dps/registrations/PUT/iotdps-register/?$rid={request ID}
_REGISTER = re.compile(r"\$dps/registrations/PUT/iotdps-register/\?\$rid=([^&]*)")
# $dps/registrations/GET/iotdps-get-operationstatus/?$rid={request ID}&operationId={operation ID}
_POLL = re.compile(
    r"\$dps/registrations/GET/iotdps-get-operationstatus/\?\$rid=([^&]*)&operationId=([^&]*)"
)


class Service(Protocol):
    """What a peer needs of its DPS instance."""

    operations: Operations
    retry_after: int
    tell: Callable[[Event], None]
    random: Callable[[int], bytes]

    def assign(self, registration_id: str, enrollment: Enrollment, now: float) -> Registration:
        """Assign a device to its hub; raise ServiceError."""

    def name_to_dial(self, hub: str) -> str:
        """Return what a device is told that was assigned to hub."""


# what a device hears; the operator hears the reason itself
_REFUSALS = {
    Reason.UNKNOWN_SCOPE: (404201, "DPS instance not found."),
    Reason.NOT_ENROLLED: (404201, "Enrollment not found."),
    Reason.BAD_REGISTRATION_ID: (400004, "The registration ID is invalid."),
}


class DpsPeer(Peer):
    """One device; what it may not do it hears when it registers."""

    service = "DPS"
    largest = 96 * 1024

    def __init__(self, dps: Service, registration_id: str, api_version: str) -> None:
        self.device_id = registration_id
        self.api_version = api_version
        self.expiry = float("inf")
        self.refusal: Reason | None = None
        self._dps = dps
        self._enrollment: Enrollment | None = None
        self._granted: int | None = None  # QoS of the subscription, None without one

    def admit(self, enrollment: Enrollment, expiry: float) -> None:
        """Let the device register under enrollment."""
        self._enrollment = enrollment
        self.expiry = expiry
        self.key = (self.service, fold(self.device_id))

    def subscribe(self, topic_filter: str, qos: int) -> int:
        """Grant the one filter there is."""
        if topic_filter != RESPONSES:
            raise Hangup("it subscribed to a topic that DPS does not have")
        self._granted = min(qos, 1)
        return self._granted

    def unsubscribe(self, topic_filter: str) -> None:
        """Stop answering."""
        if topic_filter == RESPONSES:
            self._granted = None

    def publish(self, message: Publish, now: float) -> Iterable[Message]:
        """Answer one request; without a subscription the answer is lost, as at the service."""
        if register := _REGISTER.fullmatch(message.topic):
            return self._try(register[1], lambda: self._register(message.payload, now), now)
        if poll := _POLL.fullmatch(message.topic):
            return self._try(poll[1], lambda: self._poll(poll[2], now), now)
        raise Hangup("it published to a topic that DPS does not have")

    def _try(
        self, rid: str, request: Callable[[], tuple[int, bytes]], now: float
    ) -> Iterable[Message]:
        try:
            return self._answer(rid, *request())
        except ServiceError as error:
            body = dps_bodies.error(error.code, str(error), guid(self._dps.random), now)
            return self._answer(rid, error.code // 1000, body)

    def _register(self, body: bytes, now: float) -> tuple[int, bytes]:
        enrollment = self._admitted(now)
        _check_body(body, self.device_id)
        operation = self._dps.operations.begin(self.device_id, now)
        self._dps.tell(Registering(now, self.device_id, enrollment.label))
        waiting = dps_bodies.assigning(operation.operation_id)
        return self._progress(operation, enrollment, waiting, now)

    def _poll(self, operation_id: str, now: float) -> tuple[int, bytes]:
        enrollment = self._admitted(now)
        operation = self._dps.operations.find(operation_id, self.device_id, now)
        if operation is None:
            raise ServiceError(404202, "Operation not found.")
        waiting = dps_bodies.still_assigning(operation_id, self.device_id)
        return self._progress(operation, enrollment, waiting, now)

    def _progress(
        self, operation: Operation, enrollment: Enrollment, waiting: bytes, now: float
    ) -> tuple[int, bytes]:
        if not enrollment.enabled:
            return self._disabled(operation, now)
        if operation.replies_left:
            operation.replies_left -= 1
            return 202, waiting
        if operation.outcome is None:
            operation.outcome = self._dps.assign(self.device_id, enrollment, now)
        hub = self._dps.name_to_dial(operation.outcome.hub)
        return 200, dps_bodies.assigned(operation.operation_id, operation.outcome, hub)

    def _disabled(self, operation: Operation, now: float) -> tuple[int, bytes]:
        self._tell_refused(Reason.DISABLED, "status disabled", now)
        etag = dps_bodies.etag(guid(self._dps.random))
        return 200, dps_bodies.disabled(operation.operation_id, self.device_id, etag, now)

    def _admitted(self, now: float) -> Enrollment:
        if self._enrollment:
            return self._enrollment
        reason = self.refusal or Reason.NOT_ENROLLED
        code, message = _REFUSALS.get(reason, (401002, "Unauthorized"))
        self._tell_refused(reason, f"error {code}", now)
        raise ServiceError(code, message)

    def _tell_refused(self, reason: Reason, answer: str, now: float) -> None:
        self._dps.tell(Refused(now, self.service, self.device_id, reason, answer))

    # $dps/registrations/res/{status}/?$rid={request ID}[&retry-after={seconds}]
    def _answer(self, rid: str, status: int, body: bytes) -> tuple[Message, ...]:
        if self._granted is None:
            return ()
        topic = f"$dps/registrations/res/{status}/?$rid={rid}"
        if status == 202 or status == 429 or status >= 500:
            topic += f"&retry-after={self._dps.retry_after}"
        return (Message(topic, body, self._granted),)


# {"registrationId": "...", "payload": ...}, either of them, or nothing
def _check_body(body: bytes, registration_id: str) -> None:
    try:
        document = json.loads(body) if body.strip() else {}
        claimed = document.get("registrationId")
        same = claimed is None or fold(claimed) == fold(registration_id)
    except (ValueError, AttributeError, RecursionError):
        raise ServiceError(400004, "The request's body is malformed.") from None
    if not same:
        raise ServiceError(400004, "The registration ID is not the one that connected.")
