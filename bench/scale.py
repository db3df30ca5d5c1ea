"""A fleet of devices against the emulator: rates beside mosquitto's, and thousands that boot.

The load is `keystead fleet` itself: every device signs its tokens with its own key, checks what
it is answered and keeps its deadlines. It runs in this process on one core, the server in another
on the other.
"""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import cloud, servers
from bench.cores import on_core, placements
from bench.emulator import Loaded
from bench.figures import Bar, Figure, Row, Unmeasured, digits
from bench.handshakes import Alone
from bench.servers import HOST, MOSQUITTO, Server
from bench.workshop import Workshop
from host_tools import garbage, open_files
from host_tools.errors import CommandError
from host_tools.fleet import tls
from host_tools.fleet.fleet import Fleet, Pace

TITLE = "fleet of devices, TLS 1.3 on loopback"

_SIZES = (100, 1000, 5000)
_ROUNDS = 3
_DEVICES, _AT_ONCE, _EACH = 200, 50, 50
_UNPACED = Pace()
_SLOWER = 1.5  # times the hand-shakes alone
_ALONE = "TLS alone"
_SETTLE = 0.5  # seconds until what is seen of a server is that of an idle one


@dataclass(frozen=True)
class Cost:
    """What so many devices cost a server."""

    seconds: float
    cpu: float  # seconds
    memory: float  # bytes


@dataclass(frozen=True)
class Boot:
    """A fleet's boot, and as many hand-shakes alone."""

    devices: int
    failed: int
    whole: Cost
    shakes: Cost


def rows(workshop: Workshop) -> list[Row]:
    """Load both servers with a fleet, then boot fleets of growing size."""
    if sys.platform != "linux":
        raise Unmeasured("CPU and memory of another process are read as Linux gives them")
    open_files.allow(max(_SIZES))
    garbage.search_rarely()
    served, own = list(placements().values())[-1]
    folder = workshop.folder / "scale"
    with on_core(own):
        sides = loaded(folder, served)
        boots = [boot(folder / str(size), served, size) for size in _SIZES]
    return [*rate_rows(*sides), *boot_rows(boots)]


def loaded(folder: Path, core: int | None) -> list[Loaded]:
    """Load the emulator, and mosquitto where there is one; return what each took."""
    with ExitStack() as running:
        ours = running.enter_context(servers.emulator(folder, core))
        asyncio.run(_register(ours))  # the hub is to know them
        sides = [(ours, Loaded())]
        if servers.mosquitto_path():
            theirs = running.enter_context(servers.mosquitto(folder, core))
            sides.append((theirs, Loaded()))
        for _ in range(_ROUNDS):  # in turns: a machine that is busy for a while is so for both
            for server, took in sides:
                asyncio.run(_round(server, took))
    return [took for _, took in sides]


async def _register(server: Server) -> None:
    fleet = _fleet(server, _DEVICES)
    await fleet.boot()
    await _end(fleet)


async def _round(server: Server, loaded: Loaded) -> None:
    fleet = _fleet(server, _DEVICES, Pace(at_once=_AT_ONCE), dps=False)
    used = server.cpu()
    seconds = await fleet.boot()
    loaded.connects.add(_DEVICES, seconds, server.cpu() - used)
    used = server.cpu()
    talk = await fleet.talk(_EACH)
    loaded.publishes.add(_DEVICES * _EACH, talk.seconds, server.cpu() - used)
    await _end(fleet)


def _fleet(server: Server, count: int, pace: Pace = _UNPACED, dps: bool = True) -> Fleet:
    place, context = (HOST, server.port), tls.trusting(server.ca)
    return Fleet(cloud.plan(), cloud.devices(count), place, context, pace, dps)


async def _end(fleet: Fleet) -> None:
    await fleet.leave()
    if fleet.summary().failed:
        raise CommandError(f"a fleet could not be loaded with: {fleet.summary().failures()[0]}")


