"""Cloud-to-device messages: what one holds, its property bag, and the feedback it may leave.

Owns the values, their limits and the text on the wire. Doesn't own the queue (queues.py) nor the
rows (store/messages.py).
Source: "Understand cloud-to-device messaging from an IoT hub"; "Create and read IoT Hub messages".
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import quote

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.timestamps import timestamp

ACKS = ("none", "full", "positive", "negative")
LIFETIME = 3600  # seconds a message waits that names no expiry
LARGEST = 64 * 1024  # bytes of body and properties
_LONGEST_TOPIC = 65535  # bytes that MQTT can carry
MOST_WAITING = 50  # a device
MOST_DELIVERIES = 10  # of one message


@dataclass(frozen=True, slots=True)
class CloudMessage:
    """A message for a device, as its sender made it."""

    body: bytes
    message_id: str = ""
    correlation_id: str = ""
    user_id: str = ""
    content_type: str = ""
    content_encoding: str = ""
    ack: str = "none"  # which feedback is wanted: see ACKS
    expires: float = 0  # seconds since 1970; 0: LIFETIME from now
    properties: dict[str, str | None] = field(default_factory=dict)  # the application's


class Outcome(Enum):
    """What became of a message, in the service's words for feedback."""

    SUCCESS = "Success"
    EXPIRED = "Expired"
    DELIVERY_COUNT_EXCEEDED = "DeliveryCountExceeded"
    PURGED = "Purged"


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a sender is told that asked for it."""

    time: float
    message_id: str
    device_id: str
    generation_id: str
    outcome: Outcome


def wants_feedback(ack: str, outcome: Outcome) -> bool:
    """Tell whether a sender who asked for ack is to hear of outcome."""
    return ack == "full" or ack == ("positive" if outcome is Outcome.SUCCESS else "negative")


def check(device_id: str, message: CloudMessage) -> None:
    """Raise ServiceError unless message can be queued and brought to the device."""
    if message.ack not in ACKS:
        raise ServiceError(400004, f"the ack {message.ack[:40]!r} is none of {', '.join(ACKS)}")
    try:
        size = len(message.body) + sum(len(text.encode()) for text in _texts(message))
        longest = len(topic(device_id, message))
    except UnicodeEncodeError:
        raise ServiceError(400004, "a property is not Unicode text") from None
    if size > LARGEST or longest > _LONGEST_TOPIC:
        raise ServiceError(413001, f"the message exceeds {LARGEST} bytes")


def _texts(message: CloudMessage) -> Iterator[str]:
    yield from (message.message_id, message.correlation_id, message.user_id)
    yield from (message.content_type, message.content_encoding)
    for name, value in message.properties.items():
        yield name
        yield value or ""


# devices/{device ID}/messages/devicebound/{property bag}
def topic(device_id: str, message: CloudMessage) -> str:
    """Return the topic that brings a message to its device."""
    return f"devices/{device_id}/messages/devicebound/{property_bag(device_id, message)}"


# %24.mid={id}&%24.to=%2Fdevices%2F{id}%2Fmessages%2FdeviceBound&...&{name}={value}&{name}
def property_bag(device_id: str, message: CloudMessage) -> str:
    """Return a message's properties as text, the system's before the application's."""
    pairs = [(name, value) for name, value in _system(device_id, message) if value]
    return "&".join(_pair(name, value) for name, value in [*pairs, *message.properties.items()])


def _system(device_id: str, message: CloudMessage) -> Iterator[tuple[str, str | None]]:
    yield "$.mid", message.message_id
    yield "$.to", f"/devices/{device_id}/messages/deviceBound"
    yield "$.cid", message.correlation_id
    yield "$.uid", message.user_id
    yield "$.ct", message.content_type
    yield "$.ce", message.content_encoding
    yield "$.exp", timestamp(message.expires) if message.expires else ""
    yield "iothub-ack", message.ack if message.ack != "none" else ""


# both sides percent-encoded; None gives the bare name
def _pair(name: str, value: str | None) -> str:
    name = quote(name, safe="")
    return name if value is None else f"{name}={quote(value, safe='')}"
