"""Session: one MQTT connection to the cloud, without a socket.

Owns the order of things: CONNECT first, then what the service allows, PUBACK before the
service's answer, packet IDs, keep-alive, the end. Bytes come in by receive() and go out by
`send`. Doesn't own what topics mean: that is the peer's service.

Time is an argument: `now` in seconds since 1970, for tokens and events, and `tick` in seconds of
a clock that nobody sets, for every wait.
"""

import heapq
from collections.abc import Callable, Hashable
from typing import Protocol

from host_tools.emulator.mqtt import framing
from host_tools.emulator.mqtt.connect import ACCEPTED, Connack, Connect
from host_tools.emulator.mqtt.framing import Framer, ProtocolError
from host_tools.emulator.mqtt.packets import (
    Disconnect,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Unsuback,
    parse,
)
from host_tools.emulator.mqtt.peer import Hangup, Message, Peer
from host_tools.emulator.mqtt.subscribe import Suback, Subscribe, Unsubscribe

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


class Watcher(Protocol):
    """Who looks on: sees every packet of one connection as it passes."""

    def received(self, first: int, body: bytes, now: float) -> None:
        """See a packet of the device's."""

    def sent(self, data: bytes, now: float) -> None:
        """See one packet or more on their way to the device."""

    def ended(self, why: str, now: float) -> None:
        """See the connection end."""


class Session:
    """One connection, from its first byte to its end."""

    def __init__(
        self,
        door: Door,
        send: Callable[[bytes], object],
        hang_up: Callable[[], object],
        tick: float,
        address: str = "",
        watcher: Watcher | None = None,
    ) -> None:
        """send: takes bytes for the device; hang_up: ends the connection after them."""
        self.address = address
        self.watcher = watcher
        self.closed = False
        self._door = door
        self._send = send
        self._hang_up = hang_up
        self._framer = Framer(_LARGEST_CONNECT)
        self._peer: Peer | None = None
        self._out: list[bytes] = []
        self._packet_id = 0
        self._unacknowledged: dict[int, Hashable] = {}  # token by packet ID
        self._held: list[tuple[float, int, Message]] = []  # a heap: due, number, message
        self._holds = 0
        self._tick = self._heard = tick
        self._now = 0.0
        self._silence: float = PATIENCE

    def receive(self, data: bytes, now: float, tick: float) -> None:
        """Take bytes from the device, in chunks of any size."""
        if self.closed:
            return
        self._now, self._tick = now, tick
        try:
            for first, body in self._framer.feed(data):
                if self.closed:
                    return
                if self.watcher:
                    self.watcher.received(first, body, now)
                if first & 0xF0 == framing.PUBLISH and self._peer:
                    self._published(self._peer, Publish.parse(first, body), now)
                else:
                    self._take(first, body, now)
        except ConnectRefused as refused:
            self._out.append(Connack(refused.code).encode())
            self._end(str(refused), now)
        except (ProtocolError, Hangup) as error:
            self.close(str(error), now)
        if self._peer:  # who has not said CONNECT gains no time by bytes
            self._heard = tick
        self._flush()

    def expire(self, now: float, tick: float) -> None:
        """Send what was held back so long; close if the time for something is over."""
        if self.closed:
            return
        self._now, self._tick = now, tick
        while self._held and self._held[0][0] <= tick:
            self._answer(heapq.heappop(self._held)[2]._replace(delay=0))
        self._flush()
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
        self._end(why, now)
        if self._peer:
            self._peer.left(now, orderly)
        self._door.leave(self, self._peer, why, now)

    def _end(self, why: str, now: float) -> None:
        self.closed = True
        self._flush()
        if self.watcher:
            self.watcher.ended(why, now)
        self._hang_up()

    def _take(self, first: int, body: bytes, now: float) -> None:
        packet = parse(first, body)
        if isinstance(packet, Connect) and not self._peer:
            self._connected(packet, now)
        elif not self._peer:
            raise ProtocolError("its first packet is not CONNECT")
        elif isinstance(packet, Connect):
            raise ProtocolError("it sent a second CONNECT")
        elif isinstance(packet, Subscribe):
            granted = [self._peer.subscribe(*asked) for asked in packet.filters]
            self._say(Suback(packet.packet_id, tuple(granted)).encode())
            for message in self._peer.subscribed(now):
                self._answer(message)
        elif isinstance(packet, Unsubscribe):
            for topic_filter in packet.filters:
                self._peer.unsubscribe(topic_filter)
            self._say(Unsuback(packet.packet_id).encode())
        elif isinstance(packet, Pingreq):
            self._say(_PINGRESP)
        elif isinstance(packet, Disconnect):
            self.close("it said goodbye", now, orderly=True)
        elif isinstance(packet, Puback):  # what is not acknowledged is not sent again
            token = self._unacknowledged.pop(packet.packet_id, None)
            if token is not None:
                self._peer.acknowledged(token, now)
        else:
            raise ProtocolError(f"{type(packet).__name__.upper()} is not for a client to send")

    def _connected(self, connect: Connect, now: float) -> None:
        self._peer = peer = self._door.admit(connect, self, now)
        allowed = min(1.5 * connect.keep_alive, LONGEST_SILENCE)
        self._silence = allowed if connect.keep_alive else float("inf")
        self._framer.limit = peer.largest
        peer.push, peer.drop = self._push, self.close
        self._say(Connack(ACCEPTED, peer.session_present).encode())
        for message in peer.connected(now):
            self._answer(message)

    # PUBACK before the service's answer: C# takes them in no other order
    def _published(self, peer: Peer, message: Publish, now: float) -> None:
        if message.qos == 2:
            raise Hangup("it published with QoS 2")
        answers = peer.publish(message, now)
        if message.qos:
            self._out.append(b"\x40\x02" + message.packet_id.to_bytes(2, "big"))
        for answer in answers:
            self._answer(answer)

    def _push(self, message: Message) -> None:
        if not self.closed:
            self._answer(message)
            self._flush()

    def _answer(self, answer: Message) -> None:
        if answer.delay:
            self._holds += 1
            heapq.heappush(self._held, (self._tick + answer.delay, self._holds, answer))
            return
        packet_id = self._next_packet_id(answer.token) if answer.qos else 0
        self._say(Publish(answer.topic, answer.payload, answer.qos, packet_id).encode())

    # one that is still under way is passed over (MQTT-2.3.1-2)
    def _next_packet_id(self, token: Hashable) -> int:
        self._packet_id = self._packet_id % 65535 + 1
        while self._packet_id in self._unacknowledged:
            self._packet_id = self._packet_id % 65535 + 1
        if token is not None:
            self._unacknowledged[self._packet_id] = token
        return self._packet_id

    # everything but PUBACK is a TLS record of its own: a client that reads one packet whenever
    # its socket has something (aiomqtt) would not see the second until a third one comes
    def _say(self, packet: bytes) -> None:
        self._flush()
        self._out.append(packet)
        self._flush()

    def _flush(self) -> None:
        if not self._out:
            return
        data = b"".join(self._out)
        self._out.clear()
        if self.watcher:
            self.watcher.sent(data, self._now)
        self._send(data)
