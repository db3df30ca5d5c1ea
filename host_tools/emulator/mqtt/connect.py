"""CONNECT and CONNACK: how an MQTT connection begins.

Owns the two packets, fields to bytes and back, with every "MUST" of theirs. Doesn't own who is
let in: that is the services'.
Source: MQTT 3.1.1, sections 3.1 and 3.2.
"""

from dataclasses import dataclass, field
from typing import NamedTuple, Self

from host_tools.emulator.mqtt import framing
from host_tools.emulator.mqtt.fields import Fields, binary, text, uint16
from host_tools.emulator.mqtt.framing import ProtocolError, frame

LEVEL = 4  # what CONNECT calls version 3.1.1
# CONNACK return codes
ACCEPTED, BAD_PROTOCOL, BAD_CLIENT_ID, UNAVAILABLE, BAD_CREDENTIALS, NOT_AUTHORIZED = range(6)


class Will(NamedTuple):
    """What the server is to publish should the connection break."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Connect:
    """The first packet of a connection; its password never shows."""

    client_id: str
    username: str | None = None
    password: bytes | None = field(default=None, repr=False)
    keep_alive: int = 60
    clean: bool = True
    will: Will | None = None
    level: int = LEVEL

    # protocol name, level, flags, keep-alive | client ID, will topic, will message, user, password
    @classmethod
    def parse(cls, first: int, body: bytes) -> Self:
        """Return the packet in body."""
        fields = Fields(body)
        name, level = fields.text(), fields.byte()
        if name == "MQIsdp":  # MQTT 3.1; paho tries it after a refusal, and deserves an answer
            return cls("", level=3)
        if name != "MQTT":
            raise ProtocolError("CONNECT names another protocol than MQTT")
        if level != LEVEL:  # what follows is laid out otherwise; the answer is BAD_PROTOCOL
            return cls("", level=level)
        flags, keep_alive = fields.byte(), fields.uint16()
        _check(flags)
        client_id = fields.text()
        will = None
        if flags & 0x04:
            will = Will(fields.topic(), fields.binary(), flags >> 3 & 3, bool(flags & 0x20))
        username = fields.text() if flags & 0x80 else None
        password = fields.binary() if flags & 0x40 else None
        fields.end()
        return cls(client_id, username, password, keep_alive, bool(flags & 2), will)

    def encode(self) -> bytes:
        """Return the packet's bytes."""
        flags, rest = self.clean << 1, text(self.client_id)
        if self.will is not None:
            flags |= 0x04 | self.will.qos << 3 | self.will.retain << 5
            rest += text(self.will.topic) + binary(self.will.payload)
        if self.username is not None:
            flags |= 0x80
            rest += text(self.username)
        if self.password is not None:
            flags |= 0x40
            rest += binary(self.password)
        head = text("MQTT") + bytes((self.level, flags)) + uint16(self.keep_alive)
        return frame(framing.CONNECT, head + rest)


# user name 80, password 40, will retain 20, will QoS 18, will 04, clean session 02, reserved 01
def _check(flags: int) -> None:
    if flags & 0x01:
        raise ProtocolError("CONNECT with its reserved flag set")
    if flags & 0x18 == 0x18 or (flags & 0x38 and not flags & 0x04):
        raise ProtocolError("CONNECT with will flags that make no sense")
    if flags & 0xC0 == 0x40:
        raise ProtocolError("CONNECT with a password but no user name")


@dataclass(frozen=True, slots=True)
class Connack:
    """The server's answer to CONNECT."""

    code: int
    session_present: bool = False

    # acknowledge flags, return code
    @classmethod
    def parse(cls, first: int, body: bytes) -> Self:
        """Return the packet in body."""
        if len(body) != 2 or body[0] > 1 or body[1] > 5 or (body[0] and body[1]):
            raise ProtocolError("CONNACK is malformed")
        return cls(body[1], bool(body[0]))

    def encode(self) -> bytes:
        """Return the packet's bytes."""
        return bytes((framing.CONNACK, 2, self.session_present, self.code))
