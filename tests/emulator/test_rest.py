"""`keystead cloud` over HTTPS as people meet it: limits, events, commands, the end."""

import asyncio
import json
import os
import signal
import socket
import ssl
import stat
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from host_tools.emulator.mqtt.connect import Connack, Connect
from host_tools.emulator.mqtt.subscribe import Subscribe
from host_tools.emulator.serve import http as http_server
from host_tools.keys import decode_key
from keystead import hub
from keystead.sas import sas_token
from tests.emulator.cloud_fixtures import HUB, LIMIT, CloudProcess, awaited, run, running, start
from tests.emulator.packet_client import Client

FREE = ("--port", 0, "--rest-port", 0)


def control(cloud: CloudProcess) -> dict:
    return json.loads(Path(cloud.facts["rest"]["control"]).read_text())


@asynccontextmanager
async def client(cloud: CloudProcess) -> AsyncIterator[httpx.AsyncClient]:
    """A client that has the control token."""
    known = control(cloud)
    context = ssl.create_default_context(cafile=known["ca"])
    headers = {"authorization": f"Bearer {known['token']}"}
    async with httpx.AsyncClient(
        base_url=known["url"], verify=context, headers=headers, timeout=LIMIT, trust_env=False
    ) as found:
        yield found


async def dialled(cloud: CloudProcess) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection made by hand."""
    known = control(cloud)
    context = ssl.create_default_context(cafile=known["ca"])
    port = int(known["url"].rpartition(":")[2])
    return await asyncio.open_connection("127.0.0.1", port, ssl=context)


async def command(*words: object, **environment: str) -> tuple[int, str, str]:
    """Run `keystead cloud ...`; return exit code, stdout, stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-m", "host_tools", "cloud", *map(str, words),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )  # fmt: skip
    async with asyncio.timeout(LIMIT):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


# --- the server


@awaited
async def test_it_says_where_it_listens_and_shows_no_key_unless_asked() -> None:
    async with running(*FREE) as cloud, client(cloud) as http:
        facts = cloud.facts
        assert facts["rest"]["url"].startswith("https://127.0.0.1:")
        assert facts["hubs"] == [{"name": HUB}]
        status = (await http.get("/keystead/status")).json()
        assert status["hubs"] == [{"name": HUB}]
        assert status["rest"]["url"] == facts["rest"]["url"]
        assert "primary_key" not in json.dumps(status)
        assert control(cloud)["token"] not in json.dumps(facts) + json.dumps(status)
    process = await start(*FREE, "--show-keys")
    async with asyncio.timeout(LIMIT):
        text = (await process.stdout.readuntil(b"enrollment group")).decode()
    assert "HostName=127.0.0.1:" in text
    assert "SharedAccessKeyName=iothubowner;SharedAccessKey=" in text
    process.send_signal(signal.SIGTERM)
    await process.communicate()


@awaited
async def test_it_can_be_switched_off() -> None:
    async with running("--port", 0, "--rest-port", "none") as cloud:
        assert cloud.facts["rest"] is None
    code, _, err = await run("--port", 0, "--rest-port", "some")
    assert code == 2
    assert "is not a port" in err


@awaited
async def test_a_port_in_use_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, out, err = await run("--port", 0, "--rest-port", port)
    assert (code, out, err.count("\n")) == (1, "", 1), err
    assert f"port {port} on 127.0.0.1 is in use" in err
    assert "--rest-port" in err


@awaited
async def test_what_is_too_large_is_refused_and_the_next_request_served() -> None:
    async with running(*FREE) as cloud, client(cloud) as http:
        path = f"/keystead/hubs/{HUB}/devices/d"
        for content in (b"x" * (http_server.LARGEST_BODY + 1), _endless(70)):
            answer = await http.put(path, content=content)
            assert answer.status_code == 413
            assert "larger than" in answer.json()["Message"]
        long = await http.get("/keystead/status", headers={"x-long": "x" * 1_000_000})
        assert long.status_code == 400
        assert long.json()["Message"]
        assert (await http.get("/keystead/status")).status_code == 200


