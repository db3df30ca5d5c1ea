"""Incidents: what happens to a device in the field, how often, and how it is done here.

Owns the kinds: what is drawn of each, its sentence, its begin and end, and how soon after its end
a device has to be back. Doesn't own when they happen (script.py) nor what is made of them
(oracle.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Protocol

from host_tools.emulator.cloud import Cloud
from host_tools.emulator.hub.hub import Hub
from host_tools.emulator.key_pair import KeyPair

Figures = dict[str, int | str]

MINUTE, HOUR, DAY = 60, 3600, 86400
# seconds: the longest pause of back-off for this kind of failure, and time for what comes after
SOON = 5 * MINUTE + 10 * MINUTE
SLOW = 4 * HOUR + 15 * MINUTE

# once, at a moment that nobody chose
_GLITCHES = (
    "when it sends telemetry gets a dropped socket",
    "when it sends telemetry gets a closed connection",
    "when it sends telemetry gets no answer",
    "when it sends telemetry gets ignored",
    "when it sends telemetry gets its answer 20 s late",
    "when it sends telemetry gets half a packet",
    "when it sends telemetry gets a malformed packet",
    "when it sends telemetry gets a packet that claims 256 MB",
    "when it sends telemetry gets a half-open connection",
    "when it sends telemetry gets an expired token",
    "when it pings gets no answer",
    "when it pings gets its answer 25 s late",
    "when it pings gets a half-open connection",
    "when it pings gets a closed connection",
    "when it pings gets a malformed packet",
    "when it connects to its hub gets CONNACK 3",
    "when it connects to its hub gets no answer",
    "when it connects to its hub gets its answer 40 s late",
    "when it connects to its hub gets half a packet",
    "when it connects to its hub gets a dropped socket",
    "when it connects to its hub gets session present",
    "when it shakes hands gets a hand-shake that hangs",
    "when it shakes hands gets an expired certificate",
    "when it shakes hands gets a certificate for another name",
    "when it sends its 2nd packet gets a dropped socket",
    "when it sends its 3rd packet gets a half-open connection",
    "when it is sent its 2nd packet gets half a packet",
    "when it is sent its 4th packet gets a closed connection",
    "when it subscribes gets no answer",
    "when it subscribes gets a closed connection",
    "when it asks for its twin gets no answer",
    "when it asks for its twin gets 500",
    "when it reports gets 429",
    "when it reports gets no answer",
)


class Bench(Protocol):
    """What incidents happen to."""

    cloud: Cloud
    group: str
    device_id: str
    hubs: tuple[str, ...]
    keys: tuple[bytes, ...]  # spare group keys

    @property
    def now(self) -> float:
        """Return Unix time."""

    def rule(self, sentence: str) -> int:
        """Put a rule in force; return its number."""

    def hub(self) -> Hub | None:
        """Return the hub at which the device has an identity."""

    def drop(self) -> None:
        """End the device's connection to its hub."""

    def radio(self, carries: bool) -> None:
        """Have the radio reach the network, or not."""

    def uplink(self, reaches: bool) -> None:
        """Have the network reach the world, or not."""

    def time_servers(self, answer: bool) -> None:
        """Have time servers answer, or not."""

    def set_clock_off(self, seconds: int) -> None:
        """Have the chip's clock jump."""

    def power(self, on: bool) -> None:
        """Give the board power, or take it."""

    def cut_after(self, written: int) -> None:
        """Take its power in the middle of a write to flash, so many bytes from now; -1: do not."""

    def cut_in(self, turns: int) -> None:
        """Take its power as it waits for the so manyth time from now; -1: do not."""


@dataclass(frozen=True)
class Incident:
    """Something that happens, and is over some time later."""

    at: int  # seconds since the beginning
    lasts: int
    kind: str
    figures: Figures = field(default_factory=dict)

    @property
    def over(self) -> int:
        """Return when it is over."""
        return self.at + self.lasts

    @property
    def kind_of(self) -> "Kind":
        """Return its kind."""
        return KINDS[self.kind]

    @property
    def sentence(self) -> str:
        """Return what happens, for people."""
        return self.kind_of.sentence.format(**self.figures)


@dataclass(frozen=True)
class Kind:
    """A kind of incident."""

    sentence: str
    weight: float  # how often, among all
    back: int  # seconds after its end within which the device is connected again
    lasts: tuple[int, int]  # seconds, at least and at most
    begin: Callable[[Bench, Figures], object]
    end: Callable[[Bench, Figures], object] = lambda bench, figures: None
    draw: Callable[[Random], Figures] = lambda chance: {}
    cuts: bool = False  # whether the board begins anew


# ---- the service's faults, by rules of the cloud's own


