"""`keystead fleet` against a real `keystead cloud`: all get in, and who does not has a reason."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bench import servers
from host_tools.keys import encode_key
from tests.emulator.cloud_fixtures import HUB, LIMIT, awaited, running
from tests.ports import unheard

KEY = encode_key(bytes(range(64)))
OTHER = encode_key(bytes(range(1, 65)))
CONFIG = """
[dps]
retry_after = 1
assigning_replies = {replies}
[[enrollment_group]]
name = "mylegacydevices"
primary_key = "{key}"
hub = "{hub}"
enabled = {enabled}
"""
CLOUD = ("--port", 0, "--rest-port", 0)


def written(folder: Path, key: str = KEY, enabled: str = "true", replies: int = 1) -> Path:
    path = folder / "cloud.toml"
    path.write_text(CONFIG.format(key=key, hub=HUB, enabled=enabled, replies=replies))
    return path


async def start(*words: object, prefix: tuple[str, ...] = ()) -> asyncio.subprocess.Process:
    """Start `keystead fleet` with these words."""
    return await asyncio.create_subprocess_exec(
        *prefix, sys.executable, "-W", "error", "-m", "host_tools", "fleet", *map(str, words),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def fleet(*words: object, prefix: tuple[str, ...] = ()) -> tuple[int, str, str]:
    """Run it to its end; return exit code, stdout, stderr."""
    process = await start(*words, prefix=prefix)
    async with asyncio.timeout(2 * LIMIT):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


def at(cloud, config: Path) -> tuple[object, ...]:
    place = f"127.0.0.1:{cloud.facts['port']}"
    return ("--config", config, "--cloud", place, "--ca", cloud.facts["ca"])


@awaited
async def test_a_fleet_boots_talks_and_leaves(tmp_path):
    config = written(tmp_path)
    async with running("--config", config, *CLOUD) as cloud:
        words = ("--devices", 20, "--messages", 3, "--json")
        code, out, err = await fleet(*at(cloud, config), *words)
        last = await cloud.event("disconnected", service=HUB, why="it said goodbye")
    document = json.loads(out)
    assert (code, err, document["failures"]) == (0, "", [])
    assert (document["assigned"], document["connected"], document["failed"]) == (20, 20, 0)
    assert document["connections"] == 40
    assert document["messages"]["acknowledged"] == 60
    assert document["seconds_to_connected"]["median"] >= 1  # it waited as it was told
    assert last["device_id"].startswith("fleet-")
    said = "".join(cloud.said)
    assert said.count('"event": "telemetry"') == 60
    assert said.count("it closed the connection") == 0


@awaited
async def test_a_fleet_comes_in_a_ramp_few_at_once_and_goes_straight_to_the_hub(tmp_path):
    config = written(tmp_path, replies=0)
    async with running("--config", config, *CLOUD) as cloud:
        words = (*at(cloud, config), "--devices", 6, "--prefix", "rig-", "--first", 100, "--json")
        assert (await fleet(*words, "--at-once", 2))[0] == 0
        more = ("--hub-only", "--ramp", 20, "--stay", 0.2, "--messages", 2, "--every", 0.1)
        code, out, _ = await fleet(*words, *more, "--clean", 0)
    document = json.loads(out)
    assert (code, document["connected"], document["connections"]) == (0, 6, 6)
    assert document["boot_seconds"] >= 5 / 20
    assert '"device_id": "rig-105"' in "".join(cloud.said)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"key": OTHER}, "dps-unauthorized"), ({"enabled": "false"}, "dps-disabled")],
)
@awaited
async def test_who_is_turned_away_is_counted_by_reason(tmp_path, changes, reason):
    (tmp_path / "cloud").mkdir()
    config = written(tmp_path / "cloud", **{**changes, "key": KEY})
    own = written(tmp_path, **changes)
    async with running("--config", config, *CLOUD) as cloud:
        code, out, _ = await fleet(*at(cloud, own), "--devices", 3, "--json")
    document = json.loads(out)
    assert (code, document["failed"], document["connected"]) == (1, 3, 0)
    [failure] = document["failures"]
    assert (failure["reason"], failure["count"]) == (reason, 3)
    assert KEY not in out


@awaited
async def test_a_hub_that_knows_no_such_device_refuses_it(tmp_path):
    config = written(tmp_path)
    async with running("--config", config, *CLOUD) as cloud:
        code, out, _ = await fleet(*at(cloud, config), "--devices", 2, "--hub-only", "--json")
    [failure] = json.loads(out)["failures"]
    assert (code, failure["reason"], failure["count"]) == (1, "hub-refused", 2)


@awaited
async def test_a_cloud_with_another_ca_is_not_trusted(tmp_path):
    config = written(tmp_path)
    (tmp_path / "state").mkdir()
    async with (
        running("--config", config, *CLOUD) as cloud,
        running("--config", config, *CLOUD, "--state-dir", tmp_path / "state") as other,
    ):
        words = (*at(cloud, config)[:-1], other.facts["ca"], "--devices", 2, "--json")
        code, out, _ = await fleet(*words)
    [failure] = json.loads(out)["failures"]
    assert (code, failure["reason"]) == (1, "tls-untrusted")


@awaited
async def test_where_nobody_listens_every_device_says_so(tmp_path):
    config = written(tmp_path)
    async with running("--config", config, *CLOUD) as cloud:
        ca = Path(cloud.facts["ca"]).read_bytes()
    (tmp_path / "ca.pem").write_bytes(ca)  # where it is looked for without --ca
    with unheard() as port:
        words = ("--config", config, "--cloud", f"127.0.0.1:{port}", "--devices", 4)
        code, out, err = await fleet(*words)
    assert (code, err) == (1, "")
    assert "4 x unreachable (111)" in out
    assert "\x1b" not in out


@awaited
async def test_a_server_that_says_nothing_is_given_up(tmp_path):
    config = written(tmp_path)
    async with running("--config", config, *CLOUD) as cloud:
        ca = Path(cloud.facts["ca"]).read_bytes()
    (tmp_path / "ca.pem").write_bytes(ca)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        words = ("--config", config, "--cloud", place, "--devices", 2, "--limit", 0.5, "--json")
        code, out, _ = await fleet(*words)
    [failure] = json.loads(out)["failures"]
    assert (code, failure["reason"]) == (1, "no-answer")
    assert failure["detail"] == "waiting for TCP and TLS"


@awaited
async def test_a_cloud_that_stops_fails_those_who_are_there(tmp_path):
    config = written(tmp_path, replies=0)
    async with running("--config", config, *CLOUD) as cloud:
        words = (*at(cloud, config), "--devices", 3, "--messages", 1, "--stay", 60, "--json")
        process = await start(*words)
        for _ in range(3):  # all are there when the first message goes
            await cloud.event("telemetry")
    out, _ = await process.communicate()
    document = json.loads(out)
    assert (process.returncode, document["connected"], document["failed"]) == (1, 3, 3)
    assert document["failures"][0]["reason"] == "connection-lost"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@awaited
async def test_an_interrupted_fleet_hangs_up_and_complains_about_nothing(tmp_path, number, code):
    config = written(tmp_path, replies=0)
    async with running("--config", config, *CLOUD) as cloud:
        process = await start(*at(cloud, config), "--devices", 3, "--stay", 60)
        for _ in range(3):
            await cloud.event("connected", service=HUB)
        process.send_signal(number)
        out, err = await process.communicate()
    assert (process.returncode, out, err) == (code, b"", b"")


@awaited
async def test_too_few_open_files_are_told_before_anything_begins(tmp_path):
    config = written(tmp_path)
    async with running("--config", config, *CLOUD) as cloud:
        limit = ("bash", "-c", 'ulimit -Sn 100; ulimit -Hn 100; exec "$@"', "bash")
        code, out, err = await fleet(*at(cloud, config), "--devices", 50, prefix=limit)
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert "50 connections need 114 open files, and this user may have 100" in err


@awaited
async def test_mosquitto_takes_a_fleet_as_well(tmp_path):
    if not servers.mosquitto_path():
        pytest.skip("mosquitto is not installed")
    config = written(tmp_path)
    async with running("--config", config, *CLOUD, "--state-dir", tmp_path / "state") as cloud:
        ca = cloud.facts["ca"]
    with servers.mosquitto(tmp_path / "state", None) as server:
        place = f"127.0.0.1:{server.port}"
        words = ("--config", config, "--cloud", place, "--ca", ca, "--hub-only")
        code, out, _ = await fleet(*words, "--devices", 5, "--messages", 2, "--json")
    document = json.loads(out)
    assert (code, document["connected"]) == (0, 5)
    assert document["messages"]["acknowledged"] == 10


@pytest.mark.parametrize(
    "words",
    [("--devices", "0"), ("--devices", "x"), ("--devices", "1", "--every", "soon"),
     ("--devices", "1", "--stay", "1e9"), ()],
)  # fmt: skip
def test_wrong_usage_is_told(tmp_path, words):
    command = [sys.executable, "-m", "host_tools", "fleet", "--config", str(written(tmp_path))]
    result = subprocess.run(
        [*command, *words], capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert result.returncode == 2
    assert "usage: keystead fleet" in result.stderr
