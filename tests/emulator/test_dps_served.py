"""DPS over HTTPS as `keystead cloud` serves it: to programs, to devices, and after kill -9."""

import json
import ssl
import time
from contextlib import asynccontextmanager

import httpx
import pytest

from host_tools.emulator.config import Config
from host_tools.keys import decode_key, derive_device_key, encode_key
from keystead import dps
from keystead.sas import sas_token
from tests.emulator.cloud_fixtures import HUB, LIMIT, awaited, running, start

SCOPE = Config.id_scope
PRIMARY, SECONDARY = bytes(range(64)), bytes(range(32))
KEYS = {"primaryKey": encode_key(PRIMARY), "secondaryKey": encode_key(SECONDARY)}
GROUP = {"attestation": {"type": "symmetricKey", "symmetricKey": KEYS}}


def options(tmp_path):
    return ("--port", 0, "--rest-port", 0, "--state-dir", tmp_path, "--show-keys")


def program_token(facts):
    """Return a token made of the connection string that the cloud prints."""
    fields = dict(field.split("=", 1) for field in facts["dps"]["connection_string"].split(";"))
    key, expiry = decode_key(fields["SharedAccessKey"], "it"), int(time.time()) + 600
    return sas_token(fields["HostName"], key, expiry, fields["SharedAccessKeyName"])


def device_token(name):
    key = derive_device_key(SECONDARY, name)
    return sas_token(dps.resource(SCOPE, name), key, int(time.time()) + 600, "registration")


@asynccontextmanager
async def client(facts, token):
    async with httpx.AsyncClient(
        base_url=facts["rest"]["url"],
        verify=ssl.create_default_context(cafile=facts["ca"]),
        headers={"authorization": token},
        params={"api-version": "2021-10-01"},
        timeout=LIMIT,
        trust_env=False,
    ) as found:
        yield found


@awaited
async def test_a_program_makes_a_group_and_a_member_registers_over_https(tmp_path):
    async with running(*options(tmp_path)) as cloud:
        async with client(cloud.facts, program_token(cloud.facts)) as program:
            assert (await program.put("/enrollmentGroups/fleet", json=GROUP)).status_code == 200
        async with client(cloud.facts, device_token("dev-1")) as device:
            path = f"/{SCOPE}/registrations/dev-1"
            begun = await device.put(f"{path}/register", json={"registrationId": "dev-1"})
            assert (begun.status_code, begun.headers["retry-after"]) == (202, "1")
            assert begun.headers["location"].endswith(f"{path}/register")
            operation = begun.json()["operationId"]
            answers = [await device.get(f"{path}/operations/{operation}") for _ in range(2)]
            assert [one.status_code for one in answers] == [202, 200]
            state = answers[-1].json()["registrationState"]
            assert (state["status"], state["assignedHub"]) == ("assigned", HUB)
            assert (await device.post(path, json={})).json() == state
        async with client(cloud.facts, program_token(cloud.facts)) as program:
            records = await program.post("/registrations/fleet/query", json={"query": "*"})
            assert [one["deviceId"] for one in records.json()] == ["dev-1"]
        asked = await cloud.event("asked", registration_id="dev-1")
        assert asked["api_version"] == "2021-10-01"
        await cloud.event("assigned", registration_id="dev-1", hub=HUB)


@awaited
async def test_a_stranger_is_refused_with_the_services_own_error(tmp_path):
    async with running(*options(tmp_path)) as cloud:
        async with client(cloud.facts, device_token("dev-1")) as stranger:
            answer = await stranger.get("/enrollments/dev-1")
            assert (answer.status_code, answer.json()["errorCode"]) == (401, 401002)
        refused = await cloud.event("refused", service="DPS")
        assert refused["reason"] == "wrong-resource"


@pytest.mark.parametrize("round_", range(3))
@awaited
async def test_what_was_acknowledged_outlives_a_kill_at_any_moment(tmp_path, round_):
    process = await start("--json", *options(tmp_path))
    facts = json.loads(await process.stdout.readline())
    acknowledged = []
    async with client(facts, program_token(facts)) as program:
        for number in range(20 + 10 * round_):
            made = await program.put(f"/enrollmentGroups/g-{number}", json=GROUP)
            acknowledged.append(made.json())
        gone = acknowledged.pop(0)
        await program.delete(f"/enrollmentGroups/{gone['enrollmentGroupId']}")
        async with client(facts, device_token("dev-1")) as device:
            path = f"/{SCOPE}/registrations/dev-1/register"
            operation = (await device.put(path, json={})).json()["operationId"]
            path = f"/{SCOPE}/registrations/dev-1/operations/{operation}"
            while (end := await device.get(path)).status_code == 202:
                pass
    process.kill()
    await process.wait()
    async with (
        running(*options(tmp_path)) as cloud,
        client(cloud.facts, program_token(cloud.facts)) as program,
    ):
        for one in acknowledged:
            kept = await program.get(f"/enrollmentGroups/{one['enrollmentGroupId']}")
            assert kept.json() == {**one, "attestation": {"type": "symmetricKey"}}
        assert (await program.get("/enrollmentGroups/g-0")).status_code == 404
        record = (await program.get("/registrations/dev-1")).json()
        assert record["etag"] == end.json()["registrationState"]["etag"]
