"""Trace: one connection's time line, from "accepted" to its end.

Owns the ring of what is kept, its limits, and that no password is ever in it. Doesn't own the
words: bytes are kept as they passed, and worded when somebody asks.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from host_tools.emulator.mqtt import framing
from host_tools.emulator.mqtt.framing import Framer, ProtocolError
from host_tools.emulator.trace.entry import KEPT, NOTED, RECEIVED, SENT, Entry
from host_tools.emulator.trace.greeting import Greeting, greeting
from host_tools.emulator.trace.line import Line
from host_tools.emulator.trace.mask import shown

MOST = 500  # entries of one connection
ROOM = 256 * 1024  # bytes that they take in memory, roughly
ALL_ROOM = 256 * 1024 * 1024  # bytes that all connections' take together
_LONGEST_NOTE = 1024  # characters


class Room:
    """How much memory all time lines take together, roughly."""

    def __init__(self, size: int = ALL_ROOM) -> None:
        self.size = size
        self.used = 0


class Keeper(Protocol):
    """Who keeps the time lines of all connections."""

    def named(self, trace: "Trace") -> None:
        """Learn that a device said its name."""

    def ended(self, trace: "Trace") -> None:
        """Learn that a connection ended."""


class Trace:
    """What passed on one connection; a session's Watcher."""

    def __init__(
        self,
        number: int,
        address: str,
        now: float,
        room: Room,
        tell: Callable[["Trace", Entry], None] | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        """tell: hears of every entry as it is kept, None for nobody."""
        self.number = number
        self.address = address
        self.began = self.heard = now
        self.tell = tell
        self.device_id = ""
        self.service = ""  # "DPS" or the hub's name, as soon as it is known
        self.dropped = 0  # entries that are no longer kept
        self.why: str | None = None  # it ended; None: it is live
        self._entries: deque[Entry] = deque()
        self._size = 0
        self._count = 0
        self._room = room
        self._keeper = keeper
        self._sent = Framer()
        self.note(f"accepted from {address}", now)

    def __repr__(self) -> str:
        return f"Trace({self.number}, {self._count} entries)"

    def received(self, first: int, body: bytes, now: float) -> None:
        """Keep a packet of the device's, without its password."""
        size = len(body)
        if first == framing.CONNECT:
            greeted = greeting(body)
            if greeted and not self.device_id:
                self._introduce(greeted)
            self._keep(RECEIVED, first, greeted, size, now)
        else:
            self._keep(RECEIVED, first, body if size <= KEPT else body[:KEPT], size, now)

    def sent(self, data: bytes, now: float) -> None:
        """Keep one packet or more that go to the device."""
        try:
            for first, body in self._sent.feed(data):
                size = len(body)
                self._keep(SENT, first, body if size <= KEPT else body[:KEPT], size, now)
        except ProtocolError as error:
            self.note(f"what is sent is not MQTT: {error}", now)

    def admitted(self, service: str, device_id: str) -> None:
        """Learn the names by which the service knows the device."""
        self.service, self.device_id = shown(service), shown(device_id)

    def note(self, text: str, now: float) -> None:
        """Keep something else that happened: TLS, a fault, a reason."""
        self._keep(NOTED, 0, text[:_LONGEST_NOTE], 0, now)

    def said(self, way: str, words: str, now: float) -> None:
        """Keep what passed in words, of a protocol that has its own (AMQP); they hold no secret.

        way: RECEIVED or SENT.
        """
        self._keep(way, 0, words[:_LONGEST_NOTE], 0, now)

    def ended(self, why: str, now: float) -> None:
        """Keep the end of the connection."""
        if self.why is None:
            self.why = why
            self.note(f"ended: {why}", now)
            if self._keeper:
                self._keeper.ended(self)

    def forget(self) -> None:
        """Let go of all that is kept, and count no more: nobody will find it."""
        self._room.used -= self._size
        self._room, self._size = Room(0), 0
        self._entries.clear()

    def lines(self, after: int = 0) -> list[Line]:
        """Return what is kept, in order, from behind the entry of this number."""
        return [self.line(entry) for entry in self._entries if entry.number > after]

    def line(self, entry: Entry) -> Line:
        """Return one entry as a line."""
        return Line(entry, self.began, self.number, self.device_id, self.service)

    def _introduce(self, greeted: Greeting) -> None:
        connect = greeted.connect
        host, _, rest = (connect.username or "").partition("/")
        self.admitted("DPS" if rest.startswith("registrations/") else host, connect.client_id)
        if self._keeper:
            self._keeper.named(self)

    def _keep(
        self, way: str, first: int, data: bytes | str | Greeting | None, size: int, now: float
    ) -> None:
        self._count += 1
        entry = Entry(self._count, now, now - self.heard, way, first, data, size)
        self.heard = now
        self._entries.append(entry)
        self._take(entry.cost)
        while len(self._entries) > 1 and self._is_full():
            self._take(-self._entries.popleft().cost)
            self.dropped += 1
        if self.tell:
            self.tell(self, entry)

    def _is_full(self) -> bool:
        room = self._room
        return len(self._entries) > MOST or self._size > ROOM or room.used > room.size

    def _take(self, size: int) -> None:
        self._size += size
        self._room.used += size


class Spoken:
    """A watcher for a protocol that words its packets itself: the time line of an AMQP session."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def received(self, words: str, now: float) -> None:
        """Keep a frame of the client's."""
        self._trace.said(RECEIVED, words, now)

    def sent(self, words: str, now: float) -> None:
        """Keep a frame on its way to the client."""
        self._trace.said(SENT, words, now)

    def ended(self, why: str, now: float) -> None:
        """Keep the end of the connection."""
        self._trace.ended(why, now)
