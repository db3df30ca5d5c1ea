"""Events of a hub: what happens to devices, twins, messages and methods.

Owns the words, as events.py does for what all services have in common. No key, no token; bodies
are left out, too: who needs them reads them where they go.
"""

from dataclasses import dataclass
from typing import ClassVar

from host_tools.emulator.events import Event, printable


@dataclass(frozen=True, slots=True)
class HubEvent(Event):
    """Something happened to one device of one hub."""

    hub: str
    device_id: str
    WORDS: ClassVar[str] = ""

    def line(self) -> str:
        """Return one line for a person."""
        return printable(f"{self.device_id} {self.WORDS}") + f" at {self.hub}"


@dataclass(frozen=True, slots=True)
class DeviceCreated(HubEvent):
    """A device came into the registry."""

    NAME = "device-created"
    WORDS = "was created"


@dataclass(frozen=True, slots=True)
class DeviceDeleted(HubEvent):
    """A device left the registry."""

    NAME = "device-deleted"
    WORDS = "was deleted"


@dataclass(frozen=True, slots=True)
class DeviceEnabled(HubEvent):
    """A device may connect again."""

    NAME = "device-enabled"
    WORDS = "was enabled"


@dataclass(frozen=True, slots=True)
class DeviceDisabled(HubEvent):
    """A device may not connect any more."""

    NAME = "device-disabled"
    WORDS = "was disabled"


@dataclass(frozen=True, slots=True)
class TwinChanged(HubEvent):
    """One section of a twin changed: "tags", "desired" or "reported"."""

    NAME = "twin-changed"
    section: str
    version: int  # of the section; of the twin for tags, which have none of their own

    def line(self) -> str:
        """Return one line for a person."""
        what = {"desired": "desired properties", "reported": "reported properties"}
        section = what.get(self.section, self.section)
        return f"{printable(self.device_id)}: {section} changed, version {self.version}"


@dataclass(frozen=True, slots=True)
class MessageEvent(HubEvent):
    """Something happened to a cloud-to-device message."""

    number: int  # the hub's own, in order of arrival
    message_id: str  # "" if the sender gave none

    def line(self) -> str:
        """Return one line for a person."""
        name = f" {self.message_id}" if self.message_id else ""
        return printable(f"{self.device_id}: message {self.number}{name} {self.WORDS}")


@dataclass(frozen=True, slots=True)
class MessageSent(MessageEvent):
    """A message came into a device's queue."""

    NAME = "message-sent"
    WORDS = "is queued"


@dataclass(frozen=True, slots=True)
class MessageDelivered(MessageEvent):
    """A message went out to its device, maybe not for the first time."""

    NAME = "message-delivered"
    WORDS = "went out"
    deliveries: int

    def line(self) -> str:
        """Return one line for a person."""
        again = f", time {self.deliveries}" if self.deliveries > 1 else ""
        return MessageEvent.line(self) + again


@dataclass(frozen=True, slots=True)
class MessageCompleted(MessageEvent):
    """A device acknowledged a message."""

    NAME = "message-completed"
    WORDS = "is completed"


@dataclass(frozen=True, slots=True)
class MessageExpired(MessageEvent):
    """A message was not delivered in time."""

    NAME = "message-expired"
    WORDS = "expired"


@dataclass(frozen=True, slots=True)
class MessageDeadLettered(MessageEvent):
    """A message went out as often as the hub tries, and was never acknowledged."""

    NAME = "message-dead-lettered"
    WORDS = "is given up: it was delivered too often and never acknowledged"


@dataclass(frozen=True, slots=True)
class MessagePurged(MessageEvent):
    """A message was deleted, by the service or as the device began a new session."""

    NAME = "message-purged"
    WORDS = "was deleted from the queue"


@dataclass(frozen=True, slots=True)
class FeedbackReady(HubEvent):
    """A feedback record waits for who drains them (Hub.drain_feedback)."""

    NAME = "feedback"
    message_id: str
    outcome: str

    def line(self) -> str:
        """Return one line for a person."""
        return printable(
            f"feedback on {self.device_id}'s message {self.message_id}: {self.outcome}"
        )


@dataclass(frozen=True, slots=True)
class MethodCalled(HubEvent):
    """A method's call went out to its device."""

    NAME = "method-called"
    method: str
    request_id: str

    def line(self) -> str:
        """Return one line for a person."""
        return printable(f"{self.device_id}: method {self.method} called")


@dataclass(frozen=True, slots=True)
class MethodAnswered(HubEvent):
    """A device answered a method's call."""

    NAME = "method-answered"
    method: str
    request_id: str
    status: int

    def line(self) -> str:
        """Return one line for a person."""
        return printable(f"{self.device_id}: method {self.method} answered with {self.status}")


@dataclass(frozen=True, slots=True)
class MethodFailed(HubEvent):
    """A method's call did not reach its device, or was not answered in time."""

    NAME = "method-failed"
    method: str
    code: int
    why: str

    def line(self) -> str:
        """Return one line for a person."""
        return printable(f"{self.device_id}: method {self.method} failed: {self.why}")
