"""A cloud in a thread of its own, with rules, and a device's end of a TLS connection to it."""

import asyncio
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

from host_tools.emulator.cloud import Cloud
from host_tools.emulator.config import Config
from host_tools.emulator.dps.enrollment import EnrollmentGroup
from host_tools.emulator.faults.rule import Rule
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.mqtt.connect import Connack, Connect
from host_tools.emulator.mqtt.framing import Framer
from host_tools.emulator.mqtt.packets import Publish, parse
from host_tools.emulator.mqtt.subscribe import Suback, Subscribe
from host_tools.emulator.serve.listener import serve
from host_tools.keys import derive_device_key
from keystead import dps, hub
from keystead.sas import sas_token
from tests.emulator.cloud_fixtures import HUB, LIMIT

GROUP_KEY = bytes(range(64))
OTHER_HUB = "other-hub.azure-devices.net"
ID_SCOPE = "0ne00002193"
QUIET = 0.6  # seconds without a word: more than two looks of the cloud at its deadlines
TWIN = "$iothub/twin/res/#"
GET = Publish("$iothub/twin/GET/?$rid=9", b"", 1, 7)


class Bench:
    """A cloud that is served, and what happened in it."""

    def __init__(
        self, cloud: Cloud, port: int, events: list, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.cloud = cloud
        self.port = port
        self.events = events
        self._loop = loop

    def do(self, action: Callable[[Cloud], object]) -> object:
        """Do something in the cloud's own thread; return what it returns."""

        async def act() -> object:
            return action(self.cloud)

        return asyncio.run_coroutine_threadsafe(act(), self._loop).result(LIMIT)

    def rules(self, *rules: object) -> None:
        """Put these rules in force, and no other."""

        def renew(cloud: Cloud) -> None:
            cloud.faults.clear()
            for rule in rules:
                cloud.faults.add(Rule.from_json(rule), time.time())

        self.do(renew)  # not between two steps of the thread that goes by them

    def event(self, kind: type, **wanted: object) -> object:
        """Wait for an event with these fields; return it."""
        until = time.monotonic() + LIMIT
        while time.monotonic() < until:
            for event in list(self.events):
                if isinstance(event, kind) and wanted.items() <= vars_of(event).items():
                    return event
            threading.Event().wait(0.01)
        raise AssertionError(f"no {kind.__name__} with {wanted} in {self.events}")


def vars_of(event: object) -> dict:
    """Return an event's fields."""
    return {field.name: getattr(event, field.name) for field in fields(event)}


@contextmanager
def served(directory: Path, port: int = 0, advertise: str = "") -> Iterator[Bench]:
    """Serve a cloud in another thread until the block ends."""
    events: list = []
    config = Config(
        assigning_replies=1,
        retry_after=1,
        groups=(
            EnrollmentGroup("mylegacydevices", hub=HUB, keys=KeyPair(GROUP_KEY)),
            EnrollmentGroup("others", hub=OTHER_HUB, keys=KeyPair(bytes(64))),
        ),
    )
    ready: queue.Queue = queue.Queue()

    async def run() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        with Cloud(config, on_event=events.append, state_dir=directory, advertise=advertise) as it:
            async with serve(it, "127.0.0.1", port) as listener:
                ready.put((Bench(it, listener.port, events, loop), loop, stop))
                await stop.wait()

    def run_in_thread() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            ready.put(error)
            raise

    thread = threading.Thread(target=run_in_thread)
    thread.start()
    up = ready.get(timeout=LIMIT)
    assert isinstance(up, tuple), up
    bench, loop, stop = up
    try:
        yield bench
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(LIMIT)
        assert not thread.is_alive()


class Device:
    """A device's end; nothing is read that is not asked for."""

    def __init__(
        self,
        bench: Bench,
        name: str = "dev-1",
        dial: str = "localhost",
        version: ssl.TLSVersion | None = None,
    ) -> None:
        context = ssl.create_default_context(cadata=bench.cloud.ca_der)
        # else a dropped socket looks like an end in order, as older Pythons have it
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        if version:
            context.minimum_version = context.maximum_version = version
        self.name = name
        self._framer = Framer()
        raw = socket.create_connection(("127.0.0.1", bench.port), timeout=LIMIT)
        try:
            self.socket = context.wrap_socket(
                raw, server_hostname=dial, suppress_ragged_eofs=False
            )
        except BaseException:
            raw.close()
            raise

    def __enter__(self) -> "Device":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def say(self, *packets: object) -> None:
        """Send packets in one piece."""
        encoded = (one if isinstance(one, bytes) else one.encode() for one in packets)
        self.socket.sendall(b"".join(encoded))

    def hear(self, count: int = 1) -> list:
        """Read so many packets."""
        heard: list = []
        while len(heard) < count:
            data = self.socket.recv(65536)
            assert data, f"the connection ended after {heard}"
            heard += [parse(*packet) for packet in self._framer.feed(data)]
        return heard

    def ask(self, *packets: object, count: int = 1) -> list:
        """Send packets; read so many."""
        self.say(*packets)
        return self.hear(count)

    def raw(self, size: int) -> bytes:
        """Read so many bytes."""
        data = b""
        while len(data) < size:
            data += self.socket.recv(size - len(data)) or b"(the end)"
        return data

    def is_quiet(self) -> bool:
        """Tell whether nothing comes for a while, and no end either."""
        self.socket.settimeout(QUIET)
        try:
            self.socket.recv(1)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(LIMIT)
        return False

    def end(self) -> str:
        """Read up to the end; tell what it was like."""
        try:
            while self.socket.recv(65536):
                pass
        except (ssl.SSLEOFError, ConnectionResetError):
            return "dropped"
        except ssl.SSLError as error:  # older Pythons make no SSLEOFError of it
            if error.reason != "UNEXPECTED_EOF_WHILE_READING":
                raise
            return "dropped"
        return "in order"

    def at_dps(self) -> list:
        """Connect to DPS, subscribe, return what was answered."""
        return self.ask(connect_to_dps(self.name), Subscribe(1, ((dps.RESPONSES, 1),)), count=2)

    def at_hub(self, *filters: str) -> list:
        """Connect to the hub, subscribe, return what was answered."""
        asked = tuple((one, 1) for one in filters or (TWIN,))
        return self.ask(connect_to_hub(self.name), Subscribe(1, asked), count=2)


WELCOME = [Connack(0), Suback(1, (1,))]


def connect_to_dps(name: str) -> Connect:
    """Return a CONNECT with a good token."""
    key = derive_device_key(GROUP_KEY, name)
    token = sas_token(dps.resource(ID_SCOPE, name), key, int(time.time()) + 3600)
    return Connect(name, dps.username(ID_SCOPE, name), token.encode())


def connect_to_hub(name: str, host: str = HUB) -> Connect:
    """Return a CONNECT with a good token."""
    key = derive_device_key(GROUP_KEY, name)
    token = sas_token(hub.resource(host, name), key, int(time.time()) + 3600)
    return Connect(name, hub.username(host, name), token.encode())


def register(number: int = 1) -> Publish:
    """Return the question for a hub."""
    return Publish(f"$dps/registrations/PUT/iotdps-register/?$rid={number}", b"{}", 1, number)


def poll(operation_id: str, number: int = 2) -> Publish:
    """Return the question whether it is done."""
    topic = "$dps/registrations/GET/iotdps-get-operationstatus/"
    return Publish(f"{topic}?$rid={number}&operationId={operation_id}", b"", 1, number)


def provision(bench: Bench, name: str) -> str:
    """Register a device as all should; return its hub."""
    with Device(bench, name) as device:
        device.at_dps()
        registration = dps.Registration(name)
        while registration.assignment is None:
            _, answer = device.ask(Publish(*registration.request(), 1, 5), count=2)
            registration.receive(answer.topic, answer.payload, 0)
        return registration.assignment.hub
