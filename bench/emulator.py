"""The emulator under as much load as this machine makes: what it takes, and its CPU for each.

The load is lean (load.py): packets made before the clock starts, no state, no checks. What a
fleet of devices gets through is another figure: scale.py.
"""

import asyncio
import ssl
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field

from bench import cloud, load, servers
from bench.cores import on_core, placements
from bench.figures import Bar, Figure, Row, Unmeasured
from bench.servers import MOSQUITTO, Server
from bench.workshop import Workshop
from host_tools.errors import CommandError
from host_tools.fleet import tls
from host_tools.fleet.fleet import Fleet
from keystead import hub
from keystead.sas import sas_token

TITLE = "emulator, TLS 1.3 on loopback, lean load"

_ROUNDS = 4
_CONNECTS, _AT_ONCE = 200, 20
_CLIENTS, _EACH = 50, 200
_LIFE = 3600  # seconds


@dataclass(frozen=True)
class Taken:
    """Of one kind: what all rounds gave."""

    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)  # seconds for one

    def add(self, count: int, seconds: float, cpu: float) -> None:
        """Take one round."""
        self.rates.append(count / seconds)
        self.cpu.append(cpu / count)

    def rate(self) -> Figure:
        """Return the median rate."""
        return Figure(statistics.median(self.rates), "/s", min(self.rates))

    def cost(self, unit: str, times: float) -> Figure:
        """Return the median CPU for one."""
        return Figure(statistics.median(self.cpu) * times, unit, max(self.cpu) * times)


@dataclass(frozen=True)
class Loaded:
    """What one server took."""

    connects: Taken = field(default_factory=Taken)
    publishes: Taken = field(default_factory=Taken)

    def figures(self) -> tuple[Figure, Figure, Figure, Figure]:
        """Return rate and CPU of a connect, rate and CPU of a publish."""
        connects, publishes = self.connects, self.publishes
        return (
            connects.rate(), connects.cost("ms", 1e3), publishes.rate(), publishes.cost("us", 1e6)
        )  # fmt: skip


def rows(workshop: Workshop) -> list[Row]:
    """Load the emulator, and mosquitto where there is one; each in a process of its own."""
    if sys.platform != "linux":
        raise Unmeasured("the CPU of another process is read as Linux gives it")
    served, own = list(placements().values())[-1]
    folder = workshop.folder / "cloud"
    with on_core(own), ExitStack() as running:
        ours = running.enter_context(servers.emulator(folder, served))
        register(ours)
        sides = [(ours, Loaded())]
        if servers.mosquitto_path():
            theirs = running.enter_context(servers.mosquitto(folder, served))
            sides.append((theirs, Loaded()))
        context = tls.trusting(ours.ca)
        for _ in range(_ROUNDS):  # in turns: a machine that is busy for a while is so for both
            for server, loaded in sides:
                _round(server, context, _logins(), loaded)
    return _rows(*(loaded for _, loaded in sides))


def register(server: Server) -> None:
    """Let all devices ask DPS once, so that the hub knows them."""
    asyncio.run(_register(server))


async def _register(server: Server) -> None:
    devices = cloud.devices(_CONNECTS)
    fleet = Fleet(cloud.plan(), devices, (servers.HOST, server.port), tls.trusting(server.ca))
    await fleet.boot()
    await fleet.leave()
    if fleet.summary().failed:
        raise CommandError(f"devices could not register: {fleet.summary().failures()[0]}")


def _logins() -> list[load.Login]:
    at = cloud.plan().hub
    expiry = int(time.time()) + _LIFE
    return [
        load.Login(
            one.name,
            hub.username(at, one.name),
            sas_token(hub.resource(at, one.name), one.key, expiry),
        )
        for one in cloud.devices(_CONNECTS)
    ]


def _rows(ours: Loaded, theirs: Loaded | None = None) -> list[Row]:
    against = MOSQUITTO if theirs else f"{MOSQUITTO}: not installed"
    connects, cpu, publishes, price = ours.figures()
    beside = theirs.figures() if theirs else (None, None, None, None)
    return [
        Row("connects", connects, beside[0], against,
            "mosquitto 275/s, amqtt 270/s, 40 lines 604/s", Bar(600, at_most=False), _HOW),
        Row("CPU of one connect", cpu, beside[1], against,
            "mosquitto 0.5 ms, amqtt 2.4 ms", note=_HOW),
        Row("publishes at QoS 1", publishes, beside[2], against,
            "mosquitto 29 858/s, amqtt 4 332/s", Bar(24_000, at_most=False), _HOW),
        Row("CPU of one publish", price, beside[3], against,
            "mosquitto 12 us, amqtt 162 us", note=_HOW),
    ]  # fmt: skip


_HOW = (
    f"saturation: medians of {_ROUNDS} rounds (.. the worst): {_CONNECTS} connects (TLS, CONNECT"
    f" with a SAS token, SUBSCRIBE), {_AT_ONCE} at once; {_CLIENTS} clients x {_EACH} publishes,"
    " each PUBACK awaited, packets made beforehand; the load, which is Python too, on the other"
    " core; both show the same RSA certificate; mosquitto takes anybody, it checks no token"
)


def _round(
    server: Server, context: ssl.SSLContext, logins: list[load.Login], loaded: Loaded
) -> None:
    used = server.cpu()
    seconds, clients = load.connect_all(server.port, context, logins, _AT_ONCE)
    loaded.connects.add(len(clients), seconds, server.cpu() - used)
    some = [
        (client, hub.telemetry_topic(login.client_id))
        for client, login in zip(clients[:_CLIENTS], logins, strict=False)
    ]
    used = server.cpu()
    seconds = load.publish_all(some, cloud.plan().payload, _EACH)
    loaded.publishes.add(_CLIENTS * _EACH, seconds, server.cpu() - used)
    for client in clients:
        client.close()
