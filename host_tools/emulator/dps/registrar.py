"""Registrar: what a device may ask DPS, and what it is answered, over MQTT and HTTPS alike.

Owns the three requests: register, is it done?, and where was I assigned? Doesn't own the way they
come (peer.py, rest/dps_device.py), the bodies' fields (bodies.py) nor the assignment itself
(assignment.py).
Sources: "Communicate with DPS using the MQTT protocol"; "How to use symmetric keys over HTTPS".
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from host_tools.emulator.access import AccessDenied, Reason, Token
from host_tools.emulator.dps import bodies, json_fields, webhook
from host_tools.emulator.dps.assignment import SERVICE, Assigner
from host_tools.emulator.dps.enrollment import CUSTOM, Enrollment, fold
from host_tools.emulator.dps.enrollments import Enrollments
from host_tools.emulator.dps.operations import Operation, Operations
from host_tools.emulator.dps.throttle import Throttle
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Event, Failed, Refused, Registering
from host_tools.emulator.records import Registration
from host_tools.emulator.store.database import StoreError

LARGEST = 96 * 1024  # bytes of a request

# what a device hears; the operator hears the reason itself
_REFUSALS = {
    Reason.UNKNOWN_SCOPE: (404201, "DPS instance not found."),
    Reason.NOT_ENROLLED: (404201, "Enrollment not found."),
    Reason.BAD_REGISTRATION_ID: (400004, "The registration ID is invalid."),
}


@dataclass
class Caller:
    """A device that asks; what it may not do it hears when it asks."""

    registration_id: str
    api_version: str
    token: Token | None = None  # None: refused
    refusal: Reason | None = None
    enrollment: Enrollment | None = None
    as_of: int = field(default=-1, repr=False)  # the enrollments' version at the last look


@dataclass(frozen=True)
class Answer:
    """What a device is told: an HTTP status, also in MQTT's topics, and JSON."""

    status: int
    body: bytes
    retry_after: int | None = None  # seconds


