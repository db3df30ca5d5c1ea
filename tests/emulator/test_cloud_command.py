"""`keystead cloud` through its command line: ready, stopped, refused, silent about secrets."""

import asyncio
import json
import re
import shlex
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from host_tools.emulator.mqtt.connect import Connack, Connect
from host_tools.emulator.mqtt.framing import Framer
from host_tools.emulator.mqtt.packets import Publish, parse
from host_tools.emulator.mqtt.subscribe import Subscribe
from host_tools.keys import decode_key, derive_device_key, encode_key
from keystead import dps, hub
from keystead.sas import sas_token
from tests.emulator.cloud_fixtures import HUB, LIMIT, awaited, run, running, start

GROUP_KEY = bytes(range(64))
CONFIG = f"""
[[enrollment_group]]
name = "mylegacydevices"
primary_key = "{encode_key(GROUP_KEY)}"
hub = "{HUB}"
"""

NOISES = {
    b"GET / HTTP/1.1\r\n\r\n": "TLS: http request",
    b"\x16\x03\x01\xff\xff": "TLS: ",
    b"": "it gave up the TLS hand-shake",
}


class Client:
    """A device's end of a TLS connection, packet by packet."""

    def __init__(self, port, ca, version=None, name="localhost"):
        self.context = ssl.create_default_context(cafile=ca)
        if version:
            self.context.minimum_version = self.context.maximum_version = version
        self._where = ("127.0.0.1", port, name)
        self._framer = Framer()
        self._packets = []

    async def __aenter__(self):
        host, port, name = self._where
        self._reader, self._writer = await asyncio.open_connection(
            host, port, ssl=self.context, server_hostname=name
        )
        self.version = self._writer.get_extra_info("ssl_object").version()
        return self

    async def __aexit__(self, *_):
        self._writer.transport.abort()

    async def ask(self, packet):
        """Send a packet; return the next that comes, None at the end of the connection."""
        self._writer.write(packet if isinstance(packet, bytes) else packet.encode())
        return await self.next()

    async def next(self):
        async with asyncio.timeout(LIMIT):
            while not self._packets:
                try:
                    data = await self._reader.read(65536)
                except ConnectionError:
                    data = b""
                if not data:
                    return None
                self._packets += [parse(*packet) for packet in self._framer.feed(data)]
        return self._packets.pop(0)


def token(resource, key):
    return sas_token(resource, key, int(time.time()) + 3600)


def at_dps(name="dev-1", group_key=GROUP_KEY):
    key = derive_device_key(group_key, name)
    password = token(dps.resource("0ne00002193", name), key)
    return Connect(name, dps.username("0ne00002193", name), password.encode())


def at_hub(name="dev-1", group_key=GROUP_KEY):
    password = token(hub.resource(HUB, name), derive_device_key(group_key, name))
    return Connect(name, hub.username(HUB, name), password.encode())


async def provision(client, name="dev-1", group_key=GROUP_KEY):
    assert await client.ask(at_dps(name, group_key)) == Connack(0)
    await client.ask(Subscribe(1, ((dps.RESPONSES, 0),)))
    registration = dps.Registration(name)
    while registration.assignment is None:
        answer = await client.ask(Publish(*registration.request()))
        registration.receive(answer.topic, answer.payload, 0)
    return registration.assignment


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "cloud.toml"
    path.write_text(CONFIG)
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@awaited
async def test_it_says_where_it_listens_and_a_signal_ends_it(number, tmp_path):
    process = await start("--port", "0", "--ca-out", tmp_path / "ca.pem")
    first = (await process.stdout.readline()).decode()
    process.send_signal(number)
    out, err = await process.communicate()
    assert first.startswith("listening on 127.0.0.1:")
    assert int(first.rpartition(":")[2]) > 0
    for fact in ("0ne00002193", str(tmp_path / "ca.pem"), "mylegacydevices", "--show-keys"):
        assert fact in out.decode()
    assert (process.returncode, err) == (0, b"")


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


@awaited
async def test_a_state_directory_keeps_keys_and_devices(tmp_path):
    state, keys = tmp_path / "state", []
    for turn in range(2):
        async with running("--port", 0, "--state-dir", state, "--show-keys") as cloud:
            (group,) = cloud.facts["enrollment_groups"]
            keys.append(group["primary_key"])
            group_key = decode_key(keys[0], "it")
            async with Client(cloud.facts["port"], state / "ca.pem") as client:
                if turn == 0:
                    await provision(client, group_key=group_key)
                else:
                    assert await client.ask(at_hub(group_key=group_key)) == Connack(0)
    assert keys[0] == keys[1]
    assert stat.S_IMODE(state.stat().st_mode) == 0o700