def _rules(*sentences: str) -> Callable[[Bench, Figures], object]:
    def begin(bench: Bench, figures: Figures) -> None:
        for number, sentence in enumerate(sentences):
            figures[f"rule {number}"] = bench.rule("every board, " + sentence.format(**figures))

    return begin


def _no_rules(bench: Bench, figures: Figures) -> None:
    for name, number in figures.items():
        if name.startswith("rule "):
            bench.cloud.faults.remove(int(number))


def _and_drop(begin: Callable[[Bench, Figures], object]) -> Callable[[Bench, Figures], object]:
    def both(bench: Bench, figures: Figures) -> None:
        begin(bench, figures)
        bench.drop()

    return both


def _and_delete(begin: Callable[[Bench, Figures], object]) -> Callable[[Bench, Figures], object]:
    def both(bench: Bench, figures: Figures) -> None:
        begin(bench, figures)
        _delete(bench, figures)

    return both


# ---- what operators do


def _delete(bench: Bench, figures: Figures) -> None:
    hub = bench.hub()
    if hub:
        hub.delete(bench.device_id, bench.now)


def _identity(enabled: bool) -> Callable[[Bench, Figures], object]:
    def change(bench: Bench, figures: Figures) -> None:
        hub = bench.hub()
        if hub:
            hub.update(bench.device_id, bench.now, enabled=enabled)

    return change


def _enrollment(enabled: bool) -> Callable[[Bench, Figures], object]:
    def change(bench: Bench, figures: Figures) -> None:
        group = bench.cloud.dps.group(bench.group)
        bench.cloud.dps.put_group(replace(group, enabled=enabled), bench.now, "*")

    return change


def _move(bench: Bench, figures: Figures) -> None:
    hub, group = bench.hub(), bench.cloud.dps.group(bench.group)
    others = [name for name in bench.hubs if hub is None or name != hub.name]
    bench.cloud.dps.put_group(replace(group, hubs=(others[0],)), bench.now, "*")
    _delete(bench, figures)


# keys of the group, and with them those of the identity: which of them are good
def _keys(primary: int, secondary: int) -> Callable[[Bench, Figures], object]:
    def change(bench: Bench, figures: Figures) -> None:
        keys = KeyPair(bench.keys[primary], bench.keys[secondary])
        group = bench.cloud.dps.group(bench.group)
        bench.cloud.dps.put_group(replace(group, keys=keys), bench.now, "*")
        hub = bench.hub()
        if hub:
            hub.update(bench.device_id, bench.now, keys=keys.derived_for(bench.device_id))

    return change


# ---- the rest


def _cut_power(bench: Bench, figures: Figures) -> None:
    bench.power(False)


def _give_power(bench: Bench, figures: Figures) -> None:
    bench.power(True)


def _no_radio(bench: Bench, figures: Figures) -> None:
    bench.radio(False)


# the rule stays until it strikes: that is when what was kept meanwhile is on its way
def _radio(bench: Bench, figures: Figures) -> None:
    bench.radio(True)


def _radio_and_cut(bench: Bench, figures: Figures) -> None:
    bench.radio(True)
    bench.cut_in(int(figures["turns"]))


def _dark_and_silent(bench: Bench, figures: Figures) -> None:
    bench.time_servers(False)
    bench.power(False)
    bench.power(True)


