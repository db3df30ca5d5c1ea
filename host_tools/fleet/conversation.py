"""Conversation: one MQTT connection as a device leads it, without a socket.

Owns what DPS and hub have in common: CONNECT, SUBSCRIBE, PUBACK for what comes, the end, and a
limit for every answer. Bytes come in by receive() and go out as what each method returns. Doesn't
own TLS, nor what is said once the subscriptions stand: that is visit.py and stay.py.

Time is an argument: `now` in seconds since 1970 for tokens, `tick` of a clock that nobody sets.
What goes wrong is a keystead.failure.Failure, named as in the catalogue that boards use.
"""

from abc import ABC, abstractmethod

from host_tools.emulator.mqtt import framing
from host_tools.emulator.mqtt.connect import Connack, Connect
from host_tools.emulator.mqtt.framing import Framer, ProtocolError
from host_tools.emulator.mqtt.packets import Disconnect, Packet, Puback, Publish, parse
from host_tools.emulator.mqtt.subscribe import Suback, Subscribe
from keystead.failure import Failure

NEVER = float("inf")
_UNAVAILABLE = 3  # CONNACK: the service is there but does not take connections now
_REFUSED = 0x80  # SUBACK
_LARGEST = 1024 * 1024  # bytes of a packet that is taken


class Conversation(ABC):
    """What one device says on one connection; `due` is when wake() wants to be called."""

    SERVICE = ""  # "dps" or "hub", as the catalogue's reasons begin
    host: str  # for TLS and for the user name

    def __init__(self, limit: float) -> None:
        """limit: seconds for any answer."""
        self.over = False  # all is said: hang up
        self.limit = limit
        self._framer = Framer(_LARGEST)
        self._out: list[bytes] = []
        self.rest(NEVER)

    @abstractmethod
    def login(self, now: float) -> Connect:
        """Return the first packet."""

    @abstractmethod
    def filters(self) -> tuple[tuple[str, int], ...]:
        """Return what to subscribe to."""

    @abstractmethod
    def subscribed(self, tick: float) -> None:
        """Go on: the subscriptions stand."""

    @abstractmethod
    def published(self, message: Publish, tick: float) -> None:
        """Take a message."""

    @abstractmethod
    def acknowledged(self, packet_id: int, tick: float) -> None:
        """Take note that a message arrived."""

    @abstractmethod
    def rested(self, tick: float) -> None:
        """Go on: the time that rest() was given is over."""

    def dial(self, tick: float) -> None:
        """Note that the connection is being made."""
        self._ask("TCP and TLS", tick)

    def begin(self, now: float, tick: float) -> bytes:
        """Return what to send once TLS stands."""
        self.say(self.login(now))
        self._ask("CONNACK", tick)
        return self._taken()

    def receive(self, data: bytes, tick: float) -> bytes:
        """Take bytes, in chunks of any size; return what to send. Raises Failure."""
        try:
            for first, body in self._framer.feed(data):
                if first == framing.PUBACK:  # the one that comes thousands of times a second
                    self.acknowledged(Puback.parse(first, body).packet_id, tick)
                else:
                    self._take(parse(first, body), tick)
                if self.over:
                    break
        except ProtocolError as error:
            raise Failure("mqtt-garbled", str(error)) from None
        return self._taken()

    def wake(self, tick: float) -> bytes:
        """Return what to send when the time is `due`; raises Failure if it is too late."""
        if self._awaited:
            raise Failure("no-answer", f"waiting for {self._awaited}")
        self.rested(tick)
        return self._taken()

    def leave(self) -> bytes:
        """Say goodbye; return what to send."""
        self.end()
        return self._taken()

    def end(self) -> None:
        """Say goodbye."""
        self.say(Disconnect())
        self.over = True
        self.rest(NEVER)

    def is_over(self) -> bool:
        """Tell whether all is said."""
        return self.over

    def say(self, packet: Packet, awaiting: str = "", tick: float = 0) -> None:
        """Put a packet on its way; awaiting: the answer that is due within the limit."""
        self._out.append(packet.encode())
        if awaiting:
            self._ask(awaiting, tick)

    def rest(self, until: float) -> None:
        """Await nothing, and wake at a time."""
        self._awaited = ""
        self.due = until

    def _ask(self, awaiting: str, tick: float) -> None:
        self._awaited = awaiting
        self.due = tick + self.limit

    def _take(self, packet: Packet, tick: float) -> None:
        if isinstance(packet, Publish):
            if packet.qos:
                self.say(Puback(packet.packet_id))
            self.published(packet, tick)
        elif isinstance(packet, Connack):
            self._let_in(packet.code)
            self.say(Subscribe(1, self.filters()), "SUBACK", tick)
        elif isinstance(packet, Suback):
            if _REFUSED in packet.codes:
                raise Failure(f"{self.SERVICE}-refused", "a subscription")
            self.subscribed(tick)
        else:
            self.other(packet, tick)

    def other(self, packet: Packet, tick: float) -> None:
        """Take a packet that is nothing of the above."""
        raise Failure("mqtt-garbled", f"{type(packet).__name__.upper()} is not for a server")

    def _let_in(self, code: int) -> None:
        if code:
            reason = "unavailable" if code == _UNAVAILABLE else "refused"
            raise Failure(f"{self.SERVICE}-{reason}", f"CONNACK {code}", code)

    def _taken(self) -> bytes:
        data = b"".join(self._out)
        self._out.clear()
        return data
