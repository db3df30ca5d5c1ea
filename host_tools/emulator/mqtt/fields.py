"""Fields: the bytes, numbers and texts of which MQTT packets are made.

Owns reading and writing one field at a time, with MQTT's rules for it (UTF-8 without U+0000,
packet IDs that are not 0). Doesn't own which fields a packet has.
Source: MQTT 3.1.1, section 1.5.
"""

from host_tools.emulator.mqtt.framing import ProtocolError


class Fields:
    """A cursor over a packet's body; raises ProtocolError where it ends too early or late."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def byte(self) -> int:
        """Return the next byte."""
        return self._take(1)[0]

    def uint16(self) -> int:
        """Return the next two bytes as a number."""
        at = self._at
        self._at = at + 2
        if self._at > len(self._body):
            raise ProtocolError("a packet ends too early")
        return self._body[at] << 8 | self._body[at + 1]

    def packet_id(self) -> int:
        """Return a number that is not 0."""
        number = self.uint16()
        if not number:
            raise ProtocolError("packet ID is 0")
        return number

    def qos(self) -> int:
        """Return 0, 1 or 2."""
        number = self.byte()
        if number > 2:
            raise ProtocolError(f"no QoS has number {number}")
        return number

    # length (2 bytes), bytes
    def binary(self) -> bytes:
        """Return bytes that their length precedes."""
        return self._take(self.uint16())

    def text(self) -> str:
        """Return UTF-8 text that its length precedes."""
        try:
            decoded = self.binary().decode()
        except UnicodeDecodeError:
            raise ProtocolError("a text is not UTF-8") from None
        if "\0" in decoded:
            raise ProtocolError("a text holds U+0000")
        return decoded

    def topic(self) -> str:
        """Return a topic to publish to: at least one character, no wild cards."""
        topic = self.text()
        if not topic or "+" in topic or "#" in topic:
            raise ProtocolError("a topic is empty or holds a wild card")
        return topic

    def topic_filter(self) -> str:
        """Return a topic filter: + and # only as whole levels, # only as the last."""
        name = self.text()
        levels = name.split("/")
        wild = [level for level in levels if "#" in level or "+" in level]
        if not name or not {*wild} <= {"#", "+"} or "#" in levels[:-1]:
            raise ProtocolError("a topic filter is malformed")
        return name

    def more(self) -> bool:
        """Tell whether anything is left."""
        return self._at < len(self._body)

    def remaining(self) -> bytes:
        """Return what is left."""
        return self._take(len(self._body) - self._at)

    def end(self) -> None:
        """Raise ProtocolError if anything is left."""
        if self.more():
            raise ProtocolError(f"{len(self._body) - self._at} bytes too many in a packet")

    def _take(self, count: int) -> bytes:
        start, self._at = self._at, self._at + count
        if self._at > len(self._body):
            raise ProtocolError("a packet ends too early")
        return self._body[start : self._at]


def uint16(number: int) -> bytes:
    """Return a number as two bytes."""
    return number.to_bytes(2, "big")


def binary(data: bytes) -> bytes:
    """Return bytes with their length before them."""
    return uint16(len(data)) + data


def text(characters: str) -> bytes:
    """Return text as UTF-8 with its length before it."""
    return binary(characters.encode())