KINDS: dict[str, Kind] = {
    "glitch": Kind(
        "{rule}, once", 24, SOON, (HOUR, HOUR),
        _rules("{rule}, once"), _no_rules,
        lambda chance: {"rule": chance.choice(_GLITCHES)},
    ),
    "slow line": Kind(
        "its line takes {rate} bytes a second", 2, SOON, (2 * MINUTE, 15 * MINUTE),
        _rules("when it sends telemetry gets {rate} bytes a second",
               "when it connects to its hub gets {rate} bytes a second"), _no_rules,
        lambda chance: {"rate": chance.choice((1, 1, 5, 50))},
    ),
    "hub storm": Kind(
        "its hub turns everybody away: 429", 4, SOON, (10 * MINUTE, 10 * MINUTE),
        _and_drop(_rules("when it connects to its hub gets 429")), _no_rules,
    ),
    "DPS storm": Kind(
        "its identity is deleted while DPS answers 429, retry after {seconds} s",
        4, SOON, (10 * MINUTE, 10 * MINUTE),
        _and_delete(_rules("when it registers gets 429, retry after {seconds} s")), _no_rules,
        lambda chance: {"seconds": chance.choice((5, 30, 120))},
    ),
    "DPS ill": Kind(
        "its identity is deleted while DPS answers {code}",
        2, SOON, (5 * MINUTE, 40 * MINUTE),
        _and_delete(_rules("when it registers gets {code}")), _no_rules,
        lambda chance: {"code": chance.choice((500, 503, 504))},
    ),
    "DPS silent": Kind(
        "its identity is deleted while DPS does not answer",
        2, SOON, (5 * MINUTE, 40 * MINUTE),
        _and_delete(_rules("when it registers gets no answer")), _no_rules,
    ),
    "bad certificates": Kind(
        "servers show {certificate}", 2, SOON, (5 * MINUTE, HOUR),
        _and_drop(_rules("when it shakes hands gets {certificate}")), _no_rules,
        lambda chance: {"certificate": chance.choice(
            ("an expired certificate", "a certificate of an unknown CA",
             "a certificate for another name"))},
    ),
    "moved": Kind("it is moved to the other hub", 5, SOON, (0, 0), _move),
    "deleted": Kind("its identity is deleted", 3, SOON, (0, 0), _delete),
    "disabled": Kind(
        "its identity is disabled", 2, SLOW, (30 * MINUTE, 6 * HOUR),
        _identity(False), _identity(True),
    ),
    "disenrolled": Kind(
        "its enrollment is disabled and its identity deleted", 2, SLOW, (30 * MINUTE, 6 * HOUR),
        _and_delete(_enrollment(False)), _enrollment(True),
    ),
    "primary revoked": Kind(
        "its primary key is revoked", 3, SOON, (HOUR, DAY),
        _and_drop(_keys(2, 1)), _keys(0, 1),
    ),
    "secondary revoked": Kind(
        "its secondary key is revoked", 3, SOON, (HOUR, DAY),
        _and_drop(_keys(0, 2)), _keys(0, 1),
    ),
    "keys revoked": Kind(
        "both of its keys are revoked", 2, SLOW, (10 * MINUTE, 3 * HOUR),
        _and_drop(_keys(2, 3)), _keys(0, 1),
    ),
    "no radio": Kind(
        "there is no radio", 6, SOON, (10, 90 * MINUTE),
        _no_radio, _radio,
    ),
    "no radio, and a bad return": Kind(
        "there is no radio, and when it is back, packet {n} gets {fault}",
        5, 2 * SOON, (15 * MINUTE, HOUR),
        lambda bench, figures: (_no_radio(bench, figures), _rules(
            "when it sends its {n}th packet gets {fault}, once")(bench, figures)), _radio,
        lambda chance: {"n": chance.randrange(4, 15), "fault": chance.choice(
            ("a dropped socket", "a closed connection", "a half-open connection"))},
    ),
    "no radio, and a cut": Kind(
        "there is no radio, and when it is back, its power fails as it waits for the {turns}th"
        " time",
        4, 2 * SOON, (15 * MINUTE, HOUR), _no_radio, _radio_and_cut,
        lambda chance: {"turns": chance.randrange(1, 40)}, True,
    ),
    "no uplink": Kind(
        "there is no uplink", 5, SOON, (10, 90 * MINUTE),
        lambda bench, figures: bench.uplink(False), lambda bench, figures: bench.uplink(True),
    ),
    "no NTP": Kind(
        "time servers are silent", 3, SOON, (HOUR, DAY),
        lambda bench, figures: bench.time_servers(False),
        lambda bench, figures: bench.time_servers(True),
    ),
    "no NTP after a cut": Kind(
        "its power fails while time servers are silent", 2, SOON, (10 * MINUTE, 8 * HOUR),
        _dark_and_silent, lambda bench, figures: bench.time_servers(True), cuts=True,
    ),
    "clock jump": Kind(
        "its clock jumps by {seconds} s", 6, SOON, (0, 0),
        lambda bench, figures: bench.set_clock_off(int(figures["seconds"])),
        draw=lambda chance: {"seconds": chance.choice((-1, 1)) * chance.choice(
            (90, 400, HOUR, 5 * HOUR, 3 * DAY, 400 * DAY))},
    ),
    "power cut": Kind(
        "its power fails", 5, SOON, (2, 20 * MINUTE), _cut_power, _give_power, cuts=True,
    ),
    "cut in a write": Kind(
        "its power fails in the middle of a write, {bytes} bytes to flash from now",
        6, SOON, (HOUR, HOUR),
        lambda bench, figures: bench.cut_after(int(figures["bytes"])),
        lambda bench, figures: bench.cut_after(-1),
        lambda chance: {"bytes": chance.choice((0, 0, 0, 40, 150, 600, 2000))}, True,
    ),
    "cut in a turn": Kind(
        "its power fails as it waits for the {turns}th time from now", 4, SOON, (10 * MINUTE,) * 2,
        lambda bench, figures: bench.cut_in(int(figures["turns"])),
        lambda bench, figures: bench.cut_in(-1),
        lambda chance: {"turns": chance.randrange(1, 400)}, True,
    ),
}  # fmt: skip
