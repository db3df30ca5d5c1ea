"""Azure's own Python SDK, unmodified, against `keystead cloud` as its users start it.

The SDK dials port 8883 and no other, so these tests need it, and run one at a time.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from host_tools.keys import derive_device_key, encode_key
from tests.emulator.cloud_fixtures import HUB, LIMIT, CloudProcess, awaited, port_8883, running

GROUP_KEY = bytes(range(64))
OWN_KEY = bytes(range(32))
SECONDARY = bytes(range(32, 64))
SCOPE = "0ne00002193"
CONFIG = f"""
[dps]
id_scope = "{SCOPE}"
assigning_replies = 1
retry_after = 1
refuse_at = "REFUSE_AT"

[[individual_enrollment]]
registration_id = "bench-1"
primary_key = "{encode_key(OWN_KEY)}"
secondary_key = "{encode_key(SECONDARY)}"
device_id = "pump-7"
hub = "{HUB}"

[[individual_enrollment]]
registration_id = "stolen"
primary_key = "{encode_key(OWN_KEY)}"
hub = "{HUB}"
enabled = false
"""
GROUP = f"""
[[enrollment_group]]
name = "mylegacydevices"
primary_key = "{encode_key(GROUP_KEY)}"
hub = "{HUB}"
"""


@pytest.fixture(autouse=True)
def _port() -> Iterator[None]:
    with port_8883():
        yield


def a_cloud(
    directory: Path, refuse_at: str = "register", group: str = GROUP
) -> AbstractAsyncContextManager[CloudProcess]:
    config = directory / "cloud.toml"
    config.write_text(CONFIG.replace("REFUSE_AT", refuse_at) + group)
    return running(
        "--config", config, "--ca-out", directory / "ca.pem", "--advertise", "localhost"
    )


class Sdk:
    """A device on Azure's SDK that does one job."""

    def __init__(self, directory: Path, action: str, key: bytes, **job: str) -> None:
        ca = (directory / "ca.pem").read_text()
        self._job = {"action": action, "key": encode_key(key), "ca": ca, **job}

    async def __aenter__(self) -> "Sdk":
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("azure_device.py")),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self._process.stdin.write(json.dumps(self._job).encode())
        self._process.stdin.close()
        return self

    async def says(self) -> dict:
        async with asyncio.timeout(2 * LIMIT):
            return json.loads(await self._process.stdout.readline())

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()


async def do(directory: Path, action: str, key: bytes, **job: str) -> dict:
    async with Sdk(directory, action, key, **job) as sdk:
        return await sdk.says()


async def register(directory: Path, name: str, key: bytes, id_scope: str = SCOPE) -> dict:
    return await do(directory, "register", key, registration_id=name, id_scope=id_scope)


async def check_telemetry(cloud: CloudProcess, device_id: str) -> None:
    event = await cloud.event("telemetry")
    assert (event["hub"], event["device_id"], event["body"]) == (HUB, device_id, '{"t":21.5}')
    assert event["properties"] == {
        "$.ct": "application/json",
        "$.ce": "utf-8",
        "alarm level": "high&low",
    }


@awaited
async def test_a_group_member_registers_and_sends_telemetry_to_the_hub_it_is_assigned(tmp_path):
    key = derive_device_key(GROUP_KEY, "dev-1")
    async with a_cloud(tmp_path) as cloud:
        assert await register(tmp_path, "dev-1", key) == {
            "status": "assigned",
            "assigned_hub": "localhost",
            "device_id": "dev-1",
            "substatus": "initialAssignment",
        }
        await cloud.event("assigned", registration_id="dev-1", hub=HUB, dial="localhost")
        assert await do(tmp_path, "send", key, device_id="dev-1", hub="localhost") == {}
        await check_telemetry(cloud, "dev-1")


@awaited
async def test_an_individual_registers_and_goes_by_its_device_id_at_the_hub(tmp_path):
    async with a_cloud(tmp_path) as cloud:
        assignment = await register(tmp_path, "bench-1", OWN_KEY)
        assert assignment["device_id"] == "pump-7"
        await do(tmp_path, "send", OWN_KEY, device_id="pump-7", hub="localhost")
        await check_telemetry(cloud, "pump-7")


