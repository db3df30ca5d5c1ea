"""The oracle: judges what a board and its cloud did in a soak.

Owns what must hold:

- a message that the application was told is safe arrives, with the time at which it was made;
- whatever happened, telemetry flows again as soon after its end as the firmware promises;
- DPS is asked only by a board that has no hub, whose hub refused it, or that could not reach it
  for a quarter of an hour, and not too often;
- the board never stops but by a power cut, never meets an error it does not know, never keeps a
  token until it expires, and its clock is right again soon;
- heap and wear do not grow.
"""

import json
import re
from calendar import timegm
from collections import Counter
from dataclasses import dataclass, field
from statistics import median
from time import strptime

from host_tools.emulator.dps.assignment import SERVICE
from host_tools.emulator.events import Connected, Disconnected, Event, Refused, Telemetry
from host_tools.emulator.faults.faults import Struck
from host_tools.emulator.faults.when import CONNECT, DPS, REGISTER
from tests.soak.incidents import DAY, HOUR, MINUTE, Incident
from tests.soak.script import stamp

_INTERVAL = 5 * MINUTE  # between two messages of the application
_SILENCE = 2 * _INTERVAL + MINUTE  # without telemetry, after which it is missing
_PATIENCE = 15 * MINUTE  # without a hub, after which DPS may be asked
_IN_AN_HOUR = 16  # connections to DPS: two keys, and a pause that doubles from half a minute on
_LATER = 4  # an hour, on an average
_EXPIRED = "its token expired"
_EXACT = 5  # seconds by which a time may be wrong
# seconds by which a clock may be wrong, and for how long: what a hub would refuse is noticed at
# once, where a time can be had; the rest once a day
_CLOCK = ((310, 30 * MINUTE), (15, 30 * HOUR))
_GROWTH = 512  # bytes of heap, between the first day with power and the last
_WEAR = 2000  # writes to flash a day
_LONGEST = 40  # findings that are told


@dataclass
class Message:
    """A message that the application sent."""

    sent: int  # milliseconds since the beginning
    wrong_by: int  # seconds, the chip's clock then
    safe: int | None = None  # when the application was told so
    arrived: int | None = None
    copies: int = 0


@dataclass
class Heap:
    """What the heap held at a full hour of the application's."""

    at: int
    held: int
    boot: int


