"""Azure's own service SDK for Python, unmodified, against `keystead cloud`'s REST interface."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from host_tools.keys import encode_key
from tests.emulator.cloud_fixtures import (
    HUB,
    LIMIT,
    CloudProcess,
    awaited,
    port_8883,
    running,
)

pytest.importorskip("azure.iot.hub", reason="azure-iot-hub has no wheel for this Python")

OWN_KEY = bytes(range(32))
CONFIG = f"""
[[individual_enrollment]]
registration_id = "pump-7"
primary_key = "{encode_key(OWN_KEY)}"
hub = "{HUB}"
"""
OFFLINE = [404, "Operation returned an invalid status code 'Not Found'"]


def found(status: int, reason: str, name: str) -> list:
    """What the SDK makes of an error."""
    message = f"Operation returned an invalid status code '{reason}'"
    return [status, message, f"ErrorCode:{name}"]


NOT_FOUND = found(404, "Not Found", "DeviceNotFound")
STALE = found(412, "Precondition Failed", "PreconditionFailed")


def connection_string(cloud: CloudProcess, **changes: str) -> str:
    (hub,) = cloud.facts["hubs"]
    named = dict(part.split("=", 1) for part in hub["connection_string"].split(";"))
    return ";".join(f"{name}={value}" for name, value in {**named, **changes}.items())


async def do(cloud: CloudProcess, job: str, *more: str, **changes: str) -> dict:
    """What Azure's SDK gets when it does a job."""
    asked = {"job": job, "connection_string": connection_string(cloud, **changes), "more": more}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("azure_hub.py")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "REQUESTS_CA_BUNDLE": cloud.facts["ca"]},
    )
    async with asyncio.timeout(2 * LIMIT):
        out, err = await process.communicate(json.dumps(asked).encode())
    assert out, err.decode()
    return json.loads(out)


@awaited
async def test_devices_are_made_changed_listed_counted_and_deleted() -> None:
    async with running("--port", 0, "--rest-port", 0, "--show-keys") as cloud:
        assert await do(cloud, "registry") == {
            "made": ["enabled", "new", "AAECAwQFBgcICQoLDA0ODw=="],
            "again": found(409, "Conflict", "DeviceAlreadyExists"),
            "generated": 44,
            "edge": True,
            "same": [True, True],
            "changed": ["disabled", "x", False],
            "time": True,
            "stale": STALE,
            "x509": found(400, "Bad Request", "ArgumentInvalid"),
            "authority": found(400, "Bad Request", "ArgumentInvalid"),
            "module": found(501, "Not Implemented", "NotImplemented"),
            "listed": ["sdk-1", "sdk-2"],
            "counted": [2, 1],
            "connected": 0,
            "wrong": STALE,
            "gone": NOT_FOUND,
        }


@awaited
async def test_many_devices_are_made_and_deleted_at_once() -> None:
    async with running("--port", 0, "--rest-port", 0, "--show-keys") as cloud:
        assert await do(cloud, "bulk") == {
            "made": True,
            "again": [False, "bulk-0", "DeviceAlreadyExists"],
            "gone": True,
            "left": 0,
        }


@awaited
async def test_twins_are_queried_page_by_page() -> None:
    async with running("--port", 0, "--rest-port", 0, "--show-keys") as cloud:
        assert await do(cloud, "queries") == {
            "all": ["Twin", [["q-0", "q-1"], ["q-2", "q-3"], ["q-4"]]],
            "one": ["Twin", [["q-3"]]],
            "wrong": found(400, "Bad Request", "ArgumentInvalid"),
        }


@awaited
async def test_twins_are_read_patched_and_replaced_unless_the_etag_is_stale() -> None:
    async with running("--port", 0, "--rest-port", 0, "--show-keys") as cloud:
        assert await do(cloud, "twins") == {
            "first": [{}, "Disconnected", True],
            "patched": [{"a": 1}, 5],
            "version": 2,
            "replaced": [{"b": 2}, False],
            "stale": [STALE, STALE],
            "nobody": NOT_FOUND,
        }


@awaited
async def test_a_device_that_is_not_there_can_not_be_called() -> None:
    async with running("--port", 0, "--rest-port", 0, "--show-keys") as cloud:
        answer = await do(cloud, "absent")
        for who, code in (("offline", 404103), ("nobody", 404001)):
            status, message, inner = answer[who]
            assert [status, message] == OFFLINE
            assert json.loads(inner)["errorCode"] == code


@awaited
async def test_a_wrong_key_is_refused_and_the_operator_is_told_why() -> None:
    async with running("--port", 0, "--rest-port", 0, "--show-keys") as cloud:
        unauthorized = found(401, "Unauthorized", "IotHubUnauthorizedAccess")
        wrong = encode_key(bytes(64))
        answer = await do(cloud, "stranger", SharedAccessKey=wrong)
        assert answer == {"list": unauthorized, "twin": unauthorized}
        refused = await cloud.event("refused", reason="wrong-key")
        assert (refused["service"], refused["answer"]) == (HUB, "HTTP 401")


@awaited
async def test_a_method_is_answered_by_a_device_on_azures_device_sdk(tmp_path: Path) -> None:
    config = tmp_path / "cloud.toml"
    config.write_text(CONFIG)
    arguments = ("--config", config, "--rest-port", 0, "--advertise", "localhost", "--show-keys")
    with port_8883():
        async with running(*arguments) as cloud:
            device = await asyncio.create_subprocess_exec(
                sys.executable,
                str(Path(__file__).with_name("azure_answering.py")),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            job = {"key": encode_key(OWN_KEY), "ca": Path(cloud.facts["ca"]).read_text()}
            device.stdin.write(json.dumps({**job, "id_scope": cloud.facts["id_scope"]}).encode())
            device.stdin.write_eof()
            try:
                async with asyncio.timeout(2 * LIMIT):
                    assert await device.stdout.readline() == b"listening\n"
                assert await do(cloud, "call", "pump-7") == {
                    "status": 207,
                    "payload": {"heard": {"delay": 1}},
                    "state": "Connected",
                    "connected": 1,
                    "purged": 0,
                }
            finally:
                device.kill()
                await device.communicate()
