"""What `keystead cloud` writes to: pipes, full disks, who does not read, what can not spell."""

import asyncio
import json
import shlex
import signal
import subprocess
import sys

import pytest

from host_tools.emulator.mqtt.connect import Connack
from host_tools.emulator.mqtt.packets import Publish
from tests.emulator.cloud_fixtures import LIMIT, awaited, start
from tests.emulator.packet_client import Client, at_dps, at_hub, flood, provision


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
