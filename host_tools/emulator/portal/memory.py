"""Memory: the latest that was heard of each device, for who opens a page later.

Owns what is remembered and how much: nothing is looked into before somebody asks. Doesn't own the
words (events.py) nor the plot (plot.py).
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from host_tools.emulator.events import Dropped, Event, Telemetry

PER_DEVICE = 240  # messages
LARGEST = 16 * 1024 * 1024  # bytes of all messages
_AROUND = 400  # bytes that an empty message takes
_MOMENTS = 1000  # events other than telemetry

Key = tuple[str, str]


@dataclass(slots=True)
class Moment:
    """Something that happened, once or several times in a row."""

    event: Event  # the latest
    times: int = 1


class Memory:
    """What is remembered of all devices, those heard of longest ago first."""

    def __init__(self, per_device: int = PER_DEVICE, largest: int = LARGEST) -> None:
        """largest: bytes of all messages together."""
        self._per_device = per_device
        self._largest = largest
        self._size = 0
        self._devices: OrderedDict[Key, deque[Telemetry]] = OrderedDict()
        self._moments: deque[Moment] = deque(maxlen=_MOMENTS)
        self._watchers: tuple[Callable[[Event | None], None], ...] = ()

    def take(self, event: Event) -> None:
        """Remember an event; this is called for every message there is."""
        if type(event) is Telemetry:
            self._take(event)
        else:
            self._note(event)
        if self._watchers:
            for watcher in self._watchers:
                watcher(event)

    def watch(self, watcher: Callable[[Event | None], None]) -> Callable[[], None]:
        """Let one more see events once they are remembered; return what ends that."""
        self._watchers += (watcher,)

        def end() -> None:
            self._watchers = tuple(one for one in self._watchers if one is not watcher)

        return end

    def stir(self) -> None:
        """Have open pages look again: something happened that is no event."""
        for watcher in self._watchers:
            watcher(None)

    def messages(self, hub: str, device_id: str) -> list[Telemetry]:
        """Return a device's latest messages, the oldest first."""
        recent = self._devices.get((hub, device_id))
        return list(recent) if recent else []

    def moments(self, names: Iterable[str] = (), most: int = 50) -> list[Moment]:
        """Return what else happened, the latest first; with names: to who goes by one of them."""
        wanted = set(names)
        found = (one for one in reversed(self._moments) if not wanted or wanted & who(one.event))
        return list(islice(found, most))

    # who knocks in vain knocks again: a browser that does not trust the CA, ten times a page
    def _note(self, event: Event) -> None:
        last = self._moments[-1] if self._moments else None
        if last and _same(last.event, event):
            self._moments[-1] = Moment(event, last.times + 1)
        else:
            self._moments.append(Moment(event))

    def _take(self, event: Telemetry) -> None:
        key = event.hub, event.device_id
        recent = self._devices.get(key)
        if recent is None:
            recent = self._devices[key] = deque()
        else:
            self._devices.move_to_end(key)
        recent.append(event)
        self._size += len(event.body) + len(event.bag) + _AROUND
        if len(recent) > self._per_device:
            self._forget_one(recent)
        while self._size > self._largest:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        key = next(iter(self._devices))
        recent = self._devices[key]
        self._forget_one(recent)
        if not recent:
            del self._devices[key]

    def _forget_one(self, recent: deque[Telemetry]) -> None:
        oldest = recent.popleft()
        self._size -= len(oldest.body) + len(oldest.bag) + _AROUND


def _same(one: Event, other: Event) -> bool:
    return isinstance(one, Dropped) and isinstance(other, Dropped) and one.why == other.why


def who(event: Event) -> set[str]:
    """Return the IDs of the device that an event is about."""
    names = (getattr(event, name, None) for name in ("device_id", "registration_id"))
    return {name for name in names if isinstance(name, str)}
