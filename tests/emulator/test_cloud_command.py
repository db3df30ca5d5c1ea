"""`keystead cloud` through its command line: ready, stopped, refused, silent about secrets."""

import asyncio
import signal
import socket
import stat

import pytest

from host_tools.emulator.mqtt.connect import Connack
from host_tools.keys import decode_key, derive_device_key, encode_key
from tests.emulator.cloud_fixtures import HUB, LIMIT, awaited, run, running, start
from tests.emulator.packet_client import GROUP_KEY, Client, at_dps, at_hub, provision


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
