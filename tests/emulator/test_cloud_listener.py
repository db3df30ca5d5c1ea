"""The connections to `keystead cloud`: TLS, noise, silence, size, addresses."""

import asyncio
import json
import re
import signal
import socket
import ssl
from pathlib import Path

import pytest

from host_tools.emulator.mqtt.connect import Connack, Connect
from host_tools.emulator.mqtt.packets import Publish
from tests.emulator.cloud_fixtures import HUB, awaited, running
from tests.emulator.packet_client import Client, at_dps, at_hub, dialled, provision

NOISES = {
    b"GET / HTTP/1.1\r\n\r\n": "TLS: http request",
    b"\x16\x03\x01\xff\xff": "TLS: ",
    b"": "it gave up the TLS hand-shake",
}


@awaited
async def test_it_ends_with_devices_connected_and_complains_about_nothing(tmp_path, config):
    ca = tmp_path / "ca.pem"
    async with running("--config", config, "--port", 0, "--ca-out", ca) as cloud:
        port = cloud.facts["port"]
        async with Client(port, ca) as device, Client(port, ca) as silent:
            await provision(device)
            assert silent.version
            _, half_open = await asyncio.open_connection("127.0.0.1", port)
            cloud.stop(signal.SIGTERM)
            assert await device.next() is None
            assert await silent.next() is None
            await cloud.event("disconnected", why="the cloud stops")
            assert await cloud.ended() == 0
            half_open.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@awaited
async def test_a_client_of_one_tls_version_only_is_served(tmp_path, config, version):
    ca = tmp_path / "ca.pem"
    async with (
        running("--config", config, "--port", 0, "--ca-out", ca) as cloud,
        Client(cloud.facts["port"], ca, version) as client,
    ):
        assert client.version == version.name.replace("_", ".")
        assert (await provision(client)).hub == HUB


DIALLED = (
    "localhost",
    "127.0.0.1",
    "global.azure-devices-provisioning.net",
    HUB,
    "bench.example.org",
    "hub.elsewhere.example",
)


@awaited
async def test_the_certificate_is_for_every_name_that_is_dialled(tmp_path):
    ca, config = tmp_path / "ca.pem", tmp_path / "cloud.toml"
    config.write_text('[[enrollment_group]]\nname = "g"\nhub = "hub.elsewhere.example"\n')
    arguments = ("--config", config, "--port", 0, "--ca-out", ca)
    async with running(*arguments, "--advertise", "bench.example.org:18883") as cloud:
        for name in DIALLED:
            async with Client(cloud.facts["port"], ca, name=name) as client:
                assert client.version, name


@awaited
async def test_who_does_not_trust_the_ca_is_named(tmp_path):
    def dial(port):
        with socket.create_connection(("127.0.0.1", port)) as plain:
            ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")

    async with running("--port", 0) as cloud:
        port = cloud.facts["port"]
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(dial, port)
        assert "unknown ca" in (await cloud.event("dropped"))["why"]
        # asyncio hangs up without a word
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", port, ssl=ssl.create_default_context())
        assert "does it trust the CA?" in (await cloud.event("dropped"))["why"]


@awaited
async def test_noise_on_one_connection_disturbs_no_other(tmp_path, config):
    ca = tmp_path / "ca.pem"
    async with running("--config", config, "--port", 0, "--ca-out", ca) as cloud:
        port = cloud.facts["port"]
        async with Client(port, ca) as device:
            await provision(device)
            for noise, why in NOISES.items():
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(noise)
                writer.write_eof()
                await reader.read(1000)
                writer.close()
                assert why in (await cloud.event("dropped"))["why"]
            async with Client(port, ca) as rude:
                assert await rude.ask(b"\xff" * 1000) is None
                await cloud.event("dropped", why="no packet begins with byte 0xff")
            answer = await device.ask(b"\xc0\x00")
            assert type(answer).__name__ == "Pingresp"


@awaited
async def test_keep_alive_ends_who_is_silent(tmp_path, config):
    ca = tmp_path / "ca.pem"
    async with running("--config", config, "--port", 0, "--ca-out", ca) as cloud:
        async with Client(cloud.facts["port"], ca) as client:
            connect = at_dps()
            hasty = Connect(connect.client_id, connect.username, connect.password, keep_alive=1)
            assert await client.ask(hasty) == Connack(0)
            assert await client.next() is None
        await cloud.event("disconnected", why="it was silent for 1.5 times its keep-alive")