async def _endless(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * 65536


NOISES = (b"\xff" * 100 + b"\n\n", b"GET\r\n\r\n", b"PUT / HTTP/1.1\r\n\r\n", b"\0 \0 \0\n\n")


@awaited
async def test_noise_is_answered_with_400_and_disturbs_nobody() -> None:
    async with running(*FREE) as cloud, client(cloud) as http:
        for noise in NOISES:
            reader, writer = await dialled(cloud)
            writer.write(noise)
            async with asyncio.timeout(LIMIT):
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 400 ")
            assert json.loads(body)["Message"]
            writer.transport.abort()
        assert (await http.get("/keystead/status")).status_code == 200


@awaited
async def test_a_hand_shake_that_fails_is_told() -> None:
    async with running(*FREE) as cloud:
        port = int(control(cloud)["url"].rpartition(":")[2])
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", port, ssl=ssl.create_default_context())
        assert "does it trust the CA?" in (await cloud.event("dropped"))["why"]
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert "http request" in (await cloud.event("dropped"))["why"]
        writer.transport.abort()


@awaited
async def test_it_ends_at_once_whoever_is_connected() -> None:
    loop = asyncio.get_running_loop()
    async with running(*FREE) as cloud, client(cloud) as http, AsyncExitStack() as stack:
        device = await stack.enter_async_context(a_device(cloud, http))
        await device.ask(Subscribe(1, (("$iothub/methods/POST/#", 0),)))
        stream = await stack.enter_async_context(http.stream("GET", "/keystead/events"))
        lines = stream.aiter_lines()
        await anext(lines)
        _, idle = await dialled(cloud)
        port = int(control(cloud)["url"].rpartition(":")[2])
        _, half_open = await asyncio.open_connection("127.0.0.1", port)
        path = f"/keystead/hubs/{HUB}/twins/pump-7/methods"
        waiting = asyncio.create_task(http.post(path, json={"methodName": "m"}))
        await cloud.event("method-called")
        begun = loop.time()
        cloud.stop(signal.SIGTERM)
        assert "method-called" in [line async for line in lines if line.startswith("data")][-1]
        assert (await waiting).status_code == 503
        assert await cloud.ended() == 0
        assert loop.time() - begun < 5
        idle.transport.abort()
        half_open.transport.abort()
        assert not Path(cloud.facts["rest"]["control"]).exists()


@asynccontextmanager
async def a_device(cloud: CloudProcess, http: httpx.AsyncClient) -> AsyncIterator[Client]:
    """A device that is connected by MQTT."""
    made = (await http.put(f"/keystead/hubs/{HUB}/devices/pump-7", json={})).json()
    key = decode_key(made["authentication"]["symmetricKey"]["primaryKey"], "it")
    token = sas_token(hub.resource(HUB, "pump-7"), key, int(time.time()) + 3600)
    async with Client(cloud.facts["port"], cloud.facts["ca"]) as device:
        connect = Connect("pump-7", hub.username(HUB, "pump-7"), token.encode())
        assert await device.ask(connect) == Connack(0)
        yield device


@awaited
async def test_a_request_that_a_rule_leaves_without_an_answer_ends_with_the_cloud() -> None:
    rule = {"who": "pump-7", "when": "a program calls the service API", "gets": "no answer"}
    async with running(*FREE) as cloud, client(cloud) as http:
        assert (await http.post("/keystead/faults", json=rule)).status_code == 200
        asked = asyncio.create_task(http.get(f"/keystead/hubs/{HUB}/devices/pump-7"))
        await cloud.event("fault")
        cloud.stop(signal.SIGTERM)
        with pytest.raises(httpx.HTTPError):
            await asked
        assert await cloud.ended() == 0


# --- events


async def sse(http: httpx.AsyncClient, path: str, **headers: str) -> list[tuple[str, dict]]:
    """All events of a stream that ends."""
    answer = await http.get(path, headers=headers)
    assert answer.headers["content-type"].startswith("text/event-stream")
    found, number = [], ""
    for line in answer.text.splitlines():
        name, _, value = line.partition(": ")
        if name == "id":
            number = value
        elif name == "data":
            found.append((number, json.loads(value)))
    return found


@awaited
async def test_events_are_replayed_from_any_of_them() -> None:
    async with running(*FREE) as cloud, client(cloud) as http:
        for name in ("a", "b", "c"):
            await http.put(f"/keystead/hubs/{HUB}/devices/{name}", json={})
        kept = await sse(http, "/keystead/events?from=0&follow=0&event=device-created")
        assert [event["device_id"] for _, event in kept] == ["a", "b", "c"]
        assert all(event["hub"] == HUB and event["time"] for _, event in kept)
        after = kept[0][0]
        rest = await sse(http, f"/keystead/events?from={after}&follow=0")
        assert [number for number, _ in rest] == [number for number, _ in kept[1:]]
        lost = await sse(http, "/keystead/events?follow=0", **{"Last-Event-ID": after})
        assert lost == rest
        other_run = await sse(http, "/keystead/events?follow=0&from=0abc-99")
        assert [number for number, _ in other_run] == [number for number, _ in kept]
        assert await sse(http, "/keystead/events?follow=0") == []
        only = await sse(http, "/keystead/events?from=0&follow=0&device=b")
        assert [event["device_id"] for _, event in only] == ["b"]
        words = await sse(http, "/keystead/events?from=0&follow=0&device=b&words=1")
        assert "b" in words[0][1]["line"]
        assert (await http.get("/keystead/events?from=x")).status_code == 400


@awaited
async def test_a_stream_brings_what_happens() -> None:
    async with running(*FREE) as cloud, client(cloud) as http:
        async with http.stream("GET", "/keystead/events?device=b") as stream:
            lines = stream.aiter_lines()
            async with asyncio.timeout(LIMIT):
                assert (await anext(lines)).startswith("id: ")
                for name in ("a", "b"):
                    await http.put(f"/keystead/hubs/{HUB}/devices/{name}", json={})
                data = await anext(line async for line in lines if line.startswith("data: "))
        assert json.loads(data[6:])["device_id"] == "b"


# --- the control file


@awaited
async def test_the_control_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    async with running(*FREE, "--state-dir", tmp_path / "state") as cloud:
        path = tmp_path / "state" / "control.json"
        assert Path(cloud.facts["rest"]["control"]) == path
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        known = json.loads(path.read_text())
        assert known["url"] == cloud.facts["rest"]["url"]
        assert Path(known["ca"]).read_bytes().startswith(b"-----BEGIN CERTIFICATE")
    assert not path.exists()


# --- commands


@awaited
async def test_a_cloud_is_looked_at_and_worked_with_from_the_command_line(tmp_path: Path) -> None:
    where = ("--state-dir", tmp_path / "state")
    async with running(*FREE, *where) as cloud, client(cloud) as http:
        await http.put(f"/keystead/hubs/{HUB}/devices/pump-7", json={})
        code, out, err = await command("devices", *where)
        assert (code, err) == (0, "")
        assert out == f"pump-7\t{HUB}\tenabled\t-\t0 waiting\n"
        code, out, _ = await command("devices", "--json", *where)
        assert json.loads(out)["deviceId"] == "pump-7"
        code, out, _ = await command("twin", "pump-7", "--patch", '{"interval": 5}', *where)
        assert json.loads(out)["properties"]["desired"]["interval"] == 5
        code, out, _ = await command(*where, "twin", "pump-7", "--json")
        assert json.loads(out)["properties"]["desired"]["interval"] == 5
        code, out, _ = await command("send", "pump-7", "hello", "--property", "a=b", *where)
        assert (code, out) == (0, "sent; 1 waiting\n")
        code, out, err = await command("method", "pump-7", "reboot", '{"delay": 1}', *where)
        assert (code, out) == (3, "")
        assert "404103" in err
        for words in (("twin", "nobody"), ("send", "nobody", "x"), ("method", "nobody", "x")):
            code, out, err = await command(*words, *where)
            assert (code, out, err.count("\n")) == (1, "", 1), err
        code, out, _ = await command("events", "--json", "--device", "pump-7", *where)
        names = [json.loads(line)["event"] for line in out.splitlines()]
        assert names[:2] == ["device-created", "twin-changed"], names
        code, out, _ = await command("events", "--event", "device-created", *where)
        assert out.count("\n") == 1
        assert "pump-7" in out
        assert out[2] == out[5] == ":"


@awaited
async def test_without_an_option_the_cloud_started_last_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    runtime = {"XDG_RUNTIME_DIR": str(tmp_path)}
    code, out, err = await command("devices", **runtime)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "--state-dir" in err
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with running(*FREE) as cloud:
        code, out, err = await command("devices")
        assert (code, out, err) == (0, "", "")
        assert "token" not in cloud.facts["rest"]
    assert (await command("devices"))[0] == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("devices", "--state-dir", "/nowhere"), "no cloud with state in /nowhere runs"),
        (("devices", "--url", "https://127.0.0.1:1"), "--url needs --token-file"),
        (("devices", "--url", "127.0.0.1:1", "--token-file", "x"), "must be https://HOST"),
        (("devices", "--token-file", "x"), "--token-file needs --url"),
        (("twin", "d", "--patch", "{"), "--patch is not JSON"),
        (("twin", "d", "--patch", "[]"), "--patch is not a JSON object"),
        (("method", "d", "m", "{"), "the payload is not JSON"),
        (("send", "d", "x", "--property", "x"), "is not NAME=VALUE"),
    ],
)
@awaited
async def test_wrong_words_are_one_line(words: tuple[str, ...], why: str) -> None:
    code, out, err = await command(*words)
    assert (code, out, err.count("\n")) == (1, "", 1), err
    assert why in err