@awaited
async def test_no_secret_is_in_what_it_says(tmp_path, config):
    ca, said = tmp_path / "ca.pem", ""
    process = await start("--config", config, "--port", 0, "--ca-out", ca)
    port = int((await process.stdout.readline()).rpartition(b":")[2])
    async with Client(port, ca) as client:
        await provision(client)
    for connect in (at_hub(), at_hub(group_key=b"x" * 16), at_dps(group_key=b"x" * 16)):
        async with Client(port, ca) as client:
            assert await client.ask(connect)
            said += connect.password.decode()
    process.send_signal(signal.SIGTERM)
    out, err = (stream.decode() for stream in await process.communicate())
    assert process.returncode == 0
    assert "refused" in out
    for secret in ("sig=", "SharedAccessSignature", encode_key(GROUP_KEY)[:12]):
        assert secret not in out + err
    derived = derive_device_key(GROUP_KEY, "dev-1")
    assert encode_key(derived)[:12] not in out + err
    assert repr(derived)[2:12] not in out + err


@awaited
async def test_keys_are_shown_when_asked_for(config):
    process = await start("--config", config, "--port", 0, "--show-keys")
    async with asyncio.timeout(LIMIT):
        first = await process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        rest, _ = await process.communicate()
    assert encode_key(GROUP_KEY) in (first + rest).decode()
    assert b"not shown" not in rest


@awaited
async def test_nothing_is_coloured_in_a_pipe():
    process = await start("--port", 0)
    first = await process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    rest, _ = await process.communicate()
    assert b"\x1b" not in first + rest


@awaited
async def test_it_ends_when_nobody_reads_any_more(tmp_path, config):
    ca = tmp_path / "ca.pem"
    process = await start("--config", config, "--port", 0, "--ca-out", ca)
    port = int((await process.stdout.readline()).rpartition(b":")[2])
    while b"--show-keys" not in await process.stdout.readline():
        pass
    process._transport.get_pipe_transport(1).close()
    async with Client(port, ca) as client:
        await client.ask(at_dps())
    async with asyncio.timeout(LIMIT):
        assert (await process.wait(), await process.stderr.read()) == (0, b"")


@awaited
async def test_a_port_in_use_is_named_with_what_to_do():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, out, err = await run("--port", port)
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert f"port {port} on 127.0.0.1 is in use" in err
    assert "--port" in err


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[dps]\nretry_after = 'soon'\n", "line 2, [dps], retry_after: must be a whole number"),
        ("[dps]\n\nscope = 1\n", "line 3, [dps], scope: no such key here"),
        ("[dps\n", "is not TOML"),
    ],
)
@awaited
async def test_a_bad_config_is_one_line(tmp_path, text, why):
    path = tmp_path / "cloud.toml"
    path.write_text(text)
    code, out, err = await run("--config", path, "--port", 0)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert str(path) in err
    assert why in err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--config", "/nowhere/cloud.toml"], "can not read /nowhere/cloud.toml"),
        (["--ca-out", "/nowhere/ca.pem"], "can not write /nowhere/ca.pem"),
        (["--state-dir", "/dev/null/state"], "can not keep state in /dev/null/state"),
        (["--host", "no.such.name.invalid"], "can not listen on no.such.name.invalid"),
        (["--advertise", "not a name"], "--advertise 'not a name' is not a host name"),
        (["--advertise", "bench:port"], "--advertise 'bench:port' is not a host name"),
        (["--advertise", "a..b"], "--advertise 'a..b' is not a host name"),
        (["--host", ""], "the host to listen on is empty"),
    ],
)
@awaited
async def test_what_can_not_be_done_is_one_line(arguments, why):
    code, out, err = await run("--port", 0, *arguments)
    assert (code, out, err.count("\n")) == (1, "", 1), err
    assert why in err


@pytest.mark.parametrize("port", ["-1", "65536", "mqtt", "9" * 5000])
@awaited
async def test_a_port_that_can_not_be_is_wrong_usage(port):
    code, _, err = await run(f"--port={port}")
    assert code == 2
    assert "is not a port" in err
    assert len(err) < 2000


