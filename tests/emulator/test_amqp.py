"""AMQP over TLS: Azure's own Python SDK, unmodified, and clients that do not behave.

The SDK dials port 5671 and no other, so its tests need it, and run one at a time.
"""

import asyncio
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from host_tools.emulator.amqp.door import Door, Principal
from host_tools.emulator.amqp.errors import FORCED, FRAMING_ERROR
from host_tools.emulator.amqp.framing import AMQP, Frame, Framer, frame, header
from host_tools.emulator.amqp.hub_door import HubDoor
from host_tools.emulator.amqp.performatives import Begin, Close, Open, parse
from host_tools.emulator.hub.hubs import Hubs
from host_tools.emulator.hub.messages import CloudMessage
from host_tools.emulator.serve.amqp import AmqpListener, serve_amqp
from host_tools.emulator.serve.certificates import Certificates
from host_tools.emulator.store.database import Database
from host_tools.errors import CommandError
from host_tools.keys import encode_key
from tests.emulator.cloud_fixtures import HUB, LIMIT, awaited, port_of_sdks
from tests.emulator.scripted import abort
from tests.unit.amqp_line import KEY, Doorman


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("ca"))


@asynccontextmanager
async def serving(
    certificates: Certificates, door: Door, port: int = 0
) -> AsyncIterator[AmqpListener]:
    context = certificates.context(["localhost"])
    failed = door.failed if isinstance(door, Doorman) else print
    async with serve_amqp(door, context, "127.0.0.1", port, failed) as listener:
        yield listener


# --- the SDK


