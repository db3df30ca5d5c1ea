"""The emulator: connections and publishes it takes a second, and its CPU for each."""

import getpass
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import cloud, load
from bench.cores import on_core, placements
from bench.figures import Bar, Figure, Row, Unmeasured
from bench.workshop import Workshop
from host_tools.emulator.config import HUB
from host_tools.emulator.serve.certificates import CA_FILE
from host_tools.errors import CommandError
from keystead import hub

TITLE = "emulator, TLS 1.3 on loopback"

_ROUNDS = 4
_CONNECTS, _AT_ONCE = 200, 20
_CLIENTS, _EACH = 50, 200
_MOSQUITTO = "mosquitto"


@dataclass(frozen=True)
class Server:
    """A server that runs: where, and whose certificate it shows."""

    port: int
    pid: int
    ca: Path

    def cpu(self) -> float:
        """Return the seconds of CPU it has used (Linux: the clock of another process)."""
        return time.clock_gettime((~self.pid << 3) | 2)


@dataclass(frozen=True)
class Taken:
    """Of one kind: what all rounds gave."""

    rates: list[float]
    cpu: list[float]  # seconds for one

    def rate(self) -> Figure:
        """Return the median rate."""
        return Figure(statistics.median(self.rates), "/s", min(self.rates))

    def cost(self, unit: str, times: float) -> Figure:
        """Return the median CPU for one."""
        return Figure(statistics.median(self.cpu) * times, unit, max(self.cpu) * times)


def rows(workshop: Workshop) -> list[Row]:
    """Load the emulator, and mosquitto where there is one; each in a process of its own."""
    if sys.platform != "linux":
        raise Unmeasured("the CPU of another process is read as Linux gives it")
    cores = list(placements().values())[-1]
    with on_core(cores[1]):
        ours = _loaded(lambda: _emulator(workshop, cores[0]))
        theirs = None
        if shutil.which(_MOSQUITTO):
            theirs = _loaded(lambda: _mosquitto(workshop, cores[0]))
    return _rows(ours, theirs)


def _rows(ours: tuple[Taken, Taken], theirs: tuple[Taken, Taken] | None) -> list[Row]:
    against = _MOSQUITTO if theirs else f"{_MOSQUITTO}: not installed"
    connects, publishes = ours
    connect, cost = (theirs[0].rate(), theirs[0].cost("ms", 1e3)) if theirs else (None, None)
    publish, price = (theirs[1].rate(), theirs[1].cost("us", 1e6)) if theirs else (None, None)
    return [
        Row("connects", connects.rate(), connect, against,
            "mosquitto 275/s, amqtt 270/s, 40 lines 604/s", Bar(600, at_most=False), _HOW),
        Row("CPU of one connect", connects.cost("ms", 1e3), cost, against,
            "mosquitto 0.5 ms, amqtt 2.4 ms", note=_HOW),
        Row("publishes at QoS 1", publishes.rate(), publish, against,
            "mosquitto 29 858/s, amqtt 4 332/s", Bar(24_000, at_most=False), _HOW),
        Row("CPU of one publish", publishes.cost("us", 1e6), price, against,
            "mosquitto 12 us, amqtt 162 us", note=_HOW),
    ]  # fmt: skip


_HOW = (
    f"medians of {_ROUNDS} rounds (.. the worst): {_CONNECTS} connects (TLS, CONNECT with a SAS"
    f" token, SUBSCRIBE), {_AT_ONCE} at once; {_CLIENTS} clients x {_EACH} publishes, each PUBACK"
    " awaited; the load, which is Python too, on the other core; both show the same RSA"
    " certificate; mosquitto takes anybody, it checks no token"
)


def _loaded(start: Callable[[], AbstractContextManager[Server]]) -> tuple[Taken, Taken]:
    with start() as server:
        context = ssl.create_default_context(cafile=str(server.ca))
        logins = [
            load.Login(name, hub.username(HUB, name), cloud.password(name))
            for name in cloud.names(_CONNECTS)
        ]
        connects, publishes = Taken([], []), Taken([], [])
        for _ in range(_ROUNDS):
            _round(server, context, logins, connects, publishes)
        return connects, publishes


def _round(
    server: Server,
    context: ssl.SSLContext,
    logins: list[load.Login],
    connects: Taken,
    publishes: Taken,
) -> None:
    used = server.cpu()
    seconds, clients = load.connect_all(server.port, context, logins, _AT_ONCE)
    connects.rates.append(len(clients) / seconds)
    connects.cpu.append((server.cpu() - used) / len(clients))
    some = [
        (client, hub.telemetry_topic(login.client_id))
        for client, login in zip(clients[:_CLIENTS], logins, strict=False)
    ]
    used = server.cpu()
    seconds = load.publish_all(some, b"x" * 61, _EACH)
    publishes.rates.append(_CLIENTS * _EACH / seconds)
    publishes.cpu.append((server.cpu() - used) / (_CLIENTS * _EACH))
    for client in clients:
        client.close()


def _state(workshop: Workshop) -> Path:
    return workshop.folder / "cloud"


@contextmanager
def _emulator(workshop: Workshop, core: int | None) -> Iterator[Server]:
    folder = _state(workshop)
    command = [sys.executable, "-m", "bench.cloud", str(folder), str(_CONNECTS)]
    with on_core(core):
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise CommandError("the emulator did not start")
        try:
            yield Server(int(line), process.pid, folder / CA_FILE)
        finally:
            process.stdin.close()


@contextmanager
def _mosquitto(workshop: Workshop, core: int | None) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = workshop.folder / "mosquitto.conf"
    # the emulator's own: an RSA signature is most of what a connect costs
    state = _state(workshop)
    certificate = state / "server.pem"
    settings.write_text(
        f"listener {port} 127.0.0.1\ncertfile {certificate}\nkeyfile {certificate}\n"
        f"allow_anonymous true\nuser {getpass.getuser()}\npersistence false\nlog_type none\n"
        "set_tcp_nodelay true\n"
    )
    with on_core(core):
        process = subprocess.Popen([_MOSQUITTO, "-c", str(settings)], stderr=subprocess.DEVNULL)
    with process:
        try:
            _wait_for(port)
            yield Server(port, process.pid, state / CA_FILE)
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    end = time.monotonic() + 5
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise CommandError("mosquitto did not start") from None
            time.sleep(0.05)