class Registrar:
    """The requests of devices at one DPS instance."""

    def __init__(
        self,
        enrollments: Enrollments,
        operations: Operations,
        assigner: Assigner,
        throttle: Throttle | None,
        call_webhook: webhook.Call,
        retry_after: int,
        tick: float,
    ) -> None:
        """throttle: None for none."""
        self.tick = tick  # of the clock that nobody sets, to a quarter of a second
        self.call_webhook = call_webhook
        self._enrollments = enrollments
        self._operations = operations
        self._assigner = assigner
        self._throttle = throttle
        self._retry_after = retry_after
        self._tell: Callable[[Event], None] = assigner.tell

    def expire(self, tick: float) -> None:
        """Forget what nobody asked for so long."""
        self.tick = tick
        self._operations.expire(tick)
        if self._throttle:
            self._throttle.expire(tick)

    def admit(self, caller: Caller) -> Enrollment:
        """Return the enrollment that a caller comes under; raise AccessDenied, StoreError.

        It may be another one than a moment ago, or none any more.
        """
        if caller.token is None:
            raise AccessDenied(caller.refusal or Reason.NO_TOKEN)
        if caller.enrollment is None or caller.as_of != self._enrollments.version:
            caller.enrollment = None
            caller.enrollment = self._enrollments.admit(caller.registration_id, caller.token)
            caller.as_of = self._enrollments.version
        return caller.enrollment

    def register(self, caller: Caller, body: bytes, now: float) -> Answer:
        """Begin a registration."""
        return self._answered(caller, lambda: self._register(caller, body, now), now)

    def poll(self, caller: Caller, operation_id: str, now: float) -> Answer:
        """Tell how far a registration is."""
        return self._answered(caller, lambda: self._poll(caller, operation_id, now), now)

    def look_up(self, caller: Caller, body: bytes, now: float) -> Answer:
        """Tell what became of the last registration."""
        return self._answered(caller, lambda: self._look_up(caller, body, now), now)

    def refuse(self, error: ServiceError, now: float) -> Answer:
        """Return an error as an answer."""
        body = bodies.error(error.code, str(error), bodies.guid(self._assigner.random), now)
        wait = error.retry_after
        if wait is None and (error.status == 429 or error.status >= 500):
            wait = self._retry_after
        return Answer(error.status, body, wait)

    def _answered(self, caller: Caller, request: Callable[[], Answer], now: float) -> Answer:
        try:
            return request()
        except ServiceError as error:
            return self.refuse(error, now)
        except StoreError as error:
            why = f"its registration can not be read or kept: {error}"
            self._tell(Failed(now, SERVICE, caller.registration_id, why, "error 500001"))
            return self.refuse(ServiceError(500001, "Internal server error."), now)

    def _register(self, caller: Caller, body: bytes, now: float) -> Answer:
        enrollment = self._admitted(caller, now)
        if self._throttle:
            self._throttle.register(self.tick)
        payload = _payload(body, caller.registration_id)
        operation = self._operations.begin(caller.registration_id, self.tick)
        self._tell(Registering(now, caller.registration_id, enrollment.label))
        if enrollment.enabled and enrollment.allocation == CUSTOM:
            self._ask_webhook(operation, enrollment, payload)
        waiting = partial(bodies.assigning, operation.operation_id)
        return self._progress(caller, operation, enrollment, waiting, now)

    def _poll(self, caller: Caller, operation_id: str, now: float) -> Answer:
        enrollment = self._admitted(caller, now)
        if self._throttle:
            self._throttle.poll(caller.registration_id, self.tick)
        operation = self._operations.find(operation_id, caller.registration_id, self.tick)
        if operation is None:
            raise ServiceError(404202, "Operation not found.")
        waiting = partial(bodies.still_assigning, operation_id, caller.registration_id)
        return self._progress(caller, operation, enrollment, waiting, now)

    # counted with the registrations, as the service does
    def _look_up(self, caller: Caller, body: bytes, now: float) -> Answer:
        self._admitted(caller, now)
        if self._throttle:
            self._throttle.register(self.tick)
        _payload(body, caller.registration_id)
        record = self._assigner.records.get(caller.registration_id)
        if record is None:
            raise ServiceError(404202, "Registration not found.")
        hub = self._assigner.name_to_dial(record.hub)
        return Answer(200, bodies.compact(bodies.device_state(record, hub, caller.api_version)))

    def _progress(
        self,
        caller: Caller,
        operation: Operation,
        enrollment: Enrollment,
        waiting: Callable[[], bytes],
        now: float,
    ) -> Answer:
        if operation.outcome is None and not enrollment.enabled:
            operation.outcome = self._assigner.disable(caller.registration_id, enrollment, now)
            self._tell_refused(caller, Reason.DISABLED, "status disabled", now)
        if operation.outcome is None and (operation.replies_left or operation.waiting):
            operation.replies_left = max(operation.replies_left - 1, 0)
            return Answer(202, waiting(), self._retry_after)
        if operation.outcome is None:
            operation.outcome = self._outcome(operation, enrollment, now)
        hub = self._assigner.name_to_dial(operation.outcome.hub)
        identifier, version = operation.operation_id, caller.api_version
        return Answer(200, bodies.registered(identifier, operation.outcome, hub, version))

    def _outcome(self, operation: Operation, enrollment: Enrollment, now: float) -> Registration:
        # a slow web-hook's answer must not undo what a later registration brought
        if operation.allocation and not self._operations.is_latest(operation):
            raise ServiceError(409203, "Precondition failed.")
        name = operation.registration_id
        return self._assigner.assign(name, enrollment, operation.allocation, now)

    def _ask_webhook(self, operation: Operation, enrollment: Enrollment, payload: Any) -> None:
        name = operation.registration_id

        def done(outcome: webhook.Outcome) -> None:
            operation.allocation = outcome
            operation.waiting = False

        try:
            linked = self._assigner.network.choices(enrollment)
        except ServiceError:  # which the assignment meets again
            return
        body = webhook.request(enrollment, name, self._assigner.records.get(name), payload, linked)
        operation.waiting = True
        assert enrollment.webhook
        self.call_webhook(enrollment.webhook, body, done)

    def _admitted(self, caller: Caller, now: float) -> Enrollment:
        try:
            return self.admit(caller)
        except AccessDenied as denied:
            code, message = _REFUSALS.get(denied.reason, (401002, "Unauthorized"))
            self._tell_refused(caller, denied.reason, f"error {code}", now)
            raise ServiceError(code, message) from None

    def _tell_refused(self, caller: Caller, reason: Reason, answer: str, now: float) -> None:
        self._tell(Refused(now, SERVICE, caller.registration_id, reason, answer))


# {"registrationId": "...", "payload": ...}, either of them, or nothing
def _payload(body: bytes, registration_id: str) -> Any:
    if len(body) > LARGEST:
        raise ServiceError(413001, f"The request has more than {LARGEST} bytes.")
    document = json_fields.fields(json_fields.parse(body), "The request's body")
    claimed = json_fields.text(document, "registrationId")
    if claimed is not None and fold(claimed) != fold(registration_id):
        raise ServiceError(400004, "The registration ID is not the one that connected.")
    return document.get("payload")
