"""A fleet under Locust, as docs/scale.md runs it: a master and two workers, a real cloud."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.ports import kept_port
from host_tools.keys import encode_key
from tests.emulator.cloud_fixtures import HUB, LIMIT, awaited, running

ROOT = Path(__file__).parents[2]
FILE = "host_tools/fleet/locustfile.py"
START = f"    .venv/bin/locust -f {FILE} "
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("locust") is None,
    reason="locust is not installed: pip install -e '.[scale]'",
)
CONFIG = f"""
[[enrollment_group]]
name = "mylegacydevices"
primary_key = "{encode_key(bytes(range(64)))}"
hub = "{HUB}"
"""


def locust(folder: Path, *words: object) -> "subprocess.Popen[str]":
    """Start Locust in a process of its own: it changes the standard library it runs in."""
    environment = {name: value for name, value in os.environ.items() if "LOCUST" not in name}
    return subprocess.Popen(
        [sys.executable, "-m", "locust", "-f", str(ROOT / FILE), *map(str, words)],
        cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def documented(option: str, **changes: object) -> list[str]:
    """Return the words of docs/scale.md's command with an option, some of their values changed."""
    page = (ROOT / "docs" / "scale.md").read_text()
    [command] = [line for line in page.splitlines() if line.startswith(START) and option in line]
    words = command.removeprefix(START).split()
    for name, value in changes.items():
        words[words.index("--" + name.replace("_", "-")) + 1] = str(value)
    return words


@pytest.fixture
def port() -> Iterator[int]:
    """A free port that nobody else is given meanwhile."""
    with kept_port() as number:
        yield number


@awaited
async def test_a_master_and_two_workers_bring_every_device_in(tmp_path, port):
    (tmp_path / "cloud.toml").write_text(CONFIG)
    arguments = ("--config", tmp_path / "cloud.toml", "--port", 0, "--rest-port", 0)
    async with running(*arguments, "--ca-out", tmp_path / "ca.pem") as cloud:
        here = documented("--worker", master_host="127.0.0.1", processes=2)
        workers = locust(tmp_path, *here, "--master-port", port)
        there = documented(
            "--master ", expect_workers=2, users=6, spawn_rate=6, run_time="5s", fleet_every=0.2,
            host=f"127.0.0.1:{cloud.facts['port']}",
        )  # fmt: skip
        bound = ("--master-bind-host", "127.0.0.1", "--master-bind-port", port)
        master = locust(tmp_path, *there, *bound, "--json")
        out, err = master.communicate(timeout=2 * LIMIT)
        complaints = workers.communicate(timeout=LIMIT)[1]
        for _ in range(6):
            await cloud.event("disconnected", service=HUB, why="it said goodbye")
    assert master.returncode == 0, err
    assert workers.returncode == 0, complaints
    entries = {(one["method"], one["name"]): one for one in json.loads(out)}
    assert entries["DPS", "register"]["num_requests"] == 6
    assert entries["hub", "connect"]["num_requests"] == 6
    assert entries["hub", "publish"]["num_requests"] >= 6
    assert [one["num_failures"] for one in entries.values()] == [0, 0, 0]
    # no two devices of two workers have one name
    names = re.findall(r'"connected", .*"service": "DPS", "device_id": "([^"]+)"',
                       "".join(cloud.said))  # fmt: skip
    assert sorted({name.rpartition("-")[0] for name in names}) == ["fleet-0", "fleet-1"]
    assert len(set(names)) == 6


@awaited
async def test_what_fails_is_told_with_its_reason_and_the_exit_code(tmp_path):
    (tmp_path / "cloud.toml").write_text(CONFIG)
    other = CONFIG.replace("primary_key", "enabled = false\nprimary_key")
    (tmp_path / "other.toml").write_text(other)
    arguments = ("--config", tmp_path / "other.toml", "--port", 0, "--rest-port", 0)
    async with running(*arguments, "--ca-out", tmp_path / "ca.pem") as cloud:
        process = locust(
            tmp_path, "--headless", "--users", 2, "--spawn-rate", 2, "--run-time", "3s",
            "--host", f"127.0.0.1:{cloud.facts['port']}", "--fleet-every", 5, "--only-summary",
        )  # fmt: skip
        out, err = process.communicate(timeout=2 * LIMIT)
    assert process.returncode == 1
    assert "dps-disabled" in out + err
    assert "Traceback" not in out + err


@awaited
async def test_a_run_that_is_ended_lets_its_devices_say_goodbye(tmp_path):
    (tmp_path / "cloud.toml").write_text(CONFIG)
    arguments = ("--config", tmp_path / "cloud.toml", "--port", 0, "--rest-port", 0)
    async with running(*arguments, "--ca-out", tmp_path / "ca.pem") as cloud:
        process = locust(
            tmp_path, "--headless", "--users", 2, "--spawn-rate", 2,
            "--host", f"127.0.0.1:{cloud.facts['port']}", "--only-summary",
        )  # fmt: skip
        for name in ("fleet-0-1", "fleet-0-2"):
            await cloud.event("telemetry", device_id=name)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=LIMIT)
        for _ in range(2):
            await cloud.event("disconnected", service=HUB, why="it said goodbye")
    assert "Traceback" not in out + err