@dataclass
class Oracle:
    """What was seen so far."""

    begin: int  # Unix time of the beginning
    findings: list[str] = field(default_factory=list)
    messages: dict[str, Message] = field(default_factory=dict)
    heaps: list[Heap] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    wear: Counter[int] = field(default_factory=Counter)  # writes by day
    longest: tuple[int, int, int] = (0, 0, 0)  # with power: milliseconds, heap at first, at last
    now: int = 0  # milliseconds since the beginning
    wrong_by: int = 0  # seconds, the chip's clock

    def __post_init__(self) -> None:
        self._excused = 0.0  # seconds; until then telemetry may be missing
        self._blind = 0.0  # until then the clock may be wrong
        self._heard = 0.0  # when telemetry came last
        self._hub: float | None = None  # when there was a hub last, None: never, inf: now
        self._refused = True  # by the hub, since it was there; a new board has none
        self._echoed: list[str] = []
        self._asked: list[float] = []  # when DPS was, since there was power and no hub
        self._throttled = (0.0, 0.0)  # DPS said 429 then, and when to come again
        self._heard_of = (0.0, 0.0)  # the same, as the board knows it
        self._wrong_since: list[float | None] = [None for _ in _CLOCK]
        self._silent = False

    def find(self, what: str) -> None:
        """Note that something is not as it must be."""
        self.counts["findings"] += 1
        if len(self.findings) < _LONGEST:
            self.findings.append(f"{stamp(self.now / 1000)}  {what}")

    # ---- what happens

    def began(self, incident: Incident) -> None:
        """Note an incident."""
        self.counts["incidents"] += 1
        self._excuse(incident)

    def over(self, incident: Incident) -> None:
        """Note its end."""
        self._excuse(incident)

    def _excuse(self, incident: Incident) -> None:
        until = incident.over + incident.kind_of.back
        self._excused = max(self._excused, until)
        self._blind = max(self._blind, until)

    def excuse(self, seconds: float) -> None:
        """Note that something ended only now."""
        self._excused = max(self._excused, self.now / 1000 + seconds)

    def powered_on(self) -> None:
        """Note that the board begins anew, with nothing but its flash."""
        self.counts["boots"] += 1
        self._asked.clear()

    def stopped(self, why: str) -> None:
        """Note that the board stopped, and nobody took its power."""
        self.counts["stops"] += 1
        self.find(f"the board stopped: {why}")

    @property
    def calm_since(self) -> float | None:
        """Return since when nothing is wrong; None if something is, or was until just now."""
        now = self.now / 1000
        quiet = self._excused if now > self._excused else None
        return quiet if quiet is not None and now - self._heard <= _INTERVAL + MINUTE else None

    def probed(self, number: int, answers: list[object], reported: object) -> None:
        """Judge what became of a message, a method and a desired property."""
        self.counts["probes"] += 1
        if f"probe {number}" not in self._echoed:
            self.find(f"cloud-to-device message {number} did not arrive")
        if answers != [number]:
            self.find(f"method {number} was answered with {answers}")
        if reported != number:
            self.find(f"desired property {number} is answered with {reported!r}")
        self._echoed.clear()

    # ---- the console

    def line(self, text: str) -> None:
        """Take a line of the console."""
        word, _, rest = text.partition(" ")
        if word == "sending":
            if rest in self.messages:
                self.find(f"message {rest} is sent twice: the bench counts badly")
            self.messages[rest] = Message(self.now, self.wrong_by)
        elif word == "acknowledged":
            self.messages[rest].safe = self.now
        elif text.endswith(" hub: connected"):
            self._arrived()
        elif word == "message":
            self._echoed.append(rest)
        elif word == "heap":
            self.heaps.append(Heap(self.now, int(rest.split()[0]), self.counts["boots"]))
        elif "FAILURE" in text:
            self._failed(text)
        if "dps-throttled" in text:
            self._heard_of = self._throttled
        elif "Traceback" in text:
            self.find("a traceback is on the console")

    def _failed(self, text: str) -> None:
        match = re.search(r"FAILURE (\d+) ([a-z0-9-]+)", text)
        name = match[2] if match else text
        self.failures[name] += 1
        if name in (
            "bug",
            "watchdog",
            "app-broken",
            "app-absent",
            "out-of-memory",
            "journal-failed",
        ):
            self.find(text)

    # ---- the cloud

    def event(self, event: Event) -> None:
        """Take an event of the cloud's."""
        if isinstance(event, Telemetry):
            self._telemetry(event)
        elif isinstance(event, Connected) and event.service == SERVICE:
            self._at_dps()
        elif isinstance(event, Connected):
            self.counts["connections"] += 1
        elif isinstance(event, Disconnected) and event.service != SERVICE:
            self._left(event.why)
        elif isinstance(event, Refused):
            self.counts["refusals by " + ("DPS" if event.service == SERVICE else "hubs")] += 1
            self._refused |= event.service != SERVICE
        elif isinstance(event, Struck):
            self._struck(event)

    # what the board knows counts: a CONNACK may be lost
    def _arrived(self) -> None:
        self._hub, self._refused = float("inf"), False
        self._asked.clear()

    def _left(self, why: str) -> None:
        if self._hub == float("inf"):
            self._hub = self.now / 1000
        if why == _EXPIRED and self.now / 1000 > self._excused:
            self.find("its token expired, and it had no new one")

    def _struck(self, event: Struck) -> None:
        self.counts["faults"] += 1
        if event.service == DPS and event.operation == CONNECT:
            self._at_dps()
        if event.service == DPS and event.operation == REGISTER:
            self._not_too_early()
            match = re.fullmatch(r"429, retry after (\d+) s", event.gets)
            if match:
                self._throttled = self.now / 1000, float(match[1])

    def _not_too_early(self) -> None:
        since, wait = self._heard_of
        if self.now / 1000 < since + wait - 1:
            self.find(f"DPS is asked {self.now / 1000 - since:.0f} s after it said {wait:.0f} s")

    def _at_dps(self) -> None:
        self.counts["DPS connections"] += 1
        now = self.now / 1000
        away = float("inf") if self._hub is None else now - self._hub
        if not self._refused and away < _PATIENCE:
            self.find(f"DPS is asked, and the hub was there {max(0, away):.0f} s ago")
        self._asked.append(now)
        lately = sum(now - at < HOUR for at in self._asked)
        hours = (now - self._asked[0]) / HOUR
        if lately > _IN_AN_HOUR or len(self._asked) > _IN_AN_HOUR + _LATER * hours:
            self.find(f"DPS is asked {lately} times in an hour, {len(self._asked)} in {hours:.1f}")

    def _telemetry(self, event: Telemetry) -> None:
        self.counts["telemetry"] += 1
        self._heard = self.now / 1000
        self._arrived()
        self._silent = False
        name = json.loads(event.body)["name"]
        message = self.messages.get(name)
        if message is None:
            self.find(f"message {name} comes from nowhere")
            return
        message.copies += 1
        if message.copies > 1:
            return
        message.arrived = self.now
        self._check_time(name, message, event.properties.get("$.ctime"))

    def _check_time(self, name: str, message: Message, made: str | None) -> None:
        if made is None:
            self.counts["messages without a time"] += 1
            return
        time = timegm(strptime(made[:19], "%Y-%m-%dT%H:%M:%S"))
        error = time - self.begin - message.sent / 1000
        if abs(error) <= _EXACT:
            return
        if abs(error - message.wrong_by) > _EXACT:
            self.find(f"message {name} says it was made {error:+.0f} s from when it was")
        self.counts["messages of a wrong clock"] += 1

    # ---- now and then

    def look(self, clock_can_be_set: bool) -> None:
        """Look at what does not happen; once a minute."""
        now = self.now / 1000
        silence = now - max(self._heard, self._excused)
        if silence > _SILENCE and not self._silent:
            self._silent = True
            self.find(f"no telemetry for {(now - self._heard) / 60:.0f} min, and no reason for it")
        if not clock_can_be_set:
            self._blind = max(self._blind, now)
        for number, (seconds, patience) in enumerate(_CLOCK):
            since = self._wrong_since[number]
            if abs(self.wrong_by) <= seconds:
                self._wrong_since[number] = None
            elif since is None:
                self._wrong_since[number] = now
            elif now - since > patience and now - self._blind > min(patience, HOUR):
                self.find(f"its clock is wrong by {self.wrong_by} s, and nobody sets it")
                self._wrong_since[number] = now + DAY

    def wrote(self, count: int) -> None:
        """Note writes to flash."""
        self.wear[self.now // (DAY * 1000)] += count

    # ---- the end

    def finish(self) -> None:
        """Judge what can be judged only at the end."""
        safe = [(name, one) for name, one in self.messages.items() if one.safe is not None]
        lost = [name for name, one in safe if one.arrived is None]
        self.counts["messages"] = len(self.messages)
        self.counts["acknowledged"] = len(safe)
        self.counts["lost"] = len(lost)
        self.counts["copies"] = sum(max(0, one.copies - 1) for one in self.messages.values())
        if lost:
            self.find(
                f"{len(lost)} messages were acknowledged and are lost: {', '.join(lost[:9])}"
            )
        for boot in {one.boot for one in self.heaps}:
            self._check_heap([one for one in self.heaps if one.boot == boot])
        for day, count in self.wear.items():
            if count > _WEAR:
                self.find(f"{count} writes to flash on day {day}")

    def _check_heap(self, heaps: list[Heap]) -> None:
        first, last = heaps[0].at, heaps[-1].at
        if last - first < 2 * DAY * 1000:
            return
        early = median(one.held for one in heaps if one.at < first + DAY * 1000)
        late = median(one.held for one in heaps if one.at > last - DAY * 1000)
        self.longest = max(self.longest, (last - first, int(early), int(late)))
        if late > early + _GROWTH:
            days = (last - first) / 1000 / DAY
            self.find(f"the heap held {early:.0f} B at first, {late:.0f} B after {days:.1f} days")

    def heap_by_day(self) -> dict[int, int]:
        """Return what the heap held, by day, at half of the hours no more."""
        days: dict[int, list[int]] = {}
        for one in self.heaps:
            days.setdefault(one.at // (DAY * 1000), []).append(one.held)
        return {day: int(median(held)) for day, held in days.items()}
