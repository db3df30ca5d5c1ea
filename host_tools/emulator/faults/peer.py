"""FaultyPeer: a device at its service, with what goes wrong between the two.

Owns what a fault does to a question, an answer and what is sent unasked. Doesn't own bytes nor
the connection (wire.py), nor what a service answers when all is well: that is the peer inside.
"""

import json
from collections.abc import Callable, Hashable, Iterable
from typing import Protocol

from host_tools.emulator.dps.enrollment import fold
from host_tools.emulator.faults import answers, bending
from host_tools.emulator.faults import when as at
from host_tools.emulator.faults.action import Kind
from host_tools.emulator.faults.faults import Faults, Trouble
from host_tools.emulator.mqtt import framing
from host_tools.emulator.mqtt.packets import Publish
from host_tools.emulator.mqtt.peer import Hangup, Message, Peer

_ANSWERS = {at.DPS: "$dps/registrations/res/#", at.HUB: "$iothub/twin/res/#"}
# what a device publishes, by the begin of its topic
_DOINGS = (
    ("devices/", at.TELEMETRY),
    ("$dps/registrations/PUT/iotdps-register/", at.REGISTER),
    ("$dps/registrations/GET/iotdps-get-operationstatus/", at.POLL),
    ("$iothub/twin/GET/", at.TWIN_GET),
    ("$iothub/twin/PATCH/properties/reported/", at.TWIN_PATCH),
    ("$iothub/methods/res/", at.METHOD_ANSWER),
)
# what is sent to it unasked
_PUSHES = (
    ("$iothub/methods/POST/", at.METHOD),
    ("$iothub/twin/PATCH/properties/desired/", at.DESIRED),
    ("devices/", at.MESSAGE),
)


class Line(Protocol):
    """The connection, as a peer needs it."""

    faults: Faults
    service: str
    now: float

    def ask(self, operation: str, now: float) -> Trouble | None:
        """Return what goes wrong, if anything does."""

    def arm(self, kind: int, key: bytes, trouble: Trouble) -> None:
        """Let trouble befall the packet that is told by kind and key, once it is sent."""

    def strike(self, trouble: Trouble) -> None:
        """Let trouble befall the connection; raise Hangup if that is its end."""


