"""Packets: what an MQTT 3.1.1 connection carries once it stands, both directions.

Owns the packets' fields, to bytes and back, every "MUST" on the way checked, and the table of all
packets. Doesn't own the stream (framing.py), CONNECT (connect.py) or SUBSCRIBE (subscribe.py).
QoS 2 has no packets here: neither DPS nor IoT Hub speaks it.
Source: MQTT 3.1.1, section 3.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol, Self

from host_tools.emulator.mqtt import framing
from host_tools.emulator.mqtt.connect import Connack, Connect
from host_tools.emulator.mqtt.fields import Fields, text, uint16
from host_tools.emulator.mqtt.framing import ProtocolError, frame
from host_tools.emulator.mqtt.subscribe import Suback, Subscribe, Unsubscribe


class Packet(Protocol):
    """What every packet can do; the class method `parse` is the opposite."""

    def encode(self) -> bytes:
        """Return the packet's bytes."""
        ...


class Publish(NamedTuple):
    """A message; a plain tuple, as thousands a second go by."""

    topic: str
    payload: bytes
    qos: int = 0
    packet_id: int = 0  # 1 to 65535 if qos > 0
    retain: bool = False
    dup: bool = False

    # topic, packet ID if QoS > 0 | payload
    @classmethod
    def parse(cls, first: int, body: bytes) -> Self:
        """Return the packet in body."""
        size = len(body)
        end = 2 + (body[0] << 8 | body[1]) if size > 1 else size + 1
        qos = first >> 1 & 3
        start = end + 2 if qos else end
        if start > size:
            raise ProtocolError("PUBLISH ends too early")
        try:
            topic = body[2:end].decode()
        except UnicodeDecodeError:
            raise ProtocolError("topic is not UTF-8") from None
        if not topic or "\0" in topic or "+" in topic or "#" in topic:
            raise ProtocolError("PUBLISH to a topic that can not be one")
        packet_id = 0
        if qos:
            packet_id = body[end] << 8 | body[end + 1]
            if not packet_id:
                raise ProtocolError("packet ID is 0")
        # past NamedTuple's own __new__, which is written in Python
        return tuple.__new__(
            cls, (topic, body[start:], qos, packet_id, first & 1 == 1, first & 8 == 8)
        )

    def encode(self) -> bytes:
        """Return the packet's bytes."""
        first = framing.PUBLISH | self.dup << 3 | self.qos << 1 | self.retain
        packet_id = uint16(self.packet_id) if self.qos else b""
        return frame(first, text(self.topic) + packet_id + self.payload)


@dataclass(frozen=True, slots=True)
class _Acknowledgement:
    """A packet ID and nothing else."""

    packet_id: int
    FIRST: ClassVar[int]

    @classmethod
    def parse(cls, first: int, body: bytes) -> Self:
        """Return the packet in body."""
        fields = Fields(body)
        packet_id = fields.packet_id()
        fields.end()
        return cls(packet_id)

    def encode(self) -> bytes:
        """Return the packet's bytes."""
        return frame(self.FIRST, uint16(self.packet_id))


class Puback(_Acknowledgement):
    """The answer to a PUBLISH of QoS 1."""

    FIRST = framing.PUBACK


class Unsuback(_Acknowledgement):
    """The answer to UNSUBSCRIBE."""

    FIRST = framing.UNSUBACK


@dataclass(frozen=True, slots=True)
class _Bare:
    """A packet of two bytes."""

    FIRST: ClassVar[int]

    @classmethod
    def parse(cls, first: int, body: bytes) -> Self:
        """Return the packet in body."""
        Fields(body).end()
        return cls()

    def encode(self) -> bytes:
        """Return the packet's bytes."""
        return frame(self.FIRST, b"")


class Pingreq(_Bare):
    """Are you there?"""

    FIRST = framing.PINGREQ


class Pingresp(_Bare):
    """I am."""

    FIRST = framing.PINGRESP


class Disconnect(_Bare):
    """The client leaves, and means it."""

    FIRST = framing.DISCONNECT


_PACKETS: dict[int, Callable[[int, bytes], Packet]] = {
    framing.CONNECT: Connect.parse,
    framing.CONNACK: Connack.parse,
    framing.PUBLISH: Publish.parse,
    framing.PUBACK: Puback.parse,
    framing.SUBSCRIBE: Subscribe.parse,
    framing.SUBACK: Suback.parse,
    framing.UNSUBSCRIBE: Unsubscribe.parse,
    framing.UNSUBACK: Unsuback.parse,
    framing.PINGREQ: Pingreq.parse,
    framing.PINGRESP: Pingresp.parse,
    framing.DISCONNECT: Disconnect.parse,
}


def parse(first: int, body: bytes) -> Packet:
    """Return the packet that Framer.feed() gave in two parts; raise ProtocolError."""
    kind = framing.PUBLISH if first & 0xF0 == framing.PUBLISH else first
    return _PACKETS[kind](first, body)
