"""AmqpSession: one AMQP connection to the cloud, without a socket.

Owns the order of things: protocol header, SASL, open, sessions, close; heartbeats both ways; the
end. What AMQP calls a session is a Channel here (channel.py). Bytes come in by receive() and go
out by `send`. Doesn't own what may be sent and received: that is behind the door.
Source: OASIS AMQP 1.0, part 2 (transport), sections 2.2 to 2.4; part 5 (security), section 5.3.

Time is an argument: `now` in seconds since 1970, for tokens, and `tick` in seconds of a clock that
nobody sets, for every wait.
"""

from collections.abc import Callable
from typing import Protocol

from host_tools.emulator.amqp import performatives, sasl
from host_tools.emulator.amqp.channel import Channel
from host_tools.emulator.amqp.composite import Composite
from host_tools.emulator.amqp.door import Door, Guest
from host_tools.emulator.amqp.errors import (
    FORCED,
    FRAMING_ERROR,
    INVALID_FIELD,
    NOT_ALLOWED,
    RESOURCE_LIMIT,
    UNAUTHORIZED,
    AmqpError,
    Violation,
)
from host_tools.emulator.amqp.framing import (
    AMQP,
    AMQP_FRAME,
    HEARTBEAT,
    LARGEST,
    SASL,
    SASL_FRAME,
    SMALLEST,
    Frame,
    Framer,
    Header,
    frame,
    header,
)
from host_tools.emulator.amqp.messaging import Error
from host_tools.emulator.amqp.performatives import Begin, Close, End, Open

PATIENCE = 60  # seconds from the connection to a good token
# seconds without a frame that we announce; azure-iot-hub for Python sends one each 120
IDLE = 240
_CHANNELS = 8
_SHORTEST_IDLE = 1  # second that a client may announce: we look at the clock each quarter of one
_VERSION = b"\1\0\0"


class Watcher(Protocol):
    """Who looks on: sees what passes, in words that hold no body and no token."""

    def received(self, words: str, now: float) -> None:
        """See a frame of the client's."""

    def sent(self, words: str, now: float) -> None:
        """See a frame on its way to the client."""

    def ended(self, why: str, now: float) -> None:
        """See the connection end."""