class FaultyPeer(Peer):
    """The peer inside, as long as no rule applies."""

    def __init__(self, peer: Peer, line: Line) -> None:
        self.peer = peer
        self.service = peer.service
        self.device_id = peer.device_id
        self.api_version = peer.api_version
        self.largest = peer.largest
        self.session_present = peer.session_present
        self.key = peer.key
        self._faults = line.faults
        self._line = line
        self._granted: dict[str, int] = {}  # QoS by filter, of this connection

    @property
    def expiry(self) -> float:  # type: ignore[override]
        """Return when its token expires."""
        return self.peer.expiry

    @property
    def push(self) -> Callable[[Message], None]:
        """Return what sends to the device unasked."""
        return self._push

    @push.setter
    def push(self, push: Callable[[Message], None]) -> None:
        self._push = push
        self.peer.push = self._pushed

    @property
    def drop(self) -> Callable[[str, float], None]:
        """Return what ends the connection."""
        return self.peer.drop

    @drop.setter
    def drop(self, drop: Callable[[str, float], None]) -> None:
        self.peer.drop = drop

    def subscribe(self, topic_filter: str, qos: int) -> int:
        """Let the peer decide, and remember it."""
        granted = self._granted[topic_filter] = self.peer.subscribe(topic_filter, qos)
        return granted

    def unsubscribe(self, topic_filter: str) -> None:
        """Forget a filter."""
        self._granted.pop(topic_filter, None)
        self.peer.unsubscribe(topic_filter)

    def connected(self, now: float) -> Iterable[Message]:
        """Return what the device hears first, less what goes wrong with it."""
        messages = self.peer.connected(now)
        if not self._faults.active:
            return messages
        return [bent for message in messages for bent in self._on_its_way(message, now)]

    def subscribed(self, now: float) -> Iterable[Message]:
        """Return what the device hears behind SUBACK, less what goes wrong with it."""
        messages = self.peer.subscribed(now)
        if not self._faults.active:
            return messages
        return [bent for message in messages for bent in self._on_its_way(message, now)]

    def acknowledged(self, token: Hashable, now: float) -> None:
        """Pass it on."""
        self.peer.acknowledged(token, now)

    def left(self, now: float, orderly: bool) -> None:
        """Pass it on."""
        self.peer.left(now, orderly)

    def publish(self, message: Publish, now: float) -> Iterable[Message]:
        """Let the peer answer, unless a rule wants otherwise."""
        if not self._faults.active:
            return self.peer.publish(message, now)
        operation = _operation(message.topic, _DOINGS)
        trouble = self._line.ask(operation, now) if operation else None
        if trouble:
            return self._troubled(trouble, operation, message, now)
        return self.peer.publish(message, now)

    def _troubled(
        self, trouble: Trouble, operation: str, message: Publish, now: float
    ) -> Iterable[Message]:
        if trouble.action.kind is Kind.ERROR and operation not in at.QUESTIONS:
            raise Hangup(f"error {trouble.action.code}, as a rule wants")
        if trouble.action.kind is Kind.ERROR:
            return self._error(trouble, message.topic, now)
        if trouble.action.kind is Kind.STATUS:
            return self._status(trouble, message.topic, now)
        if trouble.action.kind is Kind.IGNORED:
            self._arm_puback(message, trouble)
            return ()
        self._line.strike(trouble)
        if trouble.action.kind is Kind.HALF_OPEN:
            return ()
        answered = list(self.peer.publish(message, now))
        if operation not in at.QUESTIONS:  # PUBACK is all the answer there is
            self._arm_puback(message, trouble)
            return answered
        return [bent for answer in answered for bent in self._bent(trouble, answer)]

    def _error(self, trouble: Trouble, question: str, now: float) -> Iterable[Message]:
        action, dps = trouble.action, self._line.service == at.DPS
        error = answers.service_error(action, dps)
        wait = error.retry_after if dps else action.retry_after
        body = answers.error_body(error, answers.guid(trouble.lot), now)
        topic = answers.topic(dps, error.status, question, wait)
        return self._answer(topic, b"" if action.empty else body)

    def _status(self, trouble: Trouble, question: str, now: float) -> Iterable[Message]:
        operation_id = answers.operation_id(question, trouble.lot)
        body = answers.state_body(
            trouble.action, fold(self.device_id), operation_id, answers.guid(trouble.lot), now
        )
        return self._answer(answers.topic(True, 200, question), body)

    # as the services do: DPS drops what nobody subscribed to, a hub answers all the same
    def _answer(self, topic: str, body: bytes) -> Iterable[Message]:
        granted = self._granted.get(_ANSWERS[self._line.service])
        if granted is None and self._line.service == at.DPS:
            return ()
        return (Message(topic, body, granted or 0),)

    def _arm_puback(self, message: Publish, trouble: Trouble) -> None:
        if message.qos:
            self._line.arm(framing.PUBACK, message.packet_id.to_bytes(2, "big"), trouble)

    def _bent(self, trouble: Trouble, message: Message) -> Iterable[Message]:
        action = trouble.action
        if trouble.silent:
            return ()
        if action.kind in bending.BENDING:
            self._line.arm(framing.PUBLISH, message.topic.encode(), trouble)
        elif action.kind is Kind.LATE:
            message = message._replace(delay=message.delay + action.seconds)
        elif action.kind is Kind.WRONG_RID:
            message = message._replace(topic=answers.with_other_rid(message.topic))
        elif action.kind is Kind.NO_RETRY_AFTER:
            message = message._replace(topic=answers.without_retry_after(message.topic))
        elif action.kind is Kind.EMPTY_BODY:
            message = message._replace(payload=b"")
        elif action.kind is Kind.QOS_0:
            message = message._replace(qos=0, token=None)
        return (message,)

    def _pushed(self, message: Message) -> None:
        if not self._faults.active:
            self._push(message)
            return
        now = self._line.now
        try:
            for bent in self._on_its_way(message, now):
                self._push(bent)
        except Hangup as end:
            self.drop(str(end), now)

    def _on_its_way(self, message: Message, now: float) -> Iterable[Message]:
        operation = _operation(message.topic, _PUSHES)
        trouble = self._line.ask(operation, now) if operation else None
        if not trouble:
            return (message,)
        self._line.strike(trouble)
        return self._bent(trouble, message)


class _FaultyDpsPeer(FaultyPeer):
    """The same at DPS, which tells a board the name it will have at its hub."""

    def publish(self, message: Publish, now: float) -> Iterable[Message]:
        """Answer, and take note of the name."""
        answered = list(super().publish(message, now))
        for answer in answered:
            if answer.topic.startswith("$dps/registrations/res/200/"):
                self._learn(answer.payload)
        return answered

    # {"registrationState":{"deviceId":"..."}}
    def _learn(self, body: bytes) -> None:
        state = json.loads(body).get("registrationState", {}) if body else {}
        if "deviceId" in state:
            self._faults.also(self.device_id, state["deviceId"])


def wrapped(peer: Peer, line: Line) -> FaultyPeer:
    """Return the peer with all that may go wrong."""
    return _FaultyDpsPeer(peer, line) if line.service == at.DPS else FaultyPeer(peer, line)


def _operation(topic: str, begins: Iterable[tuple[str, str]]) -> str:
    return next((operation for begin, operation in begins if topic.startswith(begin)), "")
