"""paho-mqtt, unmodified, as a device: every feature of its that Azure has, or has not."""

import json
import queue
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import paho.mqtt.client as mqtt
import pytest

from keystead import dps, hub
from tests.emulator.cloud_fixtures import HUB, LIMIT
from tests.emulator.mqtt_fixtures import NAME, Bench

EVENTS = hub.telemetry_topic(NAME)
TWIN = "$iothub/twin/res/#"


class Device:
    """A paho client with its thread; what its callbacks are told comes out of queues."""

    def __init__(self, bench: Bench, name: str = NAME, at_dps: bool = False, **changes) -> None:
        self.bench = bench
        connect = (bench.at_dps if at_dps else bench.at_hub)(name)
        self.client = mqtt.Client(name, changes.pop("clean", True), protocol=mqtt.MQTTv311)
        password = changes.pop("password", connect.password.decode())
        self.client.username_pw_set(changes.pop("username", connect.username), password)
        self.client.tls_set_context(bench.tls)
        self.keep_alive = changes.pop("keep_alive", 60)
        self.heard = {name: queue.Queue() for name in ("connect", "disconnect", "message", "log")}
        self.done = {name: queue.Queue() for name in ("publish", "subscribe", "unsubscribe")}
        assert not changes
        self.client.on_connect = lambda client, data, flags, code: self.heard["connect"].put(
            (code, flags["session present"])
        )
        self.client.on_disconnect = lambda client, data, code: self.heard["disconnect"].put(code)
        self.client.on_message = lambda client, data, message: self.heard["message"].put(message)
        self.client.on_log = lambda client, data, level, text: self.heard["log"].put(text)
        self.client.on_publish = lambda client, data, number: self.done["publish"].put(number)
        self.client.on_subscribe = lambda client, data, number, granted: self.done[
            "subscribe"
        ].put((number, granted))
        self.client.on_unsubscribe = lambda client, data, number: self.done["unsubscribe"].put(
            number
        )

    def connect(self) -> tuple[int, int]:
        """Return CONNACK's code and whether there was a session."""
        self.client.connect("localhost", self.bench.port, self.keep_alive)
        self.client.loop_start()
        return self.heard["connect"].get(timeout=LIMIT)

    def publish(self, topic: str, body: bytes | str, qos: int = 1, **how) -> None:
        """Publish, and wait until paho holds it for done."""
        number = self.client.publish(topic, body, qos, **how).mid
        assert self.done["publish"].get(timeout=LIMIT) == number

    def subscribe(self, *filters: tuple[str, int]) -> tuple[int, ...]:
        """Subscribe; return what was granted."""
        _, number = self.client.subscribe(list(filters))
        answered, granted = self.done["subscribe"].get(timeout=LIMIT)
        assert answered == number
        return tuple(granted)

    def unsubscribe(self, *filters: str) -> None:
        """Unsubscribe, and wait for UNSUBACK."""
        _, number = self.client.unsubscribe(list(filters))
        assert self.done["unsubscribe"].get(timeout=LIMIT) == number

    def message(self) -> mqtt.MQTTMessage:
        """Wait for a message."""
        return self.heard["message"].get(timeout=LIMIT)

    def dropped(self) -> int:
        """Wait until the connection is gone; return paho's code, 0 where it was asked to."""
        return self.heard["disconnect"].get(timeout=LIMIT)

    def says(self, text: str) -> None:
        """Wait for a line in paho's log that holds text."""
        while text not in self.heard["log"].get(timeout=LIMIT):
            pass

    def break_off(self) -> None:
        """Cut the connection without DISCONNECT."""
        # only the socket below TLS knows how to leave without a word
        self.client.socket().shutdown(socket.SHUT_RDWR)


@contextmanager
def device(bench: Bench, *names: str, **changes) -> Iterator[Device]:
    """Connect a paho client; expect to be let in; leave at the end."""
    made = Device(bench, *names, **changes)
    try:
        assert made.connect()[0] == 0
        yield made
    finally:
        made.client.disconnect()
        made.client.loop_stop()


def telemetry(bench: Bench, body: str) -> dict:
    return bench.event("telemetry", hub=HUB, device_id=NAME, body=body)


