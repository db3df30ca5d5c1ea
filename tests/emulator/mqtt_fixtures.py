"""A cloud of its own for MQTT clients of all kinds, kept for a whole module of tests.

Clients that bring threads of their own (paho) and bare sockets live here without asyncio.
"""

import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host_tools.emulator.mqtt.connect import Connack, Connect
from host_tools.emulator.mqtt.framing import Framer
from host_tools.emulator.mqtt.packets import Disconnect, Packet, Puback, Publish, parse
from host_tools.emulator.mqtt.subscribe import Subscribe
from host_tools.keys import derive_device_key, encode_key
from keystead import dps, hub
from keystead.sas import sas_token
from tests.emulator.cloud_fixtures import HUB, LIMIT

GROUP_KEY = bytes(range(64))
SCOPE = "0ne00002193"
NAME = "dev-1"  # of the device that modules of tests share
CONFIG = f"""
[dps]
id_scope = "{SCOPE}"
assigning_replies = 1
retry_after = 1

[[enrollment_group]]
name = "mylegacydevices"
primary_key = "{encode_key(GROUP_KEY)}"
hub = "{HUB}"
"""


class Bench:
    """A running `keystead cloud --json`, read by a thread."""

    def __init__(self, directory: Path) -> None:
        self.ca = directory / "ca.pem"
        config = directory / "cloud.toml"
        config.write_text(CONFIG)
        command = [sys.executable, "-W", "error", "-m", "host_tools", "cloud", "--json"]
        self._complaints = (directory / "stderr").open("w+")
        self.process = subprocess.Popen(
            [*command, "--config", config, "--port", "0", "--ca-out", self.ca],
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
        )
        self._events: list[dict] = []
        self._change = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.port: int = self.event("listening")["port"]
        self.tls = ssl.create_default_context(cafile=self.ca)

    def _read(self) -> None:
        for line in self.process.stdout:
            with self._change:
                self._events.append(json.loads(line))
                self._change.notify_all()
        with self._change:
            self._ended = True
            self._change.notify_all()

    def event(self, name: str, **fields: object) -> dict:
        """Wait for an event with this name and these fields; take it and return it."""
        deadline = time.monotonic() + LIMIT
        with self._change:
            while True:
                for event in self._events:
                    if event["event"] == name and fields.items() <= event.items():
                        self._events.remove(event)
                        return event
                patience = deadline - time.monotonic()
                if self._ended or patience < 0 or not self._change.wait(patience):
                    raise AssertionError(f"no {name} with {fields} in {self._events}")

    def forget_events(self) -> None:
        """Keep no event that nobody waits for."""
        with self._change:
            self._events.clear()

    def stop(self) -> None:
        """End the cloud; it must end cleanly and complain about nothing."""
        self.process.terminate()
        try:
            code = self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self._reader.join(LIMIT)
        self.process.stdout.close()
        self._complaints.seek(0)
        complaints = self._complaints.read()
        self._complaints.close()
        assert code == 0, complaints
        assert "Error" not in complaints, complaints
        assert "Warning" not in complaints, complaints

    def memory(self) -> int:
        """Return how many bytes of memory the cloud has."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def at_dps(self, name: str, **changes: object) -> Connect:
        """Return a device's CONNECT for DPS."""
        token = sas_token(dps.resource(SCOPE, name), device_key(name), _soon())
        fields = {"username": dps.username(SCOPE, name), "password": token.encode(), **changes}
        return Connect(**{"client_id": name, **fields})

    def at_hub(self, name: str, **changes: object) -> Connect:
        """Return a device's CONNECT for its hub."""
        token = sas_token(hub.resource(HUB, name), device_key(name), _soon())
        fields = {"username": hub.username(HUB, name), "password": token.encode(), **changes}
        return Connect(**{"client_id": name, **fields})

    def provision(self, name: str) -> str:
        """Have DPS assign a device to its hub; return its ID."""
        topic, body = dps.Registration(name).request()
        with self.line(self.at_dps(name)) as line:
            line.send(Subscribe(1, ((dps.RESPONSES, 1),)), Publish(topic, body, 1, 2))
            while not isinstance(packet := line.packet(), Publish):
                pass
            operation = json.loads(packet.payload)["operationId"]
            poll = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId="
            line.send(Publish(poll + operation, b""))
            assert isinstance(answer := line.packet(), Publish)
            assert json.loads(answer.payload)["status"] == "assigned"
            line.send(Disconnect())
        return name

    @contextmanager
    def line(self, connect: Connect | None = None) -> Iterator["Line"]:
        """Open a connection; connect: say this and expect to be let in."""
        with (
            socket.create_connection(("127.0.0.1", self.port), LIMIT) as plain,
            self.tls.wrap_socket(plain, server_hostname="localhost") as tls,
        ):
            line = Line(tls)
            if connect:
                line.send(connect)
                assert line.packet() == Connack(0)
            yield line


class Line:
    """A TLS connection, packet by packet, or whatever bytes one likes."""

    def __init__(self, tls: ssl.SSLSocket) -> None:
        self.tls = tls
        self._framer = Framer()
        self._packets: list[Packet] = []

    def send(self, *packets: Packet | bytes) -> None:
        """Send packets, or bytes that are none."""
        self.tls.sendall(b"".join(p if isinstance(p, bytes) else p.encode() for p in packets))

    def packet(self) -> Packet | None:
        """Wait for the next packet; None at the end of the connection."""
        while not self._packets:
            data = self.tls.recv(65536)
            if not data:
                return None
            self._packets += [parse(*packet) for packet in self._framer.feed(data)]
        return self._packets.pop(0)

    def rest(self) -> list[Packet]:
        """Wait for the end of the connection; return what came before it."""
        packets = []
        while packet := self.packet():
            packets.append(packet)
        return packets


class Neighbour:
    """A device that goes on working, whatever others do."""

    def __init__(self, line: Line, name: str) -> None:
        self._line = line
        self._topic = hub.telemetry_topic(name)
        self._packet_id = 0

    def works(self) -> None:
        """Publish a message and see it acknowledged, on the connection it always had."""
        self._packet_id = self._packet_id % 65535 + 1
        self._line.send(Publish(self._topic, b"{}", 1, self._packet_id))
        assert self._line.packet() == Puback(self._packet_id)


@contextmanager
def bench(directory: Path) -> Iterator[Bench]:
    """Run a cloud on a free port until the block ends."""
    running = Bench(directory)
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def neighbour(bench: Bench, name: str = "neighbour") -> Iterator[Neighbour]:
    """Connect a device that stays until the block ends."""
    bench.provision(name)
    with bench.line(bench.at_hub(name)) as line:
        yield Neighbour(line, name)


def device_key(name: str) -> bytes:
    """Return the key of a device in the group."""
    return derive_device_key(GROUP_KEY, name)


def _soon() -> int:
    return int(time.time()) + 3600