@awaited
async def test_a_large_message_arrives_whole(tmp_path, config):
    ca = tmp_path / "ca.pem"
    async with running("--config", config, "--port", 0, "--ca-out", ca) as cloud:
        port = cloud.facts["port"]
        async with Client(port, ca) as client:
            await provision(client)
        async with Client(port, ca) as client:
            assert await client.ask(at_hub()) == Connack(0)
            body = b"x" * 60_000
            await client.ask(Publish("devices/dev-1/messages/events/", body, 1, 1))
        assert (await cloud.event("telemetry"))["body"] == body.decode()


def memory(process):
    """The most bytes a process ever held."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@awaited
async def test_who_asks_and_does_not_read_costs_little_memory_and_disturbs_nobody(
    tmp_path, config
):
    ca = tmp_path / "ca.pem"
    async with running("--config", config, "--port", 0, "--ca-out", ca) as cloud:
        port = cloud.facts["port"]
        async with Client(port, ca) as device:
            await provision(device)
        greedy = await asyncio.to_thread(dialled, port, ca)
        greedy.sendall(at_hub().encode())
        assert greedy.recv(4) == Connack(0).encode()
        for number in range(7):
            patch = json.dumps({str(number): "v" * 4000}).encode()
            topic = "$iothub/twin/PATCH/properties/reported/?$rid=1"
            greedy.sendall(Publish(topic, patch).encode())
            assert greedy.recv(1000)
        before = memory(cloud.process)
        greedy.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while True:
                await asyncio.to_thread(
                    greedy.sendall, Publish("$iothub/twin/GET/?$rid=1", b"").encode() * 5000
                )
        async with Client(port, ca) as other:  # which waits for an answer, but not for ever
            assert (await provision(other, "dev-2")).hub == HUB
        assert memory(cloud.process) - before < 100e6
        greedy.close()


@awaited
async def test_every_request_of_a_large_breath_is_answered(tmp_path, config):
    ca = tmp_path / "ca.pem"
    async with running("--config", config, "--port", 0, "--ca-out", ca) as cloud:
        port = cloud.facts["port"]
        async with Client(port, ca) as client:
            await provision(client)
        async with Client(port, ca) as client:
            assert await client.ask(at_hub()) == Connack(0)
            await client.ask(
                Publish(
                    "$iothub/twin/PATCH/properties/reported/?$rid=1", b'{"a":"%s"}' % (b"v" * 4000)
                )
            )
            count = 2000
            answer = await client.ask(Publish("$iothub/twin/GET/?$rid=1", b"").encode() * count)
            for _ in range(count - 1):
                assert await client.next() == answer
            assert type(await client.ask(b"\xc0\x00")).__name__ == "Pingresp"


@awaited
async def test_a_hand_shake_after_the_end_is_not_answered():
    hello = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(
        ssl.MemoryBIO(), hello, server_hostname="localhost"
    )
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    async with running("--port", 0) as cloud:
        reader, writer = await asyncio.open_connection("127.0.0.1", cloud.facts["port"])
        cloud.stop(signal.SIGTERM)
        await cloud.event("dropped", why="the cloud stops")
        writer.write(hello.read())
        assert await reader.read() == b""
        writer.close()
        assert await cloud.ended() == 0
        assert "Error" not in cloud.said[-1], cloud.said[-1]


@awaited
async def test_all_addresses_of_a_name_get_one_port(tmp_path):
    addresses = {
        info[4][0] for info in socket.getaddrinfo("localhost", 1, type=socket.SOCK_STREAM)
    }
    async with running("--port", 0, "--host", "localhost") as cloud:
        for address in addresses:
            _, writer = await asyncio.open_connection(address, cloud.facts["port"])
            writer.close()


@awaited
async def test_a_wild_card_is_not_what_a_device_dials():
    async with running("--port", 0, "--host", "0.0.0.0") as cloud:
        assert cloud.facts["host"] == "0.0.0.0"
        name = cloud.facts["dial"]
        assert name not in ("", "0.0.0.0")
        async with Client(cloud.facts["port"], cloud.facts["ca"], name=name) as client:
            assert client.version
