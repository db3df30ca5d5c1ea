"""Message: what a link carries, sections to fields and back.

Owns the sections. Doesn't own what IoT Hub makes of them (devicebound.py, feedback.py, cbs.py).
Source: OASIS AMQP 1.0, part 3 (messaging), section 3.2.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from host_tools.emulator.amqp.composite import Composite
from host_tools.emulator.amqp.decoding import decode
from host_tools.emulator.amqp.encoding import binary as encode_binary
from host_tools.emulator.amqp.encoding import described, encode
from host_tools.emulator.amqp.errors import NOT_IMPLEMENTED, MessageRefused, Violation, malformed
from host_tools.emulator.amqp.kinds import (
    ANY,
    BINARY,
    MESSAGE_ID,
    STRING,
    TEXT,
    TIMESTAMP,
    UINT,
    Kind,
)
from host_tools.emulator.amqp.values import Described, Symbol

_HEADER, _ANNOTATIONS, _PROPERTIES, _APPLICATION = 0x70, 0x72, 0x73, 0x74
_DATA, _SEQUENCE, _VALUE = 0x75, 0x76, 0x77
_SYMBOLS = {
    Symbol("amqp:header:list"): _HEADER,
    Symbol("amqp:delivery-annotations:map"): 0x71,
    Symbol("amqp:message-annotations:map"): _ANNOTATIONS,
    Symbol("amqp:properties:list"): _PROPERTIES,
    Symbol("amqp:application-properties:map"): _APPLICATION,
    Symbol("amqp:data:binary"): _DATA,
    Symbol("amqp:amqp-sequence:list"): _SEQUENCE,
    Symbol("amqp:amqp-value:*"): _VALUE,
    Symbol("amqp:footer:map"): 0x78,
}
_UNREAD = (_HEADER, 0x71, 0x78)  # header, delivery annotations, footer: nothing here needs them


@dataclass(frozen=True, slots=True)
class Properties(Composite):
    """What every receiver understands (3.2.4)."""

    CODE: ClassVar[int] = _PROPERTIES
    NAME: ClassVar[str] = "amqp:properties:list"
    KINDS: ClassVar[tuple[Kind, ...]] = (
        MESSAGE_ID, BINARY, ANY, STRING, ANY, MESSAGE_ID, TEXT, TEXT, TIMESTAMP, TIMESTAMP,
        STRING, UINT, STRING,
    )  # fmt: skip

    message_id: Any = None
    user_id: bytes | None = None
    to: Any = None
    subject: str | None = None
    reply_to: Any = None
    correlation_id: Any = None
    content_type: str | None = None
    content_encoding: str | None = None
    absolute_expiry_time: int | None = None  # milliseconds since 1970
    creation_time: int | None = None
    group_id: str | None = None
    group_sequence: int | None = None
    reply_to_group_id: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message; its body is bytes, or another value where it is not data. It never shows."""

    properties: Properties = field(default_factory=Properties)
    application: dict[str, Any] = field(default_factory=dict, repr=False)
    annotations: dict[Any, Any] = field(default_factory=dict, repr=False)
    body: Any = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """Return the bytes; a body of bytes is data, any other a value."""
        parts = [self.properties.encode()]
        if self.annotations:
            parts.insert(0, described(_ANNOTATIONS, encode(self.annotations)))
        if self.application:
            parts.append(described(_APPLICATION, encode(self.application)))
        if isinstance(self.body, bytes):
            parts.append(described(_DATA, encode_binary(self.body)))
        else:
            parts.append(described(_VALUE, encode(self.body)))
        return b"".join(parts)


def parse(data: bytes) -> Message:
    """Return the message of a delivery; raise MessageRefused."""
    try:
        return _parse(data)
    except Violation as error:
        raise MessageRefused(error.condition, error.description) from None


# [header] [delivery annotations] [message annotations] [properties] [application properties]
# data, data, ... or one value | [footer]
def _parse(data: bytes) -> Message:
    found: dict[int, Any] = {}
    for code, value in _sections(data):
        if code == _DATA and isinstance(value, bytes):
            value = found.pop(_DATA, b"") + value
        if code in found:
            raise malformed("a message has a section twice")
        found[code] = value
    if _SEQUENCE in found:
        raise MessageRefused(NOT_IMPLEMENTED, "a body of sequences is not taken: send data")
    return Message(
        Properties.parse(found.get(_PROPERTIES, [])),
        _map(found.get(_APPLICATION, {}), str),
        _map(found.get(_ANNOTATIONS, {}), object),
        found.get(_DATA, found.get(_VALUE, b"")),
    )


def _sections(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        section, at = decode(data, at)
        if not isinstance(section, Described):
            raise malformed("a message is made of something else than sections")
        code = section.descriptor
        code = _SYMBOLS.get(code) if isinstance(code, Symbol) else code
        if not isinstance(code, int) or not _HEADER <= code <= 0x78:
            raise malformed("a message has a section that AMQP 1.0 does not know")
        if code not in _UNREAD:
            yield code, section.value


def _map(value: Any, keys: type) -> dict[Any, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, keys) for key in value):
        raise malformed("the properties or annotations of a message are not a map by name")
    return value