@awaited
async def test_in_json_all_of_stdout_is_json():
    process = await start("--json", "--port", 0)
    facts = json.loads(await process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    rest, err = await process.communicate()
    assert facts["event"] == "listening"
    assert facts["id_scope"] == "0ne00002193"
    assert "primary_key" not in facts["enrollment_groups"][0]
    assert rest == b""
    assert err.decode() == f"listening on 127.0.0.1:{facts['port']}\n"


def dialled(port, ca):
    """A connection made by hand: nothing is read that is not asked for."""
    context = ssl.create_default_context(cafile=ca)
    raw = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
    return context.wrap_socket(raw, server_hostname="localhost")


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
        async with Client(port, ca) as other:
            begun = time.monotonic()
            assert (await provision(other, "dev-2")).hub == HUB
        assert time.monotonic() - begun < 10
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


def flood(port, ca, count):
    """Send so many messages, each PUBACK awaited."""
    client = dialled(port, ca)
    client.sendall(at_hub().encode())
    assert client.recv(4) == Connack(0).encode()
    for _ in range(count):
        client.sendall(Publish("devices/dev-1/messages/events/", b"x" * 60_000, 1, 1).encode())
        assert len(client.recv(4)) == 4
    client.close()


@awaited
async def test_who_does_not_read_what_it_says_does_not_hold_it_up(tmp_path, config):
    ca = tmp_path / "ca.pem"
    process = await start("--json", "--config", config, "--port", 0, "--ca-out", ca)
    facts = json.loads(await process.stdout.readline())
    process.stdout._transport.pause_reading()
    async with asyncio.timeout(LIMIT):
        async with Client(facts["port"], ca) as client:
            await provision(client)
        await asyncio.to_thread(flood, facts["port"], ca, 100)
        process.stdout._transport.resume_reading()
        said = [json.loads(await process.stdout.readline())]
        while said[-1]["event"] != "not-shown":
            said.append(json.loads(await process.stdout.readline()))
        process.send_signal(signal.SIGTERM)
        await process.communicate()
    received = [event for event in said if event["event"] == "telemetry"]
    assert 100 - 3 <= len(received) + said[-1]["count"] <= 100 + 3
    assert process.returncode == 0


def test_a_signal_ends_it_though_nobody_reads(tmp_path, config):
    ca = tmp_path / "ca.pem"
    command = [sys.executable, "-m", "host_tools", "cloud", "--json", "--config", config]
    with subprocess.Popen(
        [*command, "--port", "0", "--ca-out", ca], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        port = json.loads(process.stdout.readline())["port"]

        async def provision_one():
            async with Client(port, ca) as client:
                await provision(client)

        asyncio.run(provision_one())
        flood(port, ca, 20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT) == 0
        assert process.stderr.read().count(b"\n") == 1


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize(
    ("redirection", "code", "complaint"),
    [
        (">/dev/full", 1, "can not write to stdout: No space left on device"),
        ("| head -1", 0, ""),
    ],
)
@awaited
async def test_a_stdout_that_takes_nothing_more_ends_it(options, redirection, code, complaint):
    command = shlex.join([sys.executable, "-m", "host_tools", "cloud", "--port", "0", *options])
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        f"{command} {redirection}; exit ${{PIPESTATUS[0]}}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(LIMIT):
        out, err = await process.communicate()
    told = [line for line in err.decode().splitlines() if not line.startswith("listening on")]
    assert (process.returncode, len(told)) == (code, 1 if complaint else 0), err
    assert complaint in err.decode()
    assert out.count(b"\n") == (0 if complaint else 1)


@awaited
async def test_without_stderr_all_of_stdout_is_still_json():
    command = shlex.join([sys.executable, "-m", "host_tools", "cloud", "--port", "0", "--json"])
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", f"exec {command} 2>&-", stdout=asyncio.subprocess.PIPE
    )
    facts = json.loads(await process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    rest, _ = await process.communicate()
    assert (facts["event"], rest, process.returncode) == ("listening", b"", 0)


@awaited
async def test_what_an_ascii_terminal_can_not_spell_is_escaped(tmp_path, config, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    ca = tmp_path / "ca.pem"
    process = await start("--config", config, "--port", 0, "--ca-out", ca)
    port = int((await process.stdout.readline()).rpartition(b":")[2])
    async with Client(port, ca) as client:
        await provision(client)
    async with Client(port, ca) as client:
        assert await client.ask(at_hub()) == Connack(0)
        await client.ask(Publish("devices/dev-1/messages/events/", "21 °C".encode(), 1, 1))
    process.send_signal(signal.SIGTERM)
    out, err = await process.communicate()
    assert rb"dev-1 sent telemetry: 21 \xb0C" in out
    assert (process.returncode, err) == (0, b"")


@awaited
async def test_a_config_without_enrollments_and_an_individuals_key_are_told(tmp_path):
    path = tmp_path / "cloud.toml"
    said = []
    for text in ("", f'[[individual_enrollment]]\nregistration_id = "r"\nhub = "{HUB}"\n'):
        path.write_text(text)
        process = await start("--config", path, "--port", 0, "--show-keys")
        first = await process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        rest, _ = await process.communicate()
        said.append((first + rest).decode())
    assert "none: every device will be refused" in said[0]
    assert "its primary key" in said[1]
    assert "not shown" not in said[0] + said[1]


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
