"""Framing: a stream of bytes to AMQP's protocol headers and frames, whole and checked, one by one.

Owns their layout and the size limit. Doesn't own what stands in a frame (performatives.py,
sasl.py).
Source: OASIS AMQP 1.0, part 2 (transport), sections 2.2 and 2.3; part 5 (security), 5.3.
"""

from typing import NamedTuple

from host_tools.emulator.amqp.errors import FRAMING_ERROR, Violation

LARGEST = 64 * 1024  # bytes of a frame that is taken
SMALLEST = 512  # bytes that every peer must take (2.7.1)
AMQP, SASL = 0, 3  # protocols, in headers
AMQP_FRAME, SASL_FRAME = 0, 1  # types, in frames
HEARTBEAT = b"\0\0\0\x08\x02\0\0\0"  # a frame without a body (2.4.5)
_HEADER = 8  # bytes of a protocol header, and of what precedes a frame's body


class Header(NamedTuple):
    """The first bytes of a connection, or of its part behind SASL."""

    protocol: int
    version: bytes


class Frame(NamedTuple):
    """One frame; an empty body is a heartbeat."""

    kind: int
    channel: int
    body: bytes


class Framer:
    """Collect bytes in chunks of any size; give back what they make."""

    def __init__(self) -> None:
        self.header_next = True  # set again where one is due
        self._rest = bytearray()

    def feed(self, data: bytes) -> None:
        """Take bytes."""
        self._rest += data

    def take(self) -> Header | Frame | None:
        """Return what is next, None if it is not whole yet; raise Violation."""
        if len(self._rest) < _HEADER:
            return None
        return self._header() if self.header_next else self._frame()

    # "AMQP", protocol, major, minor, revision
    def _header(self) -> Header:
        if self._rest[:4] != b"AMQP":
            raise Violation(FRAMING_ERROR, "what it speaks is not AMQP")
        header = Header(self._rest[4], bytes(self._rest[5:_HEADER]))
        del self._rest[:_HEADER]
        self.header_next = False
        return header

    # size of all (4 bytes), where the body begins (in words of 4 bytes), type, channel (2 bytes)
    def _frame(self) -> Frame | None:
        size, start = int.from_bytes(self._rest[:4], "big"), 4 * self._rest[4]
        kind, channel = self._rest[5], int.from_bytes(self._rest[6:_HEADER], "big")
        if size > LARGEST:
            raise Violation(FRAMING_ERROR, f"frame of {size} bytes, at most {LARGEST} are taken")
        if not _HEADER <= start <= size:
            raise Violation(FRAMING_ERROR, "a frame's body begins outside of it")
        if kind not in (AMQP_FRAME, SASL_FRAME):
            raise Violation(FRAMING_ERROR, f"no frame has type {kind}")
        if size > len(self._rest):
            return None
        body = bytes(self._rest[start:size])
        del self._rest[:size]
        return Frame(kind, channel, body)


def header(protocol: int) -> bytes:
    """Return a protocol header of version 1.0.0."""
    return b"AMQP" + bytes((protocol, 1, 0, 0))


def frame(body: bytes, channel: int = 0, kind: int = AMQP_FRAME) -> bytes:
    """Return a frame."""
    head = (_HEADER + len(body)).to_bytes(4, "big") + bytes((2, kind))
    return head + channel.to_bytes(2, "big") + body