class AmqpSession:
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
        """send: takes bytes for the client; hang_up: ends the connection after them."""
        self.address = address
        self.watcher = watcher
        self.closed = False
        self._guest = Guest(door)
        self._send = send
        self._hang_up = hang_up
        self._framer = Framer()
        self._out: list[bytes] = []
        self._channels: dict[int, Channel] = {}
        self._stage: int | None = None  # the protocol that is spoken
        self._through_sasl = False
        self._open: Open | None = None  # the client's
        self._idle = float("inf")  # seconds without a frame that the client bears
        self._began = self._heard = self._spoke = tick
        self._now = 0.0

    def receive(self, data: bytes, now: float, tick: float) -> None:
        """Take bytes from the client, in chunks of any size."""
        if self.closed:
            return
        self._now, self._heard = now, tick
        self._framer.feed(data)
        try:
            while not self.closed and (item := self._framer.take()):
                if isinstance(item, Header):
                    self._header(item)
                elif item.body:  # an empty frame is a heartbeat
                    self._frame(item, now)
        except Violation as error:
            self._fail(error, now)
        self._flush(tick)

    def expire(self, now: float, tick: float) -> None:
        """Send what came up since, and a heartbeat if one is due; close if time is over."""
        if self.closed:
            return
        self._now = now
        for channel in self._channels.values():
            channel.pump()
        principal = self._guest.principal
        if principal and now >= principal.expiry:
            self._fail(Violation(UNAUTHORIZED, "its token expired"), now)
        elif not principal and tick >= self._began + PATIENCE:
            self._fail(Violation(UNAUTHORIZED, f"it put no good token in {PATIENCE} s"), now)
        elif tick >= self._heard + 2 * IDLE:  # what is announced is half of it (2.4.5)
            self._fail(Violation(RESOURCE_LIMIT, f"it was silent for {2 * IDLE} s"), now)
        elif not self._out and tick >= self._spoke + self._idle / 2:
            self._out.append(HEARTBEAT)
        self._flush(tick)

    def close(self, why: str, now: float) -> None:
        """End the connection from our side, in order; why is told to the operator."""
        if not self.closed:
            self._fail(AmqpError(FORCED, why), now)

    # "AMQP", 0 or 3, version: each side says it before it says anything else in that protocol
    def _header(self, said: Header) -> None:
        wanted = (AMQP,) if self._through_sasl else (AMQP, SASL)
        if said.protocol not in wanted or said.version != _VERSION:
            raise Violation(FRAMING_ERROR, "it speaks another version of AMQP than 1.0")
        self._stage = said.protocol
        self._out.append(header(said.protocol))
        if said.protocol == SASL:
            self._out.append(sasl.encode(sasl.OFFER))

    def _frame(self, item: Frame, now: float) -> None:
        if item.kind != (SASL_FRAME if self._stage == SASL else AMQP_FRAME):
            raise Violation(FRAMING_ERROR, "a frame is not of the protocol that is spoken")
        if item.kind == SASL_FRAME:
            self._sasl(sasl.parse(item.body), now)
            return
        performative, payload = performatives.parse(item.body)
        if self.watcher:
            self.watcher.received(_words(item.channel, performative, payload), now)
        if isinstance(performative, Open):
            self._opened(performative, item.channel)
        elif not self._open:
            raise Violation(NOT_ALLOWED, "its first frame is not open")
        elif isinstance(performative, Close):
            self._say(0, Close())
            self._end("it said goodbye", now)
        elif isinstance(performative, Begin):
            self._begun(performative, item.channel)
        else:
            self._on_channel(item.channel, performative, payload, now)

    def _sasl(self, said: Composite, now: float) -> None:
        if self.watcher:
            self.watcher.received(str(said), now)
        if not isinstance(said, sasl.Init) or self._through_sasl:
            raise Violation(NOT_ALLOWED, "only sasl-init has a place here, once")
        if sasl.lets_in(said, self._guest, now):
            self._through_sasl = self._framer.header_next = True
            self._out.append(sasl.encode(sasl.Outcome(sasl.OK)))
        else:
            self._out.append(sasl.encode(sasl.Outcome(sasl.AUTH)))
            self._end("SASL let it not in", now)

    def _opened(self, said: Open, channel: int) -> None:
        if self._open or channel:
            raise Violation(NOT_ALLOWED, "open comes once, on channel 0")
        self._open = said
        self._guest.host = said.hostname or self._guest.host
        self._say(0, _OPEN)
        if said.max_frame_size < SMALLEST:
            raise Violation(INVALID_FIELD, f"max-frame-size is less than {SMALLEST}")
        if said.idle_time_out:  # 0 is none
            self._idle = said.idle_time_out / 1000
            if self._idle < _SHORTEST_IDLE:
                raise Violation(NOT_ALLOWED, f"idle-time-out is less than {_SHORTEST_IDLE} s")

    def _begun(self, begin: Begin, number: int) -> None:
        if number >= _CHANNELS:
            raise Violation(FRAMING_ERROR, f"there are {_CHANNELS} channels, from 0")
        if number in self._channels or begin.remote_channel is not None:
            raise Violation(NOT_ALLOWED, "a session begins twice, or answers one that is not ours")
        assert self._open is not None

        def say(performative: Composite, payload: bytes) -> None:
            self._say(number, performative, payload)

        largest = min(self._open.max_frame_size, LARGEST)
        channel = self._channels[number] = Channel(self._guest, begin, largest, say)
        self._say(number, channel.begun(number))

    def _on_channel(
        self, number: int, performative: Composite, payload: bytes, now: float
    ) -> None:
        channel = self._channels.get(number)
        if channel is None:
            raise Violation(NOT_ALLOWED, "a frame is on a channel where no session began")
        if isinstance(performative, End):
            del self._channels[number]
            channel.close()
            self._say(number, End())
        else:
            channel.take(performative, payload, now)

    def _say(self, channel: int, performative: Composite, payload: bytes = b"") -> None:
        if self.watcher:
            self.watcher.sent(_words(channel, performative, payload), self._now)
        self._out.append(frame(performative.encode() + payload, channel))

    # a close comes behind an open, even if there is nothing more to say (2.4.3)
    def _fail(self, error: AmqpError, now: float) -> None:
        if self._stage == AMQP:
            if not self._open:
                self._say(0, _OPEN)
            self._say(0, Close(Error.of(error)))
        elif self._stage is None:
            self._out.append(header(SASL))  # what we speak (2.2)
        self._end(error.description, now)

    def _end(self, why: str, now: float) -> None:
        self.closed = True
        for channel in self._channels.values():
            channel.close()
        self._channels.clear()
        self._flush(self._spoke)
        if self.watcher:
            self.watcher.ended(why, now)
        self._hang_up()
        self._guest.left(self.address, why, now)

    def _flush(self, tick: float) -> None:
        if self._out:
            data = b"".join(self._out)
            self._out.clear()
            self._spoke = tick
            self._send(data)


_OPEN = Open(
    "keystead", max_frame_size=LARGEST, channel_max=_CHANNELS - 1, idle_time_out=1000 * IDLE
)


def _words(channel: int, performative: Composite, payload: bytes) -> str:
    size = f" ({len(payload)} bytes)" if payload else ""
    return f"{channel} {performative}{size}"
