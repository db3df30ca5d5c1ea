"""SUBSCRIBE, SUBACK and UNSUBSCRIBE: what a client wants to hear.

Owns the three packets, fields to bytes and back, with every "MUST" of theirs. Doesn't own which
filters there are: that is the services'.
Source: MQTT 3.1.1, sections 3.8 to 3.10.
"""

from dataclasses import dataclass
from typing import Self

from host_tools.emulator.mqtt import framing
from host_tools.emulator.mqtt.fields import Fields, text, uint16
from host_tools.emulator.mqtt.framing import ProtocolError, frame


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Topic filters, each with the QoS that is asked for."""

    packet_id: int
    filters: tuple[tuple[str, int], ...]

    # packet ID | filter, QoS; filter, QoS; ...
    @classmethod
    def parse(cls, first: int, body: bytes) -> Self:
        """Return the packet in body."""
        fields = Fields(body)
        packet_id = fields.packet_id()
        filters: list[tuple[str, int]] = []
        while fields.more() or not filters:
            filters.append((fields.topic_filter(), fields.qos()))
        return cls(packet_id, tuple(filters))

    def encode(self) -> bytes:
        """Return the packet's bytes."""
        filters = b"".join(text(name) + bytes((qos,)) for name, qos in self.filters)
        return frame(framing.SUBSCRIBE, uint16(self.packet_id) + filters)


@dataclass(frozen=True, slots=True)
class Suback:
    """One granted QoS (or 0x80, refused) for each filter, in order."""

    packet_id: int
    codes: tuple[int, ...]

    # packet ID | code, code, ...
    @classmethod
    def parse(cls, first: int, body: bytes) -> Self:
        """Return the packet in body."""
        fields = Fields(body)
        packet_id, codes = fields.packet_id(), tuple(fields.remaining())
        if not codes or not set(codes) <= {0, 1, 2, 0x80}:
            raise ProtocolError("SUBACK is malformed")
        return cls(packet_id, codes)

    def encode(self) -> bytes:
        """Return the packet's bytes."""
        return frame(framing.SUBACK, uint16(self.packet_id) + bytes(self.codes))


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Topic filters that are no longer wanted."""

    packet_id: int
    filters: tuple[str, ...]

    # packet ID | filter, filter, ...
    @classmethod
    def parse(cls, first: int, body: bytes) -> Self:
        """Return the packet in body."""
        fields = Fields(body)
        packet_id = fields.packet_id()
        filters: list[str] = []
        while fields.more() or not filters:
            filters.append(fields.topic_filter())
        return cls(packet_id, tuple(filters))

    def encode(self) -> bytes:
        """Return the packet's bytes."""
        filters = b"".join(text(name) for name in self.filters)
        return frame(framing.UNSUBSCRIBE, uint16(self.packet_id) + filters)
