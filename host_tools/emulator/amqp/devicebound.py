"""DeviceBound: the node /messages/devicebound, where messages for devices are sent to.

Owns what an AMQP message says in IoT Hub's terms. Doesn't own the device's queue (hub.py).
Source: "Create and read IoT Hub messages" (system properties by protocol); "Understand
cloud-to-device messaging from an IoT hub" (to, iothub-ack).
"""

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote
from uuid import UUID

from host_tools.emulator.amqp.door import Guest
from host_tools.emulator.amqp.errors import INVALID_FIELD, NOT_IMPLEMENTED, MessageRefused
from host_tools.emulator.amqp.message import Message
from host_tools.emulator.amqp.refusals import ARGUMENT_ERROR, refused
from host_tools.emulator.amqp.values import Timestamp
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.hub.messages import ACKS, LARGEST, CloudMessage

ADDRESS = "messages/devicebound"
_ACK = "iothub-ack"
_ENVELOPE = 16 * 1024  # bytes for properties and all that AMQP puts around a body
# [amqps://{host}]/devices/{device ID, percent-encoded}/messages/devicebound
_TO = re.compile(r"(?:[a-z]+://[^/]*)?/?devices/([^/]+)/messages/devicebound", re.IGNORECASE)


class DeviceBound:
    """The sink for messages to the devices of one hub."""

    largest = LARGEST + _ENVELOPE

    def __init__(self, guest: Guest) -> None:
        self._guest = guest

    def take(self, message: Message, now: float) -> None:
        """Queue a message for the device that it is to; raise MessageRefused."""
        device_id = _device_id(message.properties.to)
        sent = cloud_message(message)
        try:
            self._guest.door.send(self._guest.known(), device_id, sent, now)
        except ServiceError as error:
            raise refused(error) from None


def cloud_message(message: Message) -> CloudMessage:
    """Return a message in IoT Hub's terms; raise MessageRefused."""
    said = message.properties
    application = {name: _text(name, value) for name, value in message.application.items()}
    ack = application.pop(_ACK, None) or "none"
    if ack not in ACKS:
        raise MessageRefused(ARGUMENT_ERROR, f"{_ACK} is none of {', '.join(ACKS)}")
    return CloudMessage(
        _body(message.body),
        message_id=_text("message-id", said.message_id) or "",
        correlation_id=_text("correlation-id", said.correlation_id) or "",
        user_id=_text("user-id", said.user_id) or "",
        content_type=said.content_type or "",
        content_encoding=said.content_encoding or "",
        ack=ack,
        expires=_time("absolute-expiry-time", said.absolute_expiry_time or 0).timestamp(),
        properties=application,
    )


# not as in a form: a + is a + in a device ID, and C# encodes it while Python does not
def _device_id(to: Any) -> str:
    match = _TO.fullmatch(to) if isinstance(to, str) else None
    if not match:
        raise MessageRefused(
            INVALID_FIELD, "properties.to is not /devices/{device ID}/messages/devicebound"
        )
    return unquote(match[1])


def _body(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    if body is None:
        return b""
    raise MessageRefused(
        NOT_IMPLEMENTED, "a body is taken as data, or as a string or binary value"
    )


# devices hear texts only: MQTT's property bag has nothing else
def _text(name: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Timestamp):
        return _time(name, value).isoformat(timespec="milliseconds")
    if isinstance(value, int | float | UUID):
        return str(value)
    try:
        return bytes.decode(value)
    except (TypeError, UnicodeDecodeError):
        raise MessageRefused(ARGUMENT_ERROR, f"{name[:80]} can not be put as a text") from None


# milliseconds since 1970
def _time(name: str, value: int) -> datetime:
    try:
        return datetime.fromtimestamp(value / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        raise MessageRefused(ARGUMENT_ERROR, f"{name[:80]} is no time in our calendar") from None
