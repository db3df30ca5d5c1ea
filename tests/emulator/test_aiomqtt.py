"""aiomqtt, unmodified, as a device on the cloud: what an asyncio program sees of it."""

import asyncio
import json
import logging

import aiomqtt
import pytest

from keystead import dps, hub
from tests.emulator.cloud_fixtures import HUB, LIMIT, awaited
from tests.emulator.mqtt_fixtures import NAME, Bench

EVENTS = hub.telemetry_topic(NAME)
TWIN = "$iothub/twin/res/#"


def client(bench: Bench, name: str = NAME, at_dps: bool = False, **changes) -> aiomqtt.Client:
    connect = (bench.at_dps if at_dps else bench.at_hub)(name)
    options = {
        "hostname": "localhost",
        "port": bench.port,
        "identifier": name,
        "username": connect.username,
        "password": connect.password.decode(),
        "tls_context": bench.tls,
        "timeout": LIMIT,
        "clean_session": True,
        **changes,
    }
    return aiomqtt.Client(**options)


async def message(device: aiomqtt.Client) -> aiomqtt.Message:
    async with asyncio.timeout(LIMIT):
        return await anext(aiter(device.messages))


async def dropped(device: aiomqtt.Client) -> None:
    """Wait until the connection is gone."""
    with pytest.raises(aiomqtt.MqttError):
        await message(device)


@awaited
async def test_a_device_registers_and_sends_telemetry(bench):
    name = "aio-1"
    async with client(bench, name, at_dps=True) as device:
        assert await device.subscribe(dps.RESPONSES, 1) == (1,)
        topic, body = dps.Registration(name).request()
        await device.publish(topic, body, 1)
        operation = json.loads((await message(device)).payload)["operationId"]
        poll = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId="
        await device.publish(poll + operation, b" ", 1)
        answer = json.loads((await message(device)).payload)
        assert answer["registrationState"]["assignedHub"] == HUB
        await device.unsubscribe(dps.RESPONSES)
    async with client(bench, name) as device:
        await device.publish(hub.telemetry_topic(name), '{"t":1}', 0)
        await device.publish(hub.telemetry_topic(name), '{"t":2}', 1)
    bodies = [bench.event("telemetry", device_id=name)["body"] for _ in range(2)]
    assert bodies == ['{"t":1}', '{"t":2}']
    bench.event("disconnected", device_id=name, service=HUB, why="it said goodbye")


@awaited
async def test_the_twin_answers_a_device_that_subscribed(bench):
    async with client(bench) as device:
        assert await device.subscribe([(TWIN, 2), ("$iothub/methods/POST/#", 0)]) == (1, 0)
        await device.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", '{"b":60}', 1)
        assert (await message(device)).topic.value.startswith("$iothub/twin/res/204/?$rid=1&")
        await device.publish("$iothub/twin/GET/?$rid=2", b"", 0)
        assert json.loads((await message(device)).payload)["reported"]["b"] == 60
        await device.unsubscribe([TWIN, "$iothub/methods/POST/#"])


@awaited
async def test_fifty_publishers_at_once_are_all_acknowledged(bench):
    bench.forget_events()
    async with client(bench) as device, asyncio.TaskGroup() as tasks:
        for number in range(50):
            tasks.create_task(device.publish(EVENTS, f"{number}", 1))
    bodies = {bench.event("telemetry", device_id=NAME)["body"] for _ in range(50)}
    assert bodies == {f"{number}" for number in range(50)}


@awaited
async def test_the_will_of_who_breaks_off_is_telemetry(bench):
    device = client(bench, will=aiomqtt.Will(EVENTS, "farewell", 1))
    with pytest.raises(aiomqtt.MqttError):
        async with device:
            device._client.socket().shutdown(2)
            await message(device)
    properties = bench.event("telemetry", body="farewell")["properties"]
    assert properties == {"iothub-MessageType": "Will"}


@awaited
async def test_a_stored_session_answers_on_the_next_connection(bench):
    bench.provision("keeper")
    async with client(bench, "keeper", clean_session=False) as device:
        await device.subscribe(TWIN, 1)
    async with client(bench, "keeper", clean_session=False) as device:
        await device.publish("$iothub/twin/GET/?$rid=1", b"", 1)
        assert (await message(device)).qos == 1


class Log(logging.Handler):
    """What paho logs inside aiomqtt."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.put_nowait(record.getMessage())


@awaited
async def test_pings_keep_a_quiet_device_connected(bench):
    bench.forget_events()
    log, logger = Log(), logging.Logger("aiomqtt")
    logger.addHandler(log)
    # paho, inside it, looks at it once a second
    async with client(bench, keepalive=4, logger=logger) as device, asyncio.timeout(LIMIT):
        for _ in range(2):  # longer than 1.5 times its keep-alive
            while await log.lines.get() != "Received PINGRESP":
                pass
        await device.publish(EVENTS, "still here", 1)
    bench.event("telemetry", body="still here")


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"password": "wrong"}, 5), ({"username": "somebody"}, 4), ({"identifier": "dev-2"}, 2)],
)
@awaited
async def test_who_is_refused_hears_the_code(bench, other, changes, code):
    with pytest.raises(aiomqtt.MqttCodeError) as refused:
        async with client(bench, **changes):
            pass
    assert int(refused.value.rc) == code
    other.works()


@awaited
async def test_a_newer_client_of_the_same_device_takes_over(bench, other):
    with pytest.raises(aiomqtt.MqttError):
        async with client(bench) as older, client(bench) as newer:
            await newer.publish(EVENTS, "mine now", 1)
            await dropped(older)
            await older.publish(EVENTS, "no longer mine", 1)
    bench.event("telemetry", body="mine now")
    other.works()


@pytest.mark.parametrize(
    "act",
    [
        lambda device: device.publish(EVENTS, b"{}", 2),
        lambda device: device.publish("a/b", b"{}", 1),
        lambda device: device.publish(EVENTS, bytes(300_000), 1),
        lambda device: device.subscribe("a/#", 1),
    ],
    ids=["QoS 2", "unknown topic", "300 KB", "unknown filter"],
)
@awaited
async def test_what_azure_does_not_have_ends_the_connection(bench, other, act):
    with pytest.raises(aiomqtt.MqttError):
        async with client(bench) as device, asyncio.TaskGroup() as tasks:
            # aiomqtt's publish() waits for its acknowledgement, not for the connection's end
            asking = tasks.create_task(act(device))
            await dropped(device)
            asking.cancel()
            await device.publish(EVENTS, b"", 1)
    other.works()