@awaited
async def test_a_cloud_is_found_by_its_address_and_token(tmp_path: Path) -> None:
    async with running(*FREE) as cloud:
        known, token, ca = control(cloud), tmp_path / "token", tmp_path / "ca.pem"
        token.write_text(known["token"] + "\n")
        ca.write_bytes(Path(known["ca"]).read_bytes())
        where = ("--url", known["url"], "--token-file", token, "--ca", ca)
        assert (await command("devices", *where))[0] == 0
        both = ("--url", known["url"], "--token-file", cloud.facts["rest"]["control"])
        assert (await command("devices", *both))[0] == 0
        token.write_text("wrong")
        code, _, err = await command("devices", *where)
        assert code == 1
        assert "does not know this control token" in err
    code, _, err = await command("devices", *where)
    assert code == 1
    assert "can not be reached" in err


async def following(*words: object) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-m", "host_tools", "cloud", "events", "--follow",
        *map(str, words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def said(process: asyncio.subprocess.Process, event: str) -> dict:
    async with asyncio.timeout(LIMIT):
        while True:
            line = await process.stdout.readline()
            assert line, (await process.stderr.read()).decode()
            found = json.loads(line)
            if found["event"] == event:
                return found


@awaited
async def test_who_follows_goes_on_when_the_cloud_starts_anew(tmp_path: Path) -> None:
    where = ("--state-dir", tmp_path / "state")
    path = f"/keystead/hubs/{HUB}/devices"
    async with running(*FREE, *where) as cloud, client(cloud) as http:
        follower = await following("--json", "--all", *where)
        await http.put(f"{path}/first", json={})
        assert (await said(follower, "device-created"))["device_id"] == "first"
    async with asyncio.timeout(LIMIT):
        assert b"waiting for it" in await follower.stderr.readline()
    async with running(*FREE, *where) as cloud, client(cloud) as http:
        await http.put(f"{path}/second", json={})
        assert (await said(follower, "device-created"))["device_id"] == "second"
        follower.send_signal(signal.SIGINT)
        out, err = await follower.communicate()
        assert (follower.returncode, out, err) == (130, b"", b"")


@awaited
async def test_who_follows_ends_when_nobody_reads_any_more(tmp_path: Path) -> None:
    async with running(*FREE, "--state-dir", tmp_path / "state") as cloud, client(cloud) as http:
        follower = await following("--all", "--state-dir", tmp_path / "state")
        await http.put(f"/keystead/hubs/{HUB}/devices/first", json={})
        async with asyncio.timeout(LIMIT):
            assert b"first" in await follower.stdout.readline()
            follower._transport.get_pipe_transport(1).close()
            await follower.wait()
            assert await follower.stderr.read() == b""
        assert follower.returncode == 0
