"""Session: one MQTT connection to the cloud, without a socket.

Owns the order of things: CONNECT first, then what the service allows, PUBACK before the
service's answer, keep-alive, the end. Bytes come in by receive() and go out by `send`. Doesn't
own what topics mean: that is the peer's service.

Time is an argument: `now` in seconds since 1970, for tokens and events, and `tick` in seconds of
a clock that nobody sets, for every wait.
"""

from collections.abc import Callable
from typing import Protocol

from host_tools.emulator import framing
from host_tools.emulator.connect import ACCEPTED, Connack, Connect
from host_tools.emulator.framing import Framer, ProtocolError
from host_tools.emulator.packets import (
    Disconnect,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Unsuback,
    parse,
)
from host_tools.emulator.peer import Hangup, Message, Peer
from host_tools.emulator.subscribe import Suback, Subscribe, Unsubscribe

PATIENCE = 30  # seconds from the connection to its CONNECT
LONGEST_SILENCE = 1767  # seconds that a hub waits at most for a device with keep-alive
_LARGEST_CONNECT = 64 * 1024  # bytes that are taken from someone yet unknown

_PINGRESP = Pingresp().encode()


class ConnectRefused(Exception):
    """CONNECT is answered with a return code other than 0."""

    def __init__(self, code: int) -> None:
        super().__init__(f"CONNECT was refused with code {code}")
        self.code = code


class Door(Protocol):
    """Where sessions come in; the cloud as they see it."""

    def admit(self, connect: Connect, session: "Session", now: float) -> Peer:
        """Return the peer that may come in, an older one with its key gone; ConnectRefused."""

    def leave(self, session: "Session", peer: Peer | None, why: str, now: float) -> None:
        """Note that a session ended."""


class Session:
    """One connection, from its first byte to its end."""

    def __init__(
        self,
        door: Door,
        send: Callable[[bytes], object],
        hang_up: Callable[[], object],
        tick: float,
        address: str = "",
    ) -> None:
        """send: takes bytes for the device; hang_up: ends the connection after them."""
        self.address = address
        self.closed = False
        self._door = door
        self._send = send
        self._hang_up = hang_up
        self._framer = Framer(_LARGEST_CONNECT)
        self._peer: Peer | None = None
        self._out: list[bytes] = []
        self._packet_id = 0
        self._heard = tick
        self._silence: float = PATIENCE

    def receive(self, data: bytes, now: float, tick: float) -> None:
        """Take bytes from the device, in chunks of any size."""
        if self.closed:
            return
        try:
            for first, body in self._framer.feed(data):
                if self.closed:
                    return
                self._take(first, body, now)
        except ConnectRefused as refused:
            self._out.append(Connack(refused.code).encode())
            self._end()
        except (ProtocolError, Hangup) as error:
            self.close(str(error), now)
        if self._peer:  # who has not said CONNECT gains no time by bytes
            self._heard = tick
        self._flush()

    def expire(self, now: float, tick: float) -> None:
        """Close if the time for something is over."""
        if self.closed:
            return
        if self._peer and now >= self._peer.expiry:
            self.close("its token expired", now)
        elif tick < self._heard + self._silence:
            return
        elif self._peer:
            self.close("it was silent for 1.5 times its keep-alive", now)
        else:
            self.close(f"it sent no CONNECT in {PATIENCE} s", now)

    def close(self, why: str, now: float, orderly: bool = False) -> None:
        """End the connection, from whichever side; why is told to the operator."""
        if self.closed:
            return
        self._end()
        if self._peer:
            self._peer.left(now, orderly)
        self._door.leave(self, self._peer, why, now)

    def _end(self) -> None:
        self.closed = True
        self._flush()
        self._hang_up()

    def _take(self, first: int, body: bytes, now: float) -> None:
        if first & 0xF0 == framing.PUBLISH and self._peer:
            self._published(self._peer, Publish.parse(first, body), now)
            return
        packet = parse(first, body)
        if isinstance(packet, Connect) and not self._peer:
            self._connected(packet, now)
        elif not self._peer:
            raise ProtocolError("its first packet is not CONNECT")
        elif isinstance(packet, Connect):
            raise ProtocolError("it sent a second CONNECT")
        elif isinstance(packet, Subscribe):
            granted = [self._peer.subscribe(*asked) for asked in packet.filters]
            self._out.append(Suback(packet.packet_id, tuple(granted)).encode())
        elif isinstance(packet, Unsubscribe):
            for topic_filter in packet.filters:
                self._peer.unsubscribe(topic_filter)
            self._out.append(Unsuback(packet.packet_id).encode())
        elif isinstance(packet, Pingreq):
            self._out.append(_PINGRESP)
        elif isinstance(packet, Disconnect):
            self.close("it said goodbye", now, orderly=True)
        elif not isinstance(packet, Puback):  # what is not acknowledged is not sent again
            raise ProtocolError(f"{type(packet).__name__.upper()} is not for a client to send")

    def _connected(self, connect: Connect, now: float) -> None:
        self._peer = peer = self._door.admit(connect, self, now)
        allowed = min(1.5 * connect.keep_alive, LONGEST_SILENCE)
        self._silence = allowed if connect.keep_alive else float("inf")
        self._framer.limit = peer.largest
        self._out.append(Connack(ACCEPTED, peer.session_present).encode())

    # PUBACK before the service's answer: C# takes them in no other order
    def _published(self, peer: Peer, message: Publish, now: float) -> None:
        if message.qos == 2:
            raise Hangup("it published with QoS 2")
        answers = peer.publish(message, now)
        if message.qos:
            self._out.append(b"\x40\x02" + message.packet_id.to_bytes(2, "big"))
        for answer in answers:
            self._answer(answer)

    def _answer(self, answer: Message) -> None:
        if answer.qos:
            self._packet_id = self._packet_id % 65535 + 1
        packet_id = self._packet_id if answer.qos else 0
        self._out.append(Publish(answer.topic, answer.payload, answer.qos, packet_id).encode())

    def _flush(self) -> None:
        if self._out:
            self._send(b"".join(self._out))
            self._out.clear()
