"""Queues: the cloud-to-device messages of one hub, from the sender's call to their end.

Owns what is on its way to a device, how often a message goes out, expiry and feedback. Every
message is in the store before its sender hears "accepted", and until its end. Doesn't own who is
connected: lines are given.
Source: "Understand cloud-to-device messaging from an IoT hub".
"""

from collections import deque
from collections.abc import Callable, Iterable

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Event
from host_tools.emulator.hub import messages
from host_tools.emulator.hub.device import Device
from host_tools.emulator.hub.events import (
    FeedbackReady,
    MessageCompleted,
    MessageDeadLettered,
    MessageDelivered,
    MessageEvent,
    MessageExpired,
    MessagePurged,
    MessageSent,
)
from host_tools.emulator.hub.messages import CloudMessage, Feedback, Outcome
from host_tools.emulator.mqtt.peer import Message
from host_tools.emulator.store.database import Database
from host_tools.emulator.store.devices import DeviceTable
from host_tools.emulator.store.messages import MessageTable, Waiting

_PATIENCE = 60  # seconds to the next look at a store that failed
_MOST_FEEDBACK = 10_000  # records that wait for somebody to drain them; then the oldest go
_EVENTS: dict[Outcome, type[MessageEvent]] = {
    Outcome.SUCCESS: MessageCompleted,
    Outcome.EXPIRED: MessageExpired,
    Outcome.DELIVERY_COUNT_EXCEEDED: MessageDeadLettered,
    Outcome.PURGED: MessagePurged,
}


class Queues:
    """The queues of all devices of one hub; every method may raise StoreError."""

    def __init__(self, hub: str, database: Database, tell: Callable[[Event], None]) -> None:
        self._hub = hub
        self._tell = tell
        self._transaction = database.transaction
        self._messages = MessageTable(database)
        self._devices = DeviceTable(database)
        self._under_way: dict[str, set[int]] = {}  # numbers by device ID, not yet acknowledged
        self._feedback: deque[Feedback] = deque(maxlen=_MOST_FEEDBACK)
        self._maybe = self._messages.devices(hub)  # who may have messages: others need no look
        self._next_expiry = self._messages.next_expiry(
            hub, 0
        )  # what expired while nobody ran, too

    def add(self, device_id: str, message: CloudMessage, now: float) -> None:
        """Queue a message; ServiceError 400004, 403004, 413001."""
        messages.check(device_id, message)
        if self.count(device_id) >= messages.MOST_WAITING:
            raise ServiceError(403004, f"{messages.MOST_WAITING} messages wait for this device")
        waiting = self._messages.add(
            self._hub, device_id, message, now, message.expires or now + messages.LIFETIME
        )
        self._maybe.add(device_id)
        self._next_expiry = min(self._next_expiry, waiting.expires)
        self._tell(MessageSent(now, self._hub, device_id, waiting.number, message.message_id))

    def count(self, device_id: str) -> int:
        """Return how many messages wait for a device, those under way among them."""
        if device_id not in self._maybe:
            return 0
        return self._messages.count(self._hub, device_id)

    def deliver(self, device_id: str, qos: int, now: float) -> list[Message]:
        """Return what is to be sent to a device that hears with qos, the oldest first.

        With QoS 0 there is no acknowledgement: what goes out is completed.
        """
        due = self._due(device_id, now)
        if not due:
            return []
        with self._transaction():
            self._messages.delivering([one.number for one in due])
            if qos == 0:
                self._messages.delete([one.number for one in due])
        if qos:
            self._under_way.setdefault(device_id, set()).update(one.number for one in due)
        for one in due:
            message_id, deliveries = one.message.message_id, one.deliveries + 1
            self._tell(
                MessageDelivered(now, self._hub, device_id, one.number, message_id, deliveries)
            )
            if qos == 0:
                self._report(one, Outcome.SUCCESS, now)
        return [
            Message(messages.topic(device_id, one.message), one.message.body, qos, one.number)
            for one in due
        ]

    # in the order of arrival; the sweep takes those that have just expired
    def _due(self, device_id: str, now: float) -> list[Waiting]:
        under_way = self._under_way.get(device_id, ())
        waiting = [
            one for one in self._of(device_id) if one.number not in under_way and one.expires > now
        ]
        worn = [one for one in waiting if one.deliveries >= messages.MOST_DELIVERIES]
        self._end(worn, Outcome.DELIVERY_COUNT_EXCEEDED, now)
        return [one for one in waiting if one not in worn]

    def _of(self, device_id: str) -> list[Waiting]:
        if device_id not in self._maybe:
            return []
        waiting = self._messages.of(self._hub, device_id)
        if not waiting:
            self._maybe.discard(device_id)
        return waiting

    def acknowledged(self, device_id: str, number: int, now: float) -> None:
        """Complete a message that its device has."""
        under_way = self._under_way.get(device_id, set())
        under_way.discard(number)
        if not under_way:
            self._under_way.pop(device_id, None)
        message = self._messages.find(number)
        if message:  # nobody purged it meanwhile
            self._end([message], Outcome.SUCCESS, now)

    def released(self, device_id: str, now: float) -> None:
        """Put back what its device did not acknowledge before it went."""
        for number in sorted(self._under_way.pop(device_id, ())):
            message = self._messages.find(number)
            if message and message.deliveries >= messages.MOST_DELIVERIES:
                self._end([message], Outcome.DELIVERY_COUNT_EXCEEDED, now)
            elif message:
                self._next_expiry = min(self._next_expiry, message.expires)

    def purge(self, device_id: str, now: float) -> int:
        """Delete a device's queue; return how many messages it had."""
        waiting = self._of(device_id)
        self._end(waiting, Outcome.PURGED, now)
        self._under_way.pop(device_id, None)
        return len(waiting)

    def forget(self, device_id: str) -> None:
        """Delete the queue of a device that is deleted, of which nobody hears."""
        self._messages.delete([one.number for one in self._of(device_id)])
        self._under_way.pop(device_id, None)

    def expire(self, now: float) -> None:
        """Give up what waited too long; what is under way may still be acknowledged."""
        if now < self._next_expiry:
            return
        self._next_expiry = now + _PATIENCE  # should the store fail
        expired = [
            one
            for one in self._messages.expired(self._hub, now)
            if one.number not in self._under_way.get(one.device_id, ())
        ]
        self._end(expired, Outcome.EXPIRED, now)
        self._next_expiry = self._messages.next_expiry(self._hub, now)

    def drain_feedback(self, most: int) -> list[Feedback]:
        """Take the oldest feedback records."""
        return [self._feedback.popleft() for _ in range(min(most, len(self._feedback)))]

    def _end(self, ended: Iterable[Waiting], outcome: Outcome, now: float) -> None:
        ended = list(ended)
        if not ended:
            return
        self._messages.delete([one.number for one in ended])
        for one in ended:
            self._report(one, outcome, now)

    def _report(self, ended: Waiting, outcome: Outcome, now: float) -> None:
        device_id, message = ended.device_id, ended.message
        event = _EVENTS[outcome]
        self._tell(event(now, self._hub, device_id, ended.number, message.message_id))
        if not messages.wants_feedback(message.ack, outcome):
            return
        device = self._device(device_id)
        generation_id = device.generation_id if device else ""
        self._feedback.append(Feedback(now, message.message_id, device_id, generation_id, outcome))
        self._tell(FeedbackReady(now, self._hub, device_id, message.message_id, outcome.value))

    def _device(self, device_id: str) -> Device | None:
        return next(iter(self._devices.find(device_id, self._hub)), None)