# a new server each time: its memory is to be that of this many devices
def boot(folder: Path, core: int | None, count: int) -> Boot:
    """Boot so many devices, then let as many clients shake hands alone."""
    folder.mkdir(parents=True)
    with servers.emulator(folder, core) as server:
        fleet = _fleet(server, count)
        whole = asyncio.run(_cost(server, fleet))
    with servers.bare_tls(folder, core) as server:
        alone = Alone(cloud.plan(), count, (HOST, server.port), tls.trusting(server.ca))
        shakes = asyncio.run(_cost(server, alone))
    return Boot(count, fleet.summary().failed, whole, shakes)


async def _cost(server: Server, fleet: Fleet | Alone) -> Cost:
    used, had = server.cpu(), server.resident()
    seconds = await fleet.boot()
    used = server.cpu() - used
    await asyncio.sleep(_SETTLE)
    grown = server.resident() - had
    await fleet.leave()
    return Cost(seconds, used, grown)


def rate_rows(ours: Loaded, theirs: Loaded | None = None) -> list[Row]:
    """Return rates and their CPU, beside mosquitto's."""
    against = MOSQUITTO if theirs else f"{MOSQUITTO}: not installed"
    connects, cpu, publishes, price = ours.figures()
    beside = theirs.figures() if theirs else (None, None, None, None)
    return [
        Row("connects", connects, beside[0], against, "", _bar(beside[0], 1, False), _RATES),
        Row("CPU of one connect", cpu, beside[1], against, note=_RATES),
        Row("publishes at QoS 1", publishes, beside[2], against, "", _bar(beside[2], 0.8, False),
            _RATES),
        Row("CPU of one publish", price, beside[3], against, "", _bar(beside[3], 2, True), _RATES),
    ]  # fmt: skip


def _bar(other: Figure | None, times: float, at_most: bool) -> Bar | None:
    return Bar(other.number * times, at_most) if other else None


def boot_rows(boots: Sequence[Boot]) -> list[Row]:
    """Return what fleets of growing size cost, the last one against its bar."""
    rows = [row for one in boots for row in _rows_of(one)]
    failed = sum(one.failed for one in boots)
    return [*rows, Row("devices that failed", Figure(failed, ""), bar=Bar(0))]


def _rows_of(one: Boot) -> list[Row]:
    whole, shakes, count = one.whole, one.shakes, one.devices
    seconds = Figure(shakes.seconds, "s")
    bar = _bar(seconds, _SLOWER, True) if count == max(_SIZES) else None
    each = 1e3 / count
    return [
        Row(f"{digits(count)} devices boot", Figure(whole.seconds, "s"), seconds, _ALONE, "", bar,
            _BOOTS),
        Row("  CPU of one", Figure(whole.cpu * each, "ms"), Figure(shakes.cpu * each, "ms"),
            _ALONE, note=_BOOTS),
        Row("  memory of one, idle", Figure(whole.memory / count / 1024, "KiB"),
            Figure(shakes.memory / count / 1024, "KiB"), _ALONE, note=_MEMORY),
    ]  # fmt: skip


_RATES = (
    f"medians of {_ROUNDS} rounds (.. the worst): {_DEVICES} devices straight to the hub, at most"
    f" {_AT_ONCE} hand-shakes at once; then each publishes {_EACH} messages of 61 bytes, each"
    " PUBACK awaited. The fleet has one core and Python's speed: it may be what limits a rate"
    " (section emulator has the lean load); CPU is the server's. mosquitto checks no token"
)
_BOOTS = (
    'all at once, without a limit: DPS (register, "assigning" twice with retry-after 1 s), hub,'
    " three subscriptions: two TLS connections a device. Beside: the same client and the same"
    " server TLS, as many hand-shakes, no MQTT. A small fleet mostly waits the 2 s it is told to"
)
_MEMORY = "growth of the server's resident memory from its start, by device, when all are there"
