"""What the cloud acknowledged is there after `kill -9` at any moment, and after a full disk."""

import asyncio
import itertools
import json
import random
import resource
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from host_tools.emulator.mqtt.connect import Connack, Connect
from host_tools.emulator.mqtt.packets import Puback, Publish
from host_tools.emulator.mqtt.subscribe import Suback, Subscribe
from host_tools.emulator.store.database import FILE
from host_tools.keys import decode_key, encode_key
from keystead import hub
from keystead.sas import sas_token
from tests.emulator.cloud_fixtures import HUB, LIMIT, CloudProcess, awaited, run, start
from tests.emulator.packet_client import Client
from tests.emulator.test_dps_served import program_token
from tests.emulator.test_rest import client as control_client

KEYS = {
    "symmetricKey": {"primaryKey": encode_key(bytes(32)), "secondaryKey": encode_key(bytes(32))}
}
VERSION = {"api-version": "2021-04-12"}
DEVICEBOUND = "devices/kept/messages/devicebound/#"


@dataclass
class Acknowledged:
    """What the cloud said it had done; nothing of it may be missing later."""

    groups: set[str] = field(default_factory=set)
    devices: set[str] = field(default_factory=set)
    messages: set[str] = field(default_factory=set)
    desired: int = 0
    reported: int = 0
    tried: int = 0  # of desired: under way when the cloud was killed
    told: int = 0  # of reported
    telemetry: set[str] = field(default_factory=set)
    enough: asyncio.Event = field(default_factory=asyncio.Event)  # to lose some of it

    def count(self) -> None:
        """Look whether it is enough, however slow the machine."""
        if self.desired > 3 and len(self.telemetry) > 3:
            self.enough.set()


def options(directory: Path) -> tuple[object, ...]:
    return ("--port", 0, "--state-dir", directory, "--show-keys", "--json")


@asynccontextmanager
async def alive(directory: Path) -> AsyncIterator[CloudProcess]:
    """A cloud that is ended by force."""
    cloud = CloudProcess(await start(*options(directory)))
    try:
        cloud.facts = await cloud.event("listening")
        yield cloud
    finally:
        with suppress(ProcessLookupError):
            cloud.process.kill()
        await cloud.process.communicate()


@asynccontextmanager
async def device(cloud: CloudProcess, name: str, key: bytes) -> AsyncIterator[Client]:
    """A device that is connected to its hub and keeps its session."""
    async with Client(cloud.facts["port"], cloud.facts["ca"]) as line:
        token = sas_token(hub.resource(HUB, name), key, 4102444800)
        connect = Connect(name, hub.username(HUB, name), token.encode(), clean=False)
        answer = await line.ask(connect)
        assert isinstance(answer, Connack)
        assert answer.code == 0
        yield line


async def churn(cloud: CloudProcess, done: Acknowledged, numbers: "itertools.count[int]") -> None:
    """Have the cloud keep one thing after another, until it is gone."""
    async with control_client(cloud) as service:
        program = {"authorization": program_token(cloud.facts)}
        root = f"/keystead/hubs/{HUB}"
        for number in numbers:
            name = f"n-{number}"
            group = {"enrollmentGroupId": name, "attestation": {"type": "symmetricKey"}}
            at = {"params": {"api-version": "2021-10-01"}, "headers": program}
            answer = await service.put(f"/enrollmentGroups/{name}", json=group, **at)
            assert answer.status_code == 200, answer.text
            done.groups.add(name)
            answer = await service.put(
                f"{root}/devices/{name}", json={"deviceId": name}, params=VERSION
            )
            assert answer.status_code == 200, answer.text
            done.devices.add(name)
            done.tried = number
            patch = {"properties": {"desired": {"n": number}}}
            answer = await service.patch(f"{root}/twins/kept", json=patch, params=VERSION)
            assert answer.status_code == 200, answer.text
            done.desired = number
            done.count()
            if number % 5 == 0 and len(done.messages) < 45:
                answer = await service.post(f"{root}/devices/kept/messages", content=name)
                assert answer.status_code == 204, answer.text
                done.messages.add(name)


async def report(line: Client, done: Acknowledged, numbers: "itertools.count[int]") -> None:
    """Have the device report one number after another, until the cloud is gone."""
    for number in numbers:
        done.told = number
        topic = f"$iothub/twin/PATCH/properties/reported/?$rid={number}"
        answer = await line.ask(Publish(topic, json.dumps({"n": number}).encode()))
        while isinstance(answer, Publish) and answer.topic.startswith("devices/"):
            answer = await line.next()  # a message that waited; it is taken at the end
        if answer is None:
            raise ConnectionError("the cloud is gone")
        assert isinstance(answer, Publish)
        assert answer.topic.startswith(f"$iothub/twin/res/204/?$rid={number}&")
        done.reported = number
        body = f"t-{number}"
        answer = await line.ask(Publish(hub.telemetry_topic("kept"), body.encode(), 1, 1))
        while isinstance(answer, Publish):
            answer = await line.next()
        if answer is None:
            raise ConnectionError("the cloud is gone")
        assert isinstance(answer, Puback)
        done.telemetry.add(body)
        done.count()


