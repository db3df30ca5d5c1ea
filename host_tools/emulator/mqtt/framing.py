"""Framing: a stream of bytes to MQTT control packets, whole and checked, one by one.

Owns the fixed header: packet type, reserved flags, remaining length, the size limit. Doesn't own
what stands in a packet's body: that is packets.py.
Source: MQTT 3.1.1, section 2.2.
"""

from collections.abc import Iterator

CONNECT, CONNACK, PUBLISH, PUBACK = 0x10, 0x20, 0x30, 0x40
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 0x82, 0x90, 0xA2, 0xB0
PINGREQ, PINGRESP, DISCONNECT = 0xC0, 0xD0, 0xE0

LARGEST = 268_435_455  # what four length bytes can say

# PUBLISH carries flags: retain; QoS 0, 1 or 2, never 3; DUP, not with QoS 0 (MQTT-3.3.1-2)
_PUBLISHES = {PUBLISH | flags for flags in range(16) if flags & 6 != 6 and flags not in (8, 9)}
_FIRST_BYTES = frozenset(_PUBLISHES) | {
    CONNECT, CONNACK, PUBACK, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP,
    DISCONNECT,
}  # fmt: skip


class ProtocolError(Exception):
    """The peer sent something that is not MQTT 3.1.1; the text says what, without its bytes."""


class Framer:
    """Collect bytes in chunks of any size; give back packets as (first byte, body)."""

    def __init__(self, limit: int = LARGEST) -> None:
        """limit: the largest remaining length that is taken, in bytes."""
        self.limit = limit
        self._rest = bytearray()
        self._needed = 2  # bytes before looking at the rest is worth while

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield each packet that data completes; raise ProtocolError at the first bad one."""
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data = bytes(self._rest)
            self._rest.clear()
        at, end = 0, len(data)
        while at < end:
            length, start = self._header(data, at, end)
            stop = start + length
            if not start or stop > end:
                self._rest += data[at:]
                self._needed = stop - at if start else end - at + 1
                return
            yield data[at], data[start:stop]
            at = stop

    def _header(self, data: bytes, at: int, end: int) -> tuple[int, int]:
        """Return (remaining length, where the body starts), (0, 0) if more bytes are needed."""
        if data[at] not in _FIRST_BYTES:
            raise ProtocolError(f"no packet begins with byte {data[at]:#04x}")
        length, place = 0, at + 1
        while True:
            if place == end:
                return 0, 0
            byte = data[place]
            length |= (byte & 127) << 7 * (place - at - 1)
            place += 1
            if byte < 128:
                break
            if place - at == 5:
                raise ProtocolError("remaining length has more than four bytes")
        if length > self.limit:
            raise ProtocolError(f"packet of {length} bytes, at most {self.limit} are taken")
        return length, place


def frame(first: int, body: bytes) -> bytes:
    """Return one control packet."""
    return bytes((first,)) + _length(len(body)) + body


def _length(number: int) -> bytes:
    if number > LARGEST:
        raise ValueError(f"a packet of {number} bytes can not be sent")
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
