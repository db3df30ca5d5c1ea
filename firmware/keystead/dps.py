"""DPS over MQTT, the device's side: one registration from "register" to an assigned hub.

Owns requests, responses and what each answer means. Doesn't own the connection, the clock or the
dice: the caller carries topics and bodies and waits the seconds it is told.
Source: "Communicate with DPS using the MQTT protocol"; the outcome table is in docs/protocol.md.
"""

import json
from collections import namedtuple

from keystead.backoff import backoff
from keystead.failure import Failure

RESPONSES = "$dps/registrations/res/#"  # subscribe before the first request: DPS holds nothing
API_VERSION = "2019-03-31"

_RETRY_AFTER = 3  # seconds, what the service sends as a rule
_LONGEST_WAIT = 3600  # seconds; a larger retry-after is cut to it
_PATIENCE = 5  # answers 429 or 5xx in a row before we hang up
_ENDLESS = 600  # seconds of "assigning" in all, then we start over

# hub: host name; device_id: the name there, it may differ from the registration ID;
# substatus: e.g. "initialAssignment"; payload: what custom allocation returned, or None
Assignment = namedtuple("Assignment", ("hub", "device_id", "substatus", "payload"))


# {ID scope}/registrations/{registration ID}/api-version={date}
def username(id_scope: str, registration_id: str) -> str:
    """Return the MQTT user name; the registration ID is the MQTT client ID."""
    return "%s/registrations/%s/api-version=%s" % (id_scope, registration_id, API_VERSION)


# {ID scope}/registrations/{registration ID}
def resource(id_scope: str, registration_id: str) -> str:
    """Return the resource that the DPS SAS token signs, with policy "registration"."""
    return "%s/registrations/%s" % (id_scope, registration_id)


def door(id_scope: str, registration_id: str) -> tuple[str, str, str]:
    """Return (user name, resource, topic filter): what is needed before the first request."""
    return username(id_scope, registration_id), resource(id_scope, registration_id), RESPONSES


class Registration:
    """One registration: ask with request(), hand what arrives to receive(), wait, ask again."""

    def __init__(self, registration_id: str, payload: object = None):
        """payload: any JSON value for the custom allocation hook, None for none."""
        self.assignment: Assignment | None = None
        self.status = ""  # the service's last word: assigning, assigned, ...
        self._body: dict[str, object] = {"registrationId": registration_id}
        if payload is not None:
            self._body["payload"] = payload
        self._operation_id = ""
        self._request_id = 0
        self._waited = 0.0  # seconds told so far
        self._refusals = 0  # answers 429 and 5xx in a row

    # $dps/registrations/PUT/iotdps-register/?$rid={request ID}
    # $dps/registrations/GET/iotdps-get-operationstatus/?$rid={request ID}&operationId={operation}
    def request(self) -> tuple[str, bytes]:
        """Return (topic, body) of the next request: register first, then poll."""
        self._request_id += 1
        if not self._operation_id:
            topic = "$dps/registrations/PUT/iotdps-register/?$rid=%d" % self._request_id
            return topic, _compact(self._body)
        topic = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=%d&operationId=%s"
        return topic % (self._request_id, self._operation_id), b""

    # $dps/registrations/res/{status}/?$rid={request ID}&retry-after={seconds}, in any order
    def receive(self, topic: str, body: bytes, chance: float) -> float | None:
        """Take one answer; return the seconds to wait before the next request().

        None: not the answer to the open request, keep listening. When assignment is set, all is
        done. chance is uniform in [0, 1). Raises Failure where asking again soon will not help.
        """
        path, _, query = topic.partition("/?")
        fields = dict(_pair(field) for field in query.split("&"))
        if fields.get("$rid") != str(self._request_id):
            return None
        status = _number(path.rpartition("/")[2], 0)
        wait = min(_number(fields.get("retry-after", ""), _RETRY_AFTER), _LONGEST_WAIT)
        if status == 429 or status >= 500:
            return self._refused(status, wait, chance)
        if status >= 300:
            return self._rejected(status, body)
        if status < 200:
            raise Failure("dps-garbled", "a topic without a status")
        self._refusals = 0
        self._accepted(_parse(body))
        return 0 if self.assignment else self._again(max(wait, 1))

    def _refused(self, status: int, retry_after: int, chance: float) -> float:
        self._refusals += 1
        reason = "dps-throttled" if status == 429 else "dps-unavailable"
        if self._refusals > _PATIENCE:
            raise Failure(reason, code=status, retry_after=retry_after)
        self.status = reason
        return max(retry_after, 1 if status == 429 else 5) + backoff(self._refusals, chance, 5)

    def _rejected(self, status: int, body: bytes) -> float:
        if status == 404 and self._operation_id:
            # the operation expired, not the enrollment: start over
            self._operation_id = ""
            return self._again(_RETRY_AFTER)
        try:
            document = _parse(body)
        except Failure:  # a refusal without a word is still a refusal
            document = {}
        reason = {401: "dps-unauthorized", 403: "dps-unauthorized", 404: "dps-unknown"}
        code = document.get("errorCode")
        raise Failure(
            reason.get(status, "dps-rejected"),
            _text(document.get("message")),
            code if isinstance(code, int) else status,
        )

    def _accepted(self, document: dict[str, object]) -> None:
        state = document.get("registrationState")
        if not isinstance(state, dict):
            state = {}
        # topic status 200 also carries "failed" and "disabled": the body decides
        self.status = _text(state.get("status") or document.get("status"))
        self._operation_id = _text(document.get("operationId")) or self._operation_id
        if self.status == "assigned":
            self.assignment = _assignment(state)
        elif self.status == "failed":
            code = state.get("errorCode")
            detail = _text(state.get("errorMessage"))
            raise Failure("dps-failed", detail, code if isinstance(code, int) else 0)
        elif self.status == "disabled":
            raise Failure("dps-disabled")
        elif self.status not in ("assigning", "unassigned") or not self._operation_id:
            raise Failure("dps-garbled", "status is " + repr(self.status))

    def _again(self, wait: float) -> float:
        # the first wait is granted whatever it is; later ones until it has been too long
        if self._waited > _ENDLESS:
            raise Failure("dps-endless", "%d s, last %s" % (self._waited, self.status))
        self._waited += wait
        return wait


def _compact(document: dict[str, object]) -> bytes:
    # CPython writes ", " and ": ", MicroPython too; the service's own vectors have no blanks
    try:
        return json.dumps(document, separators=(",", ":")).encode()
    except TypeError:  # a build whose json.dumps() takes no separators
        return json.dumps(document).encode()


def _assignment(state: dict[str, object]) -> Assignment:
    hub, device_id = state.get("assignedHub"), state.get("deviceId")
    if not isinstance(hub, str) or not isinstance(device_id, str) or not hub or not device_id:
        raise Failure("dps-garbled", "assigned without a hub or a device ID")
    return Assignment(hub, device_id, _text(state.get("substatus")), state.get("payload"))


def _parse(body: bytes) -> dict[str, object]:
    try:
        document = json.loads(body)
    except (ValueError, RuntimeError):  # RuntimeError: nested deeper than the interpreter goes
        raise Failure("dps-garbled", "the answer is not JSON")
    if not isinstance(document, dict):
        raise Failure("dps-garbled", "the answer is not a JSON object")
    return document


def _pair(field: str) -> tuple[str, str]:
    name, _, value = field.partition("=")
    return name, value


def _number(text: str, default: int) -> int:
    # isdigit() is also true of digits int() does not know, and of numbers too long for a wait
    return int(text) if text.isdigit() and len(text) < 8 and text < ":" else default


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