@awaited
async def test_the_secondary_key_opens_both_doors_and_the_hubs_own_name_will_do(tmp_path):
    async with a_cloud(tmp_path) as cloud:
        await register(tmp_path, "bench-1", SECONDARY)
        await do(tmp_path, "send", SECONDARY, device_id="pump-7", hub=HUB)
        await check_telemetry(cloud, "pump-7")


@awaited
async def test_the_twin_takes_what_the_device_reports(tmp_path):
    async with a_cloud(tmp_path):
        await register(tmp_path, "bench-1", OWN_KEY)
        said = await do(tmp_path, "report", OWN_KEY, device_id="pump-7", hub="localhost")
    reported = {"battery": 60, "$version": 2}
    assert said == {"twin": {"desired": {"$version": 1}, "reported": reported}}


@awaited
async def test_a_newer_client_of_the_same_device_takes_over(tmp_path):
    job = {"key": OWN_KEY, "device_id": "pump-7", "hub": "localhost"}
    async with a_cloud(tmp_path) as cloud:
        await register(tmp_path, "bench-1", OWN_KEY)
        async with Sdk(tmp_path, "stay", **job) as older:
            assert await older.says() == {"connected": True}
            assert await do(tmp_path, "send", **job) == {}
            assert await older.says() == {"dropped": True}
        await cloud.event("disconnected", why="the same device connected again")
        await check_telemetry(cloud, "pump-7")


@pytest.mark.parametrize(
    ("refuse_at", "error", "answer"),
    [
        ("register", {"error": "ClientError", "cause": "ServiceError"}, "error 401002"),
        ("connect", {"error": "CredentialError"}, "CONNACK 5"),
    ],
)
@awaited
async def test_a_wrong_key_is_refused_with_the_sdks_own_exception(
    tmp_path, refuse_at, error, answer
):
    async with a_cloud(tmp_path, refuse_at) as cloud:
        said = await register(tmp_path, "dev-1", bytes(32))
        assert error.items() <= said.items()
        await cloud.event("refused", device_id="dev-1", reason="wrong-key", answer=answer)


@awaited
async def test_the_group_key_on_a_device_is_refused(tmp_path):
    async with a_cloud(tmp_path) as cloud:
        said = await register(tmp_path, "dev-1", GROUP_KEY)
        assert said == {"error": "ClientError", "cause": "ServiceError"}
        await cloud.event("refused", reason="group-key")


@awaited
async def test_a_disabled_enrollment_is_refused(tmp_path):
    async with a_cloud(tmp_path) as cloud:
        said = await register(tmp_path, "stolen", OWN_KEY)
        assert said == {"error": "ClientError", "cause": "ServiceError"}
        await cloud.event("refused", device_id="stolen", reason="disabled")


@pytest.mark.parametrize(("name", "id_scope"), [("dev-1", SCOPE), ("bench-1", "0ne99999999")])
@awaited
async def test_who_is_unknown_is_refused(tmp_path, name, id_scope):
    async with a_cloud(tmp_path, group="") as cloud:
        said = await register(tmp_path, name, OWN_KEY, id_scope)
        assert said == {"error": "ClientError", "cause": "ServiceError"}
        await cloud.event("refused", device_id=name, answer="error 404201")


@awaited
async def test_the_hub_refuses_who_is_not_registered_and_who_has_a_wrong_key(tmp_path):
    job = {"device_id": "pump-7", "hub": "localhost"}
    async with a_cloud(tmp_path) as cloud:
        assert (await do(tmp_path, "send", OWN_KEY, **job))["error"] == "CredentialError"
        await cloud.event("refused", service="IoT Hub", reason="unknown-device")
        await register(tmp_path, "bench-1", OWN_KEY)
        assert (await do(tmp_path, "send", bytes(32), **job))["error"] == "CredentialError"
        await cloud.event("refused", service="IoT Hub", reason="wrong-key")