async def send(
    certificates: Certificates, directory: Path, key: bytes, *messages: Any, trusting: bool = True
) -> list[dict[str, Any]]:
    """Have the SDK send (device ID, body, properties); return what it says to each."""
    ca = directory / "ca.pem"
    ca.write_bytes(certificates.ca_pem)
    string = (
        f"HostName=localhost:8443;SharedAccessKeyName=service;SharedAccessKey={encode_key(key)}"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("amqp_service.py")),
        env=os.environ | ({"SSL_CERT_FILE": str(ca)} if trusting else {}),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    job = json.dumps({"connection_string": string, "messages": messages})
    try:
        async with asyncio.timeout(2 * LIMIT):
            out, _ = await process.communicate(job.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    *said, closed = map(json.loads, out.splitlines())
    assert closed["closed_in"] < LIMIT
    return said


@awaited
async def test_the_sdk_sends_messages_with_all_their_properties(tmp_path, certificates):
    door = Doorman()
    properties = {
        "messageId": "m1",
        "correlationId": "c1",
        "contentType": "application/json",
        "contentEncoding": "utf-8",
        "expiryTimeUtc": 2_000_000_000_000,
        "iothub-ack": "full",
        "alarm level": "high&low",
    }
    with port_of_sdks(5671):
        async with serving(certificates, door, 5671):
            said = await send(
                certificates,
                tmp_path,
                KEY,
                ("dev-1", '{"t": "ü"}', properties),
                ("Dev:2+#%", list(b"\x00\xff"), {"messageId": "m2"}),
                ("dev-1", "x" * 65_000, {"messageId": "m3", "count": 3}),
            )
    assert said == [{}, {}, {}]
    assert door.hosts == ["localhost"]
    assert door.sent == [
        (
            "dev-1",
            CloudMessage(
                '{"t": "ü"}'.encode(),
                message_id="m1",
                correlation_id="c1",
                content_type="application/json",
                content_encoding="utf-8",
                ack="full",
                expires=2_000_000_000.0,
                properties={"alarm level": "high&low"},
            ),
        ),
        ("Dev:2+#%", CloudMessage(b"\x00\xff", message_id="m2")),
        ("dev-1", CloudMessage(b"x" * 65_000, message_id="m3", properties={"count": "3"})),
    ]
    ((principal, _, why),) = door.gone
    assert isinstance(principal, Principal)
    assert (principal.policy, why) == ("service", "it said goodbye")


@awaited
async def test_the_sdk_hears_what_a_real_hub_does_not_take_and_goes_on(tmp_path, certificates):
    database = Database(tmp_path / "state")
    hubs = Hubs([HUB], database, lambda event: None)
    hub = hubs.hub(HUB)
    hub.create("dev-1", 1_700_000_000)
    with port_of_sdks(5671):
        async with serving(certificates, HubDoor(hubs, lambda event: None), 5671):
            said = await send(
                certificates,
                tmp_path,
                hub.policies.keys("service").primary,
                ("dev-1", "one", {}),
                ("nobody", "none", {}),
                ("dev-1", "x" * 70_000, {}),
                ("dev-1", "x" * 200_000, {}),
                ("dev-1", "three", {"iothub-ack": "sometimes"}),
                *[("dev-1", "more", {})] * 50,
            )
    assert hub.pending("dev-1") == 50
    database.close()
    failure = {"error": "Exception", "text": "C2D message send failure"}
    assert said == [{}, failure, failure, failure, failure, *[{}] * 49, failure]


@awaited
async def test_a_wrong_key_is_an_exception_that_says_so(tmp_path, certificates):
    door = Doorman()
    with port_of_sdks(5671):
        async with serving(certificates, door, 5671):
            (said,) = await send(certificates, tmp_path, b"x" * 32, ("dev-1", "hello", {}))
    assert said["error"] == "TokenAuthFailure"
    assert "Status code: 401" in said["text"]
    assert door.sent == []


@awaited
async def test_an_unknown_ca_ends_in_an_exception_and_the_operator_hears_why(
    tmp_path, certificates
):
    door = Doorman()
    with port_of_sdks(5671):
        async with serving(certificates, door, 5671):
            (said,) = await send(
                certificates, tmp_path, KEY, ("dev-1", "hello", {}), trusting=False
            )
    assert said["error"]
    assert any("TLS" in why for why in door.failures)


# --- clients that do not behave


class Client:
    """A TLS connection, and the frames that come by it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._framer = Framer()

    async def said(self, kind: type) -> Any:
        """Wait for a performative; skip others."""
        async with asyncio.timeout(LIMIT):
            while True:
                while item := self._framer.take():
                    if isinstance(item, Frame) and item.body:
                        said = parse(item.body)[0]
                        if isinstance(said, kind):
                            return said
                data = await self.reader.read(65536)
                assert data, "the connection ended"
                self._framer.feed(data)

    async def over(self) -> None:
        """Wait for the end."""
        async with asyncio.timeout(LIMIT):
            while await self.reader.read(65536):
                pass
        self.writer.close()


@asynccontextmanager
async def connected(certificates: Certificates, listener: AmqpListener) -> AsyncIterator[Client]:
    context = ssl.create_default_context(cadata=certificates.ca_pem.decode())
    reader, writer = await asyncio.open_connection("localhost", listener.port, ssl=context)
    try:
        yield Client(reader, writer)
    finally:
        abort(writer)


OPENING = header(AMQP) + frame(Open("client", "localhost").encode())
BEGIN = frame(Begin(next_outgoing_id=0, incoming_window=9, outgoing_window=9).encode())


@awaited
async def test_bytes_that_are_not_amqp_close_one_connection_and_no_other(certificates):
    door = Doorman()
    async with (
        serving(certificates, door) as listener,
        connected(certificates, listener) as good,
        connected(certificates, listener) as bad,
    ):
        good.writer.write(OPENING)
        await good.said(Open)
        bad.writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await bad.over()
        good.writer.write(BEGIN)
        assert (await good.said(Begin)).remote_channel == 0
    assert door.gone[0][2] == "what it speaks is not AMQP"


@awaited
async def test_a_malformed_frame_is_answered_before_the_end(certificates):
    async with (
        serving(certificates, Doorman()) as listener,
        connected(certificates, listener) as client,
    ):
        client.writer.write(OPENING + b"\xff" * 8)
        assert (await client.said(Close)).error.condition == FRAMING_ERROR
        await client.over()


@awaited
async def test_clients_hear_that_the_cloud_stops(certificates):
    door = Doorman()
    async with (
        serving(certificates, door) as listener,
        connected(certificates, listener) as client,
    ):
        client.writer.write(OPENING)
        await client.said(Open)
        stopping = asyncio.create_task(listener.close())
        close = await client.said(Close)
        assert (close.error.condition, close.error.description) == (FORCED, "the cloud stops")
        await client.over()
        await stopping
    assert [why for _, _, why in door.gone] == ["the cloud stops"]


@awaited
async def test_a_client_that_stays_when_the_cloud_stops_is_cut_off(certificates):
    async with (
        serving(certificates, Doorman()) as listener,
        connected(certificates, listener) as client,
    ):
        client.writer.write(OPENING)
        await client.said(Open)
        await listener.close()
        assert not listener.connections


@awaited
async def test_who_asks_much_and_reads_nothing_holds_nobody_up(certificates):
    door = Doorman()
    async with (
        serving(certificates, door) as listener,
        connected(certificates, listener) as greedy,
        connected(certificates, listener) as other,
    ):
        greedy.writer.write(OPENING)
        await greedy.said(Open)
        begin_and_end = BEGIN + bytes.fromhex("0000000c02000000 00531745")
        greedy.writer.write(begin_and_end * 200_000)
        other.writer.write(OPENING + BEGIN)
        await other.said(Begin)


@awaited
async def test_half_a_hand_shake_is_noted_as_one(certificates):
    door = Doorman()
    async with serving(certificates, door) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"\x16\x03\x01")
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"not TLS at all, not by any means")
        await reader.read()
        writer.close()
    assert [why.partition(":")[0] for why in door.failures] == [
        "it gave up the TLS hand-shake",
        "TLS",
    ]


@awaited
async def test_a_port_in_use_is_an_error_that_names_it(certificates):
    async with serving(certificates, Doorman()) as listener:
        with pytest.raises(CommandError, match=f"port {listener.port} .* --amqp-port"):
            async with serving(certificates, Doorman(), listener.port):
                pass