def test_telemetry_of_qos_0_and_1_arrives_in_order(bench):
    bench.forget_events()
    with device(bench) as paho:
        paho.publish(EVENTS, '{"t":0}', qos=0)
        paho.publish(EVENTS, '{"t":1}', qos=1)
    assert [bench.event("telemetry")["body"] for _ in range(2)] == ['{"t":0}', '{"t":1}']
    bench.event("disconnected", device_id=NAME, why="it said goodbye")


def test_system_and_application_properties_are_read_out_of_the_topic(bench):
    with device(bench) as paho:
        bag = {"content_type": "application/json", "alarm level": "high&low", "none": None}
        paho.publish(hub.telemetry_topic(NAME, bag), "bag")
    properties = telemetry(bench, "bag")["properties"]
    assert properties == {"$.ct": "application/json", "alarm level": "high&low", "none": None}


def test_a_thousand_messages_in_flight_are_all_acknowledged(bench):
    with device(bench) as paho:
        paho.client.max_inflight_messages_set(200)
        paho.client.max_queued_messages_set(0)
        sent = {paho.client.publish(EVENTS, b"x", 1).mid for _ in range(1000)}
        assert {paho.done["publish"].get(timeout=LIMIT) for _ in range(1000)} == sent
    for _ in range(1000):  # none of them may come into a later test
        telemetry(bench, "x")


def test_a_device_registers_through_dps(bench):
    name = "paho-1"
    with device(bench, name, at_dps=True) as paho:
        assert paho.subscribe((dps.RESPONSES, 1)) == (1,)
        topic, body = dps.Registration(name).request()
        paho.publish(topic, body)
        answer = paho.message()
        assert (answer.topic, answer.qos) == (
            "$dps/registrations/res/202/?$rid=1&retry-after=1",
            1,
        )
        operation = json.loads(answer.payload)["operationId"]
        poll = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId="
        paho.publish(poll + operation, b" ", qos=0)
        answer = paho.message()
        assert answer.topic == "$dps/registrations/res/200/?$rid=2"
        state = json.loads(answer.payload)["registrationState"]
        assert (state["status"], state["assignedHub"]) == ("assigned", HUB)
    with device(bench, name) as paho:
        paho.publish(hub.telemetry_topic(name), "here")
    bench.event("telemetry", device_id=name, body="here")


def test_subscriptions_are_granted_qos_1_at_most_and_can_be_given_up(bench):
    filters = [(TWIN, 0), ("$iothub/methods/POST/#", 1), ("devices/+/messages/devicebound/#", 2)]
    with device(bench) as paho:
        assert paho.subscribe(*filters) == (0, 1, 1)
        paho.publish("$iothub/twin/GET/?$rid=1", b"")
        assert paho.message().topic == "$iothub/twin/res/200/?$rid=1"
        paho.unsubscribe(TWIN, "$iothub/methods/POST/#")
        assert paho.subscribe((TWIN, 1)) == (1,)
        paho.publish("$iothub/twin/GET/?$rid=2", b"")
        answer = paho.message()
        assert (answer.topic, answer.qos, answer.retain) == ("$iothub/twin/res/200/?$rid=2", 1, 0)


def test_pings_keep_a_quiet_device_connected(bench):
    with device(bench, keep_alive=4) as paho:  # which paho looks at once a second
        for _ in range(2):  # longer than 1.5 times its keep-alive
            paho.says("Received PINGRESP")
        paho.publish(EVENTS, "still here")
    telemetry(bench, "still here")


def test_the_will_of_who_breaks_off_is_telemetry(bench):
    paho = Device(bench)
    paho.client.will_set(EVENTS + "a=b", "farewell", qos=1, retain=True)
    assert paho.connect() == (0, 0)
    paho.break_off()
    properties = telemetry(bench, "farewell")["properties"]
    assert properties == {"a": "b", "iothub-MessageType": "Will", "mqtt-retain": "true"}
    paho.client.disconnect()
    paho.client.loop_stop()


def test_the_will_of_who_says_goodbye_is_void(bench):
    bench.forget_events()
    paho = Device(bench)
    paho.client.will_set(EVENTS, "void")
    assert paho.connect()[0] == 0
    paho.client.disconnect()
    assert paho.dropped() == 0
    paho.client.loop_stop()
    with device(bench) as again:
        again.publish(EVENTS, "after")
    assert bench.event("telemetry")["body"] == "after"


