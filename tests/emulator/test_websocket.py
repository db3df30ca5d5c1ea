"""MQTT over WebSocket: paho, Azure's SDK, and a client that sends frames no library would."""

import asyncio
import json
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from starlette.applications import Starlette
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)

from host_tools.emulator.cloud import Cloud
from host_tools.emulator.config import Config
from host_tools.emulator.mqtt.connect import Connack, Connect
from host_tools.emulator.mqtt.framing import Framer
from host_tools.emulator.mqtt.packets import Pingresp, Puback, Publish, parse
from host_tools.emulator.mqtt.subscribe import Suback, Subscribe
from host_tools.emulator.serve.line import Line
from host_tools.emulator.serve.websocket import routes
from host_tools.keys import decode_key, encode_key
from keystead import hub
from keystead.sas import sas_token
from tests.emulator.cloud_fixtures import HUB, LIMIT, CloudProcess, awaited, port_of_sdks, running
from tests.emulator.packet_client import Client
from tests.emulator.test_azure_iot_hub import CONFIG, OWN_KEY, do
from tests.emulator.test_rest import FREE, client, control

PATH = "/$iothub/websocket"
TELEMETRY = "devices/pump-7/messages/events/"
C2D = "devices/pump-7/messages/devicebound/#"


class Refused(Exception):
    """The hand-shake was answered with something else than 101."""


class WebSocket:
    """A client's end of a WebSocket, frame by frame."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._ws = WSConnection(ConnectionType.CLIENT)
        self._events: list[Event] = []
        self._framer = Framer()
        self._packets: list = []

    async def shake(self, host: str, path: str, protocols: list[str]) -> str | None:
        """Begin; return the subprotocol; raise Refused with the answer's body."""
        self.send(Request(host=host, target=path, subprotocols=protocols))
        answer = await self.event()
        if isinstance(answer, RejectConnection):
            body = b""
            while isinstance(data := await self.event(), RejectData):
                body += data.data
                if data.body_finished:
                    break
            raise Refused(answer.status_code, body)
        assert isinstance(answer, AcceptConnection)
        assert answer.extensions == []
        return answer.subprotocol

    def send(self, event: Event) -> None:
        self._writer.write(self._ws.send(event))

    def send_bytes(self, data: bytes) -> None:
        self.send(BytesMessage(data=data))

    async def event(self) -> Event:
        """The next thing that comes."""
        async with asyncio.timeout(LIMIT):
            while not self._events:
                data = await self._reader.read(65536)
                self._ws.receive_data(data or None)
                self._events += self._ws.events()
        return self._events.pop(0)

    async def packet(self) -> object:
        """The next MQTT packet; None at the end."""
        while not self._packets:
            event = await self.event()
            if isinstance(event, CloseConnection):
                self.code = event.code
                return None
            assert isinstance(event, BytesMessage)
            self._packets += [parse(*one) for one in self._framer.feed(bytes(event.data))]
        return self._packets.pop(0)

    async def ask(self, packet: object) -> object:
        self.send_bytes(packet if isinstance(packet, bytes) else packet.encode())
        return await self.packet()

    def abort(self) -> None:
        self._writer.transport.abort()

    def pause(self) -> None:
        self._writer.transport.pause_reading()


@asynccontextmanager
async def websocket(
    cloud: CloudProcess, path: str = PATH, protocols: tuple[str, ...] = ("mqtt",)
) -> AsyncIterator[WebSocket]:
    context = ssl.create_default_context(cafile=cloud.facts["ca"])
    port = int(control(cloud)["url"].rpartition(":")[2])
    reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
    found = WebSocket(reader, writer)
    try:
        assert await found.shake(f"localhost:{port}", path, list(protocols)) == "mqtt"
        yield found
    finally:
        found.abort()


async def connecting(cloud: CloudProcess, clean: bool = True) -> Connect:
    """What a device says first, that is made for it."""
    path = f"/keystead/hubs/{HUB}/devices/pump-7"
    async with client(cloud) as http:
        made = await http.get(path)
        if made.status_code == 404:
            made = await http.put(path, json={})
    key = decode_key(made.json()["authentication"]["symmetricKey"]["primaryKey"], "it")
    token = sas_token(hub.resource(HUB, "pump-7"), key, int(time.time()) + 3600)
    return Connect("pump-7", hub.username(HUB, "pump-7"), token.encode(), clean=clean)


@pytest.mark.parametrize("tail", ["", "?iothub-no-client-cert=true", "?a=%26&b"])
@awaited
async def test_a_device_works_by_it_as_by_any_other_connection(tail: str) -> None:
    async with running(*FREE) as cloud:
        connect = await connecting(cloud)
        async with websocket(cloud, PATH + tail) as device, client(cloud) as http:
            assert await device.ask(connect) == Connack(0)
            assert await device.ask(Subscribe(1, ((C2D, 1),))) == Suback(1, (1,))
            assert await device.ask(Publish(TELEMETRY, b'{"t":1}', 1, 2)) == Puback(2)
            assert (await cloud.event("telemetry"))["body"] == '{"t":1}'
            # what nobody on this connection asked for comes, too
            await http.post(f"/keystead/hubs/{HUB}/devices/pump-7/messages", content=b"hello")
            message = await device.packet()
            assert (type(message).__name__, message.payload) == ("Publish", b"hello")
            device.send(CloseConnection(code=1000))
            ended = await cloud.event("disconnected", device_id="pump-7")
            assert ended["why"] == "it closed the connection"


