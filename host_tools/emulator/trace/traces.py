"""Traces: the time lines of all connections, live ones and those that ended last.

Owns whether connections are traced, who looks on, and where a time line is found. Doesn't own
what one holds (trace.py).

    traces = Traces(on=True, subscribe=cloud.subscribe)
    traces.follow(lambda line: print(line.text_among_others()))
    watcher = traces.open("127.0.0.1:5", now)  # for a Session; None while tracing is off
    for trace in traces.find(device_id="dev-1"):
        print(*(line.text() for line in trace.lines()), sep="\\n")
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from host_tools.emulator.events import Connected, Event, Failed, Refused
from host_tools.emulator.faults.faults import Struck
from host_tools.emulator.trace.entry import Entry
from host_tools.emulator.trace.line import Line
from host_tools.emulator.trace.mask import shown
from host_tools.emulator.trace.trace import Room, Trace

ENDED = 200  # connections that are kept after their end

# has somebody hear all events, and returns what ends that
Subscribe = Callable[[Callable[[Event], None]], Callable[[], None]]


class Traces:
    """All time lines."""

    def __init__(
        self, on: bool = False, room: Room | None = None, subscribe: Subscribe | None = None
    ) -> None:
        """on: trace connections from now on; may be changed at any time.

        subscribe: the cloud's; its events are heard as long as tracing is on.
        """
        self._room = room or Room()
        self._subscribe = subscribe
        self._unsubscribe: Callable[[], None] | None = None
        self._on = False
        self._live: dict[int, Trace] = {}
        self._newest: dict[str, Trace] = {}  # live, by device ID in lower case
        self._ended: deque[Trace] = deque()
        self._count = 0
        self._followers: list[Callable[[Line], None]] = []
        self.on = on

    @property
    def on(self) -> bool:
        """Tell whether connections are traced that come now."""
        return self._on

    @on.setter
    def on(self, on: bool) -> None:
        self._on = on
        if on and self._subscribe and not self._unsubscribe:
            self._unsubscribe = self._subscribe(self.event)
        elif not on and self._unsubscribe:
            self._unsubscribe()
            self._unsubscribe = None

    def open(self, address: str, now: float) -> Trace | None:
        """Begin a connection's time line; None, which costs nothing, while tracing is off."""
        if not self.on:
            return None
        self._count += 1
        tell = self._tell if self._followers else None
        trace = Trace(self._count, address, now, self._room, tell, self)
        self._live[trace.number] = trace
        return trace

    def all(self) -> list[Trace]:
        """Return all time lines, the newest connection first."""
        return sorted([*self._live.values(), *self._ended], key=lambda one: -one.number)

    def get(self, number: int) -> Trace | None:
        """Return the time line of the connection with this number, if it is kept."""
        live = self._live.get(number)
        return live or next((one for one in self._ended if one.number == number), None)

    def find(self, device_id: str = "", service: str = "") -> list[Trace]:
        """Return time lines of a device, a service or both, the newest connection first.

        Names are compared without regard to case.
        """
        return [
            one
            for one in self.all()
            if (not device_id or _folded(one.device_id) == _folded(device_id))
            and (not service or _folded(one.service) == _folded(service))
        ]

    def follow(self, follower: Callable[[Line], None]) -> Callable[[], None]:
        """Tell follower every line from now on; return what ends that."""
        self._followers.append(follower)
        self._set_tell()

        def stop() -> None:
            if follower in self._followers:
                self._followers.remove(follower)
                self._set_tell()

        return stop

    def event(self, event: Event) -> None:
        """Note on a connection what nobody reads in its packets: why, and whose fault it was."""
        if isinstance(event, Refused):
            self._note(event.device_id, f"{event.answer}: {event.reason.value}", event.time)
        elif isinstance(event, Failed):
            self._note(event.device_id, f"{event.answer}: {event.why}", event.time)
        elif isinstance(event, Struck):
            self._note(event.device_id, f"a rule: {event.line()}", event.time)
        elif isinstance(event, Connected):  # an alias it dialled is not the hub's own name
            trace = self._newest.get(_folded(event.device_id))
            if trace:
                trace.admitted(event.service, event.device_id)

    def documents(self, device_id: str = "") -> list[dict[str, Any]]:
        """Return the lines of all connections, or of a device's, as JSON values."""
        return [line.document() for trace in self.find(device_id) for line in trace.lines()]

    def named(self, trace: Trace) -> None:
        """Learn that a device said its name."""
        self._newest[_folded(trace.device_id)] = trace

    def ended(self, trace: Trace) -> None:
        """Keep a time line that gets no longer, for a while."""
        self._live.pop(trace.number, None)
        if self._newest.get(_folded(trace.device_id)) is trace:
            del self._newest[_folded(trace.device_id)]
        self._ended.append(trace)
        while len(self._ended) > ENDED or (len(self._ended) > 1 and self._is_tight()):
            self._ended.popleft().forget()

    def _note(self, name: str, text: str, now: float) -> None:
        trace = self._newest.get(_folded(name)) or self._from(name)
        if trace:
            trace.note(text, now)

    # the newest connection from an address: that is its name before CONNECT
    def _from(self, host: str) -> Trace | None:
        unnamed = (one for one in reversed(self._live.values()) if not one.device_id)
        return next((one for one in unnamed if one.address.rpartition(":")[0] == host), None)

    # the dead make room before the living lose what they have
    def _is_tight(self) -> bool:
        return self._room.used > self._room.size // 2

    def _tell(self, trace: Trace, entry: Entry) -> None:
        line = trace.line(entry)
        for follower in list(self._followers):
            follower(line)

    def _set_tell(self) -> None:
        tell = self._tell if self._followers else None
        for trace in self._live.values():
            trace.tell = tell


def _folded(name: str) -> str:
    return shown(name).lower()