async def check(cloud: CloudProcess, done: Acknowledged) -> None:
    async with control_client(cloud) as service:
        program = {"authorization": program_token(cloud.facts)}
        for name in done.groups:
            at = {"params": {"api-version": "2021-10-01"}, "headers": program}
            answer = await service.get(f"/enrollmentGroups/{name}", **at)
            assert answer.status_code == 200, name
        root = f"/keystead/hubs/{HUB}"
        for name in done.devices:
            answer = await service.get(f"{root}/devices/{name}", params=VERSION)
            assert answer.status_code == 200, name
        twin = (await service.get(f"{root}/twins/kept", params=VERSION)).json()
        path = "/keystead/events?event=telemetry&follow=0&from=0"
        stream = (await service.get(path)).text
    lines = [line.removeprefix("data: ") for line in stream.splitlines() if "data: " in line]
    bodies = {json.loads(line).get("body") for line in lines}
    assert done.telemetry <= bodies, sorted(done.telemetry - bodies)
    # what was under way when it was killed may be there or not
    assert twin["properties"]["desired"].get("n", 0) in (done.desired, done.tried)
    assert twin["properties"]["reported"].get("n", 0) in (done.reported, done.told)


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(1, 10))]
)
@awaited
async def test_nothing_acknowledged_is_lost_by_kill_9(tmp_path, seed):
    chance, done = random.Random(seed), Acknowledged()
    numbers, reports = itertools.count(1), itertools.count(1)
    async with alive(tmp_path) as cloud, control_client(cloud) as service:
        path = f"/keystead/hubs/{HUB}/devices/kept"
        made = await service.put(path, json={"deviceId": "kept"}, params=VERSION)
        key = decode_key(made.json()["authentication"]["symmetricKey"]["primaryKey"], "it")
        async with device(cloud, "kept", key) as line:
            assert isinstance(await line.ask(Subscribe(1, ((DEVICEBOUND, 1),))), Suback)
    for _ in range(3):
        async with alive(tmp_path) as cloud:
            await check(cloud, done)
            async with device(cloud, "kept", key) as line:
                work = asyncio.gather(
                    churn(cloud, done, numbers),
                    report(line, done, reports),
                    return_exceptions=True,
                )
                await asyncio.wait([work], timeout=chance.uniform(0.2, 1.5))
                enough = asyncio.create_task(done.enough.wait())
                first = asyncio.FIRST_COMPLETED
                await asyncio.wait([work, enough], timeout=LIMIT, return_when=first)
                enough.cancel()
                cloud.process.send_signal(signal.SIGKILL)
                failures = await asyncio.wait_for(work, LIMIT)
            assert not [one for one in failures if isinstance(one, AssertionError)], failures
    assert done.enough.is_set()
    async with alive(tmp_path) as cloud:
        await check(cloud, done)
        bodies = set()
        async with device(cloud, "kept", key) as line:
            while not done.messages <= bodies:
                packet = await line.next()
                assert isinstance(packet, Publish)
                bodies.add(packet.payload.decode())


@awaited
async def test_a_full_disk_is_said_and_takes_nothing_with_it(tmp_path):
    async with alive(tmp_path) as cloud, control_client(cloud) as service:
        path = f"/keystead/hubs/{HUB}/devices/first"
        first = await service.put(path, json={"deviceId": "first"}, params=VERSION)
        assert first.status_code == 200
        # no file of this process may grow any more: to SQLite, a disk that is full
        wal = (tmp_path / f"{FILE}-wal").stat().st_size
        resource.prlimit(cloud.process.pid, resource.RLIMIT_FSIZE, (wal, resource.RLIM_INFINITY))
        for number in range(50):
            path = f"/keystead/hubs/{HUB}/devices/d{number}"
            answer = await service.put(path, json={"deviceId": f"d{number}"}, params=VERSION)
            if answer.status_code != 200:
                break
        assert answer.status_code == 500, answer.text
        refused = f"d{number}"
        await cloud.event("failed")
        limits = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(cloud.process.pid, resource.RLIMIT_FSIZE, limits)
        path = f"/keystead/hubs/{HUB}/devices/{refused}"
        assert (await service.get(path, params=VERSION)).status_code == 404
        answer = await service.put(path, json={"deviceId": refused}, params=VERSION)
        assert answer.status_code == 200, answer.text
    async with alive(tmp_path) as cloud, control_client(cloud) as service:
        for name in ("first", refused):
            path = f"/keystead/hubs/{HUB}/devices/{name}"
            assert (await service.get(path, params=VERSION)).status_code == 200


@awaited
async def test_a_corrupt_database_is_named_and_left_as_it_is(tmp_path):
    async with alive(tmp_path):
        pass
    path = tmp_path / FILE
    path.write_bytes(b"\xff" * 8192)
    for leftover in tmp_path.glob(f"{FILE}-*"):
        leftover.unlink()
    code, _, complaint = await run(*options(tmp_path))
    assert code == 1
    assert complaint.startswith(f"keystead cloud: can not use {path}")
    assert complaint.count("\n") == 1
    assert path.read_bytes() == b"\xff" * 8192


@awaited
async def test_a_second_cloud_on_the_same_state_is_turned_away(tmp_path):
    async with alive(tmp_path) as cloud, control_client(cloud) as service:
        code, _, complaint = await run(*options(tmp_path))
        assert code == 1
        assert f"another keystead cloud uses {tmp_path}" in complaint
        # and the first one, with its control file, goes on
        assert isinstance(service, httpx.AsyncClient)
        assert (await service.get("/keystead/status")).status_code == 200