@awaited
async def test_where_a_packet_begins_in_a_frame_says_nothing() -> None:
    async with running(*FREE) as cloud:
        connect = await connecting(cloud)
        async with websocket(cloud) as device:
            for byte in connect.encode():
                device.send_bytes(bytes([byte]))
            assert await device.packet() == Connack(0)
            two_and_a_half = Publish(TELEMETRY, b"a", 1, 1).encode() * 2 + b"\xc0"
            device.send_bytes(two_and_a_half)
            assert [await device.packet(), await device.packet()] == [Puback(1)] * 2
            device.send(BytesMessage(data=b"\x00\xc0", message_finished=False))
            device.send(BytesMessage(data=b"\x00"))
            assert [type(await device.packet()) for _ in range(2)] == [Pingresp] * 2


@awaited
async def test_without_the_subprotocol_or_an_upgrade_it_is_a_bad_request() -> None:
    async with running(*FREE) as cloud, client(cloud) as http:
        for protocols in ((), ("amqp",), ("mqttv3.1",)):
            with pytest.raises(Refused) as refused:
                async with websocket(cloud, protocols=protocols):
                    pass
            status, body = refused.value.args
            assert status == 400
            assert "subprotocol" in json.loads(body)["Message"]
        plain = await http.get(PATH)
        assert plain.status_code == 400
        assert "WebSocket" in plain.json()["Message"]


@awaited
async def test_text_noise_and_frames_that_are_too_large_end_one_connection_only() -> None:
    async with running(*FREE) as cloud:
        connect = await connecting(cloud)
        async with websocket(cloud) as device:
            assert await device.ask(connect) == Connack(0)
            async with websocket(cloud) as rude:
                rude.send(TextMessage(data="hello"))
                assert await rude.packet() is None
                assert rude.code == 1003
                assert "binary" in (await cloud.event("dropped"))["why"]
            async with websocket(cloud) as rude:
                rude.send_bytes(b"\xff" * 1000)
                assert await rude.packet() is None
                await cloud.event("dropped", why="no packet begins with byte 0xff")
            async with websocket(cloud) as rude:
                rude.send_bytes(b"\0" * (2 * 1024 * 1024))
                assert await rude.packet() is None
                assert rude.code == 1009
                assert "too large" in (await cloud.event("dropped"))["why"]
            async with websocket(cloud) as rude:
                rude.abort()
                assert (await cloud.event("dropped"))["why"] == "it closed the connection"
            assert type(await device.ask(b"\xc0\x00")) is Pingresp


@awaited
async def test_a_device_that_comes_back_by_another_way_takes_over() -> None:
    async with running(*FREE) as cloud:
        connect = await connecting(cloud)
        async with websocket(cloud) as first:
            assert await first.ask(connect) == Connack(0)
            async with Client(cloud.facts["port"], cloud.facts["ca"]) as second:
                assert await second.ask(connect) == Connack(0)
                assert await first.packet() is None
                async with websocket(cloud) as third:
                    assert await third.ask(connect) == Connack(0)
                    assert await second.next() is None


@awaited
async def test_deadlines_are_looked_at() -> None:
    async with running(*FREE) as cloud:
        connect = await connecting(cloud)
        async with websocket(cloud) as device:
            hasty = Connect(connect.client_id, connect.username, connect.password, keep_alive=1)
            assert await device.ask(hasty) == Connack(0)
            assert await device.packet() is None
            await cloud.event("disconnected", why="it was silent for 1.5 times its keep-alive")


@awaited
async def test_who_asks_and_does_not_read_disturbs_nobody() -> None:
    async with running(*FREE) as cloud:
        connect = await connecting(cloud)
        async with websocket(cloud) as greedy:
            assert await greedy.ask(connect) == Connack(0)
            patch = json.dumps({str(n): "v" * 4000 for n in range(7)}).encode()
            topic = "$iothub/twin/PATCH/properties/reported/?$rid=1"
            assert await greedy.ask(Publish(topic, patch))
            greedy.pause()
            asked = Publish("$iothub/twin/GET/?$rid=1", b"").encode() * 1000
            for _ in range(100):
                greedy.send_bytes(asked)
            async with websocket(cloud) as other, client(cloud) as http:
                await http.put(f"/keystead/hubs/{HUB}/devices/other", json={})
                assert await other.ask(b"\xff") is None
            memory = Path(f"/proc/{cloud.process.pid}/status")
            if memory.exists():
                peak = memory.read_text().partition("VmHWM:")[2].split()[0]
                assert int(peak) < 300_000