def test_a_session_is_kept_for_who_wants_that_until_a_clean_one(bench):
    bench.provision("keeper")
    for clean, present in ((True, 0), (False, 0), (False, 1), (True, 0), (False, 0)):
        paho = Device(bench, "keeper", clean=clean)
        assert paho.connect() == (0, present)
        if not clean and not present:
            paho.subscribe((TWIN, 1))
        if present:  # subscribed by the connection before
            paho.publish("$iothub/twin/GET/?$rid=1", b"")
            assert paho.message().qos == 1
        paho.client.disconnect()
        assert paho.dropped() == 0
        paho.client.loop_stop()


def test_dps_keeps_no_session(bench):
    for _ in range(2):
        paho = Device(bench, at_dps=True, clean=False)
        assert paho.connect() == (0, 0)
        paho.client.disconnect()
        paho.client.loop_stop()


def test_paho_reconnects_by_itself_after_a_break(bench):
    with device(bench) as paho:
        paho.client.reconnect_delay_set(1, 1)
        paho.break_off()
        assert paho.dropped() != 0
        assert paho.heard["connect"].get(timeout=LIMIT) == (0, 0)
        paho.publish(EVENTS, "back again")
    telemetry(bench, "back again")


def test_a_newer_client_of_the_same_device_takes_over(bench, other):
    bench.forget_events()
    with device(bench) as older:
        older.client.reconnect_delay_set(LIMIT, LIMIT)  # or the two would flap for ever
        with device(bench) as newer:
            assert older.dropped() != 0
            bench.event("disconnected", why="the same device connected again")
            newer.publish(EVENTS, "mine now")
    telemetry(bench, "mine now")
    other.works()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"password": "wrong"}, 5),
        ({"password": None}, 5),
        ({"username": "somebody"}, 4),
    ],
)
def test_who_is_refused_hears_the_code(bench, other, changes, code):
    paho = Device(bench, **changes)
    assert paho.connect() == (code, 0)
    assert paho.dropped() != 0
    paho.client.disconnect()
    paho.client.loop_stop()
    other.works()


def test_a_token_of_another_device_does_not_open_the_door(bench, other):
    paho = Device(bench, password=bench.at_hub("dev-2").password.decode())
    assert paho.connect() == (5, 0)
    paho.client.disconnect()
    paho.client.loop_stop()
    other.works()


def publish(topic: str, body: bytes = b"{}", qos: int = 1):
    return lambda paho: paho.client.publish(topic, body, qos)


@pytest.mark.parametrize(
    "act",
    [
        publish(EVENTS, qos=2),
        publish("a/b"),
        publish("devices/neighbour/messages/events/"),
        publish("$iothub/unknown/?$rid=1"),
        publish(EVENTS, bytes(256 * 1024 + 1)),
        publish(EVENTS, bytes(2 * 1024 * 1024)),
        lambda paho: paho.client.subscribe("a/#"),
        lambda paho: paho.client.subscribe("#"),
        lambda paho: paho.client.subscribe("devices/neighbour/messages/devicebound/#"),
    ],
    ids=[
        "QoS 2",
        "unknown topic",
        "another's topic",
        "unknown request",
        "257 KB",
        "2 MB",
        "unknown filter",
        "all",
        "another's messages",
    ],
)
def test_what_azure_does_not_have_ends_the_connection(bench, other, act):
    with device(bench) as paho:
        paho.client.reconnect_delay_set(LIMIT, LIMIT)
        act(paho)
        assert paho.dropped() != 0
        assert paho.done["publish"].empty()
    other.works()


def test_a_retained_message_is_telemetry_that_says_so(bench):
    with device(bench) as paho:
        paho.publish(EVENTS, "kept", retain=True)
        assert paho.subscribe(("devices/+/messages/devicebound/#", 1)) == (1,)
    assert telemetry(bench, "kept")["properties"] == {"mqtt-retain": "true"}


def test_a_message_of_256_kb_is_taken(bench):
    bench.forget_events()
    with device(bench) as paho:
        paho.publish(EVENTS, b"x" * 256 * 1024)
    assert len(bench.event("telemetry")["body"]) == 256 * 1024
