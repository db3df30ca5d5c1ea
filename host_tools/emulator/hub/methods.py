"""Direct methods: calls on their way to devices, and their answers.

Owns which calls wait, for the device or for its answer, and how long. A device that drops may come
back and still answer; who called waits for the time he asked for, as with the real service.
Doesn't own the connection: lines are given.
Source: "Understand and invoke direct methods from IoT Hub".
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Event
from host_tools.emulator.hub.events import MethodAnswered, MethodCalled, MethodFailed
from host_tools.emulator.mqtt.peer import Message

LARGEST = 128 * 1024  # bytes of a payload, each way
RESPONSE_TIMEOUTS, CONNECT_TIMEOUTS = range(5, 301), range(301)  # seconds
# printable ASCII but for $ ( ) < > @ , ; : \ " / [ ] ? = { } and blank
_NAME = re.compile(r"[!#%&'*+.0-9A-Z^_`a-z|~-]{1,256}")
# what no topic can hold, and what makes place for it
_ESCAPES = str.maketrans({"%": "%25", "+": "%2B", "#": "%23"})


@dataclass(frozen=True, slots=True)
class MethodCall:
    """A call: payload is JSON's value, None where there is none."""

    name: str
    payload: Any = None
    response_timeout: int = 30  # seconds, 5 to 300
    connect_timeout: int = 0  # seconds to wait for a device that is not there, 0 to 300


@dataclass(frozen=True, slots=True)
class MethodAnswer:
    """What the device answered; the status is the application's own."""

    status: int
    payload: Any = None
    # what is no JSON: the real service puts it into its own as it is, and clients choke on that
    # (azure-iot-sdk-c#1641, azure-iot-sdk-python#781); payload is its text then
    raw: bytes = b""

    @classmethod
    def parse(cls, status: int, body: bytes) -> "MethodAnswer":
        """Return the answer with this body; nothing is nothing, not a mistake."""
        if not body:
            return cls(status)
        try:
            payload = json.loads(body)
            json.dumps(payload, allow_nan=False)  # NaN and 1e999 are read, but are not JSON
        except (ValueError, RecursionError):
            return cls(status, body.decode(errors="replace"), body)
        return cls(status, payload)


Done = Callable[[MethodAnswer | ServiceError], None]


@dataclass(slots=True)
class _Call:
    device_id: str
    name: str
    body: bytes
    patience: int  # seconds for the answer
    done: Done
    deadline: float  # tick
    request_id: str = ""


class Calls:
    """All calls of one hub that are under way."""

    def __init__(self, hub: str, tell: Callable[[Event], None], first: int) -> None:
        """first: of the request IDs, so that an answer to an earlier process's is none of ours."""
        self._hub = hub
        self._tell = tell
        self._next = first
        self._parked: dict[str, list[_Call]] = {}  # until the device comes, by its ID
        self._sent: dict[tuple[str, str], _Call] = {}  # by device and request ID

    def park(self, device_id: str, call: MethodCall, tick: float, done: Done) -> None:
        """Take a call, to be sent by due(); raise ServiceError 400004, 413001.

        One that does not wait for its device is given up by the next expire().
        """
        body = _body(call)
        deadline = tick + call.connect_timeout
        parked = _Call(device_id, call.name, body, call.response_timeout, done, deadline)
        self._parked.setdefault(device_id, []).append(parked)

    def due(self, device_id: str, now: float, tick: float) -> list[Message]:
        """Return what is to be sent to a device that listens."""
        return [self._send(call, now, tick) for call in self._parked.pop(device_id, ())]

    # $iothub/methods/POST/{name}/?$rid={request ID}
    def _send(self, call: _Call, now: float, tick: float) -> Message:
        call.request_id = f"{self._next:x}"
        self._next += 1
        call.deadline = tick + call.patience
        self._sent[call.device_id, call.request_id] = call
        self._tell(MethodCalled(now, self._hub, call.device_id, call.name, call.request_id))
        name = call.name.translate(_ESCAPES)
        return Message(f"$iothub/methods/POST/{name}/?$rid={call.request_id}", call.body, 0)

    def answered(
        self, device_id: str, request_id: str, status: int, body: bytes, now: float
    ) -> None:
        """Pass on a device's answer; one that nobody waits for is ignored."""
        call = self._sent.pop((device_id, request_id), None)
        if call is None:
            return
        self._tell(MethodAnswered(now, self._hub, device_id, call.name, request_id, status))
        call.done(MethodAnswer.parse(status, body))

    def expire(self, now: float, tick: float) -> None:
        """Give up calls that waited too long."""
        for device_id in [one for one, calls in self._parked.items() if _any_over(calls, tick)]:
            calls = self._parked.pop(device_id)
            if left := [call for call in calls if call.deadline > tick]:
                self._parked[device_id] = left
            for call in calls:
                if call.deadline <= tick:
                    self._fail(call, 404103, "Timed out waiting for device to connect.", now)
        for key in [key for key, call in self._sent.items() if call.deadline <= tick]:
            message = "Timed out waiting for the response from device."
            self._fail(self._sent.pop(key), 504101, message, now)

    def forget(self, device_id: str, now: float) -> None:
        """Give up all calls to a device that is deleted."""
        calls = self._parked.pop(device_id, [])
        calls += [self._sent.pop(key) for key in list(self._sent) if key[0] == device_id]
        for call in calls:
            self._fail(call, 404001, "The device was deleted.", now)

    def _fail(self, call: _Call, code: int, message: str, now: float) -> None:
        self._tell(MethodFailed(now, self._hub, call.device_id, call.name, code, message))
        call.done(ServiceError(code, message))


def _any_over(calls: Iterable[_Call], tick: float) -> bool:
    return any(call.deadline <= tick for call in calls)


def _body(call: MethodCall) -> bytes:
    if not isinstance(call.name, str) or not _NAME.fullmatch(call.name):
        raise ServiceError(400004, f"{str(call.name)[:80]!r} can not be a method's name")
    _check_timeout("response", call.response_timeout, RESPONSE_TIMEOUTS)
    _check_timeout("connect", call.connect_timeout, CONNECT_TIMEOUTS)
    try:
        body = json.dumps(call.payload, separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError):
        raise ServiceError(400004, "the method's payload is not JSON") from None
    if len(body) > LARGEST:
        raise ServiceError(413001, f"the method's payload exceeds {LARGEST} bytes")
    return body


def _check_timeout(which: str, seconds: object, allowed: range) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds not in allowed:
        least, most = allowed[0], allowed[-1]
        raise ServiceError(400004, f"the {which} time-out must be {least} to {most} seconds")
