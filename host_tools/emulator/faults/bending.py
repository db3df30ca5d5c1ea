"""Bending: one MQTT packet made into what no decent server sends.

Owns the bytes of every such packet. Doesn't own when one is sent: wire.py.
Source: MQTT 3.1.1, sections 2.2 and 3.3.
"""

from collections.abc import Callable, Iterator

from host_tools.emulator.faults.action import Kind
from host_tools.emulator.faults.faults import Trouble
from host_tools.emulator.mqtt import framing
from host_tools.emulator.mqtt.framing import frame

_TOPIC_NOT_UTF_8 = b"\x00\x02\xff\xfe"


# first byte | remaining length, 1 to 4 bytes | body
def packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the whole packets in data, each as first byte and body."""
    at = 0
    while at < len(data):
        length, start = 0, at + 1
        while True:
            length |= (data[start] & 127) << 7 * (start - at - 1)
            start += 1
            if data[start - 1] < 128:
                break
        yield data[at], data[start : start + length]
        at = start + length


def key(first: int, body: bytes) -> tuple[int, bytes]:
    """Return what tells a packet from others of its kind: its packet ID, or a PUBLISH's topic."""
    if first & 0xF0 == framing.PUBLISH:
        return framing.PUBLISH, body[2 : 2 + int.from_bytes(body[:2], "big")]
    if first in (framing.CONNACK, framing.PINGRESP):
        return first, b""
    return first, body[:2]


def bent(first: int, body: bytes, trouble: Trouble) -> bytes:
    """Return the packet as a rule wants it."""
    return _BENT[trouble.action.kind](first, body, trouble)


def _half(first: int, body: bytes, trouble: Trouble) -> bytes:
    whole = frame(first, body)
    return whole[: max(len(whole) // 2, 1)]


# JSON bears blanks at its end
def _padded(first: int, body: bytes, trouble: Trouble) -> bytes:
    filler = b" " if first & 0xF0 == framing.PUBLISH else b"\x00"
    missing = trouble.action.size - len(frame(first, body))
    padded = body + filler * max(missing, 0)
    # the length may take a byte or two more by now
    excess = len(frame(first, padded)) - trouble.action.size
    return frame(first, padded[: max(len(padded) - max(excess, 0), len(body))])


def _overlong(first: int, body: bytes, trouble: Trouble) -> bytes:
    return bytes((first, 0xFF, 0xFF, 0xFF, 0x7F)) + body


def _malformed(first: int, body: bytes, trouble: Trouble) -> bytes:
    return DEFECTS[trouble.lot // 100_000 % len(DEFECTS)](first, body)


def _refused(first: int, body: bytes, trouble: Trouble) -> bytes:
    return frame(first, body[:2] + b"\x80" * (len(body) - 2))


def _session_present(first: int, body: bytes, trouble: Trouble) -> bytes:
    return frame(first, b"\x01" + body[1:])


_BENT: dict[Kind, Callable[[int, bytes, Trouble], bytes]] = {
    Kind.TRUNCATED: _half,
    Kind.OVERSIZED: _padded,
    Kind.OVERLONG: _overlong,
    Kind.MALFORMED: _malformed,
    Kind.SUBACK: _refused,
    Kind.SESSION_PRESENT: _session_present,
}
BENDING = frozenset(_BENT)

DEFECTS: tuple[Callable[[int, bytes], bytes], ...] = (
    lambda first, body: frame(0xF0, body),  # packet type 15
    lambda first, body: frame(0x36, body),  # PUBLISH with QoS 3
    lambda first, body: bytes((first, 0x80, 0x80, 0x80, 0x80, 0x01)) + body,  # a fifth length byte
    lambda first, body: frame(0x30, b"\xff\xff" + body[2:]),  # a topic longer than its packet
    lambda first, body: frame(0x30, _TOPIC_NOT_UTF_8 + body),
)