@awaited
async def test_who_does_not_take_the_last_word_is_let_go() -> None:
    gone = asyncio.Event()
    said = [{"type": "websocket.connect"}, {"type": "websocket.receive", "bytes": b"\xc0\0"}]

    async def receive() -> dict:
        if not said:
            await gone.wait()
            return {"type": "websocket.disconnect"}
        return said.pop(0)

    async def send(message: dict) -> None:
        if message["type"] != "websocket.accept":
            await gone.wait()
            raise OSError("gone")

    scope = {
        "type": "websocket", "path": PATH, "subprotocols": ["mqtt"], "headers": [],
        "state": Line(abort=gone.set).state(),
    }  # fmt: skip
    with Cloud(Config(), on_event=lambda event: None) as cloud:
        app = Starlette(routes=routes(cloud, patience=0.1))
        async with asyncio.timeout(LIMIT):
            await app(scope, receive, send)
    assert gone.is_set()


@awaited
async def test_it_ends_with_the_cloud() -> None:
    async with running(*FREE) as cloud:
        connect = await connecting(cloud)
        async with websocket(cloud) as device, websocket(cloud) as silent:
            assert await device.ask(connect) == Connack(0)
            cloud.stop(signal.SIGTERM)
            assert [await device.packet(), await silent.packet()] == [None, None]
            assert (device.code, silent.code) == (1001, 1001)
            await cloud.event("disconnected", why="the cloud stops")
            assert await cloud.ended() == 0


@awaited
async def test_a_rule_of_the_faults_reaches_it_too() -> None:
    rule = {"who": "pump-7", "when": "it sends telemetry", "gets": "a dropped socket"}
    async with running(*FREE) as cloud, client(cloud) as http:
        connect = await connecting(cloud)
        assert (await http.post("/keystead/faults", json=rule)).status_code == 200
        async with websocket(cloud) as device:
            assert await device.ask(connect) == Connack(0)
            device.send_bytes(Publish(TELEMETRY, b"x", 1, 1).encode())
            with pytest.raises((ConnectionError, AssertionError)):
                assert await device.packet() is not None
        assert (await cloud.event("disconnected"))["why"].endswith("as a rule wants")


# --- libraries


def with_paho(port: int, ca: str, connect: Connect) -> list[bytes]:
    """Connect, subscribe, send a message, wait for one; return what came."""
    got: list[bytes] = []
    device = paho.Client(connect.client_id, clean_session=True, transport="websockets")
    device.ws_set_options(path=PATH)
    device.tls_set_context(ssl.create_default_context(cafile=ca))
    device.username_pw_set(connect.username, connect.password.decode())
    device.on_connect = lambda *_: device.subscribe(C2D, 1)
    device.on_subscribe = lambda *_: device.publish(TELEMETRY, b"from paho", 1)
    device.on_message = lambda client, user, message: (
        got.append(message.payload), device.disconnect()
    )  # fmt: skip
    device.connect("localhost", port)
    until = time.monotonic() + LIMIT
    while device.loop(0.5) == paho.MQTT_ERR_SUCCESS and time.monotonic() < until:
        pass
    return got


@awaited
async def test_paho_speaks_it() -> None:
    async with running(*FREE) as cloud, client(cloud) as http:
        connect = await connecting(cloud)
        port = int(control(cloud)["url"].rpartition(":")[2])
        work = asyncio.create_task(asyncio.to_thread(with_paho, port, cloud.facts["ca"], connect))
        assert (await cloud.event("telemetry"))["body"] == "from paho"
        await http.post(f"/keystead/hubs/{HUB}/devices/pump-7/messages", content=b"for paho")
        assert await work == [b"for paho"]
        await cloud.event("disconnected", why="it said goodbye")


@awaited
async def test_azures_device_sdk_registers_and_answers_a_method_by_it(tmp_path: Path) -> None:
    config = tmp_path / "cloud.toml"
    config.write_text(CONFIG)
    with port_of_sdks(443):
        async with running(
            "--config", config, "--port", 0, "--rest-port", 443, "--advertise", "localhost",
            "--show-keys",
        ) as cloud:  # fmt: skip
            device = await asyncio.create_subprocess_exec(
                sys.executable,
                str(Path(__file__).with_name("azure_answering.py")),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            job = {
                "key": encode_key(OWN_KEY),
                "ca": Path(cloud.facts["ca"]).read_text(),
                "id_scope": cloud.facts["id_scope"],
                "websockets": True,
            }
            device.stdin.write(json.dumps(job).encode())
            device.stdin.write_eof()
            try:
                async with asyncio.timeout(2 * LIMIT):
                    assert await device.stdout.readline() == b"listening\n"
                answer = await do(cloud, "call", "pump-7")
                assert (answer["status"], answer["payload"]) == (207, {"heard": {"delay": 1}})
            finally:
                device.kill()
                await device.communicate()
