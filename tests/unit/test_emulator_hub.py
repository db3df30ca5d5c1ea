"""IoT Hub fed by hand: who gets in, by which names, and what each topic does."""

import json
import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.emulator.access import AccessDenied, Reason
from host_tools.emulator.events import Telemetry
from host_tools.emulator.hub import hubs
from host_tools.emulator.hub.hubs import Hubs
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.mqtt.connect import Connect, Will
from host_tools.emulator.mqtt.packets import Publish
from host_tools.emulator.mqtt.peer import Hangup
from host_tools.emulator.store.database import Database
from keystead import hub as device
from keystead.sas import sas_token

NOW = 1_700_000_000.0
HUB = "test-docs-hub.azure-devices.net"
OTHER = "other-hub.azure-devices.net"
KEYS = KeyPair(b"p" * 32, b"s" * 32)
PATCH = "$iothub/twin/PATCH/properties/reported/?$rid=1"


class Bench:
    """Two hubs that also go by "bench.local:18883", one device on the first."""

    def __init__(self, directory):
        self.events = []
        self.database = Database(directory)
        self.hubs = Hubs(
            [HUB, OTHER], self.database, self.events.append, "Bench.local:18883", os.urandom
        )
        self.hubs.hub(HUB).create("dev-1", NOW, KEYS)
        self.events.clear()

    def connect(self, hub=HUB, name="dev-1", key=KEYS.primary, sr="", skn="", now=NOW, **changes):
        token = sas_token(sr or device.resource(hub, name), key, int(NOW) + 3600, skn)
        connect = Connect(name, device.username(hub, name), token.encode())
        return self.hubs.connect(replace(connect, **changes), now)

    def why(self, **how):
        with pytest.raises(AccessDenied) as denied:
            self.connect(**how)
        return denied.value.reason


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.database.close()


def send(peer, topic, body=b"", **how):
    return [
        (answer.topic, answer.payload) for answer in peer.publish(Publish(topic, body, **how), NOW)
    ]


@pytest.mark.parametrize("key", list(KEYS))
def test_either_key_opens_the_door(bench, key):
    peer = bench.connect(key=key)
    assert (peer.service, peer.device_id, peer.api_version) == (HUB, "dev-1", "2021-04-12")
    assert peer.expiry == int(NOW) + 3600


@pytest.mark.parametrize("name", [HUB, HUB.upper(), f"{HUB}:8883", "bench.local", "BENCH.local:1"])
def test_the_hub_goes_by_its_name_and_by_its_alias_with_any_port(bench, name):
    assert bench.connect(name).service == HUB


def test_the_token_may_name_the_hub_otherwise_than_the_user_name(bench):
    assert bench.connect(HUB, sr="bench.local/devices/dev-1")
    assert bench.connect("bench.local", sr=f"{HUB}/devices/dev-1")


@pytest.mark.parametrize(
    "username",
    [
        f"{HUB}/dev-1/?api-version=2019-10-01&DeviceClientType=py-iothub%2F2.14.0%28a/b%29",
        f"{HUB}/dev-1/api-version=2016-11-14",
        f"{HUB}/dev-1/?api-version=2025-08-01-preview",
        f"{HUB}/dev-1/?DeviceClientType=x&api-version=2021-04-12&model-id=dtmi:a:b;1",
    ],
)
def test_user_names_old_and_new_are_taken(bench, username):
    assert bench.connect(username=username).api_version in username


@pytest.mark.parametrize("tail", ["", "/", "/?", "/?DeviceClientType=py%2F2"])
def test_a_user_name_may_have_no_api_version(bench, tail):
    assert bench.connect(username=f"{HUB}/dev-1{tail}").api_version == ""


@pytest.mark.parametrize(
    "username",
    [
        None,
        "",
        HUB,
        f"{HUB}/",
        f"{HUB}//?api-version=2021-04-12",
        f"{HUB}/dev-1/?api-version=",
        f"{HUB}/dev-1/?api-version=latest",
        f"{HUB}/dev-1/?api-version",
        f"{HUB}/dev-1/?=2021-04-12",
        f"{HUB}/dev-1/a/b/?api-version=2021-04-12",
    ],
)
def test_other_user_names_are_refused(bench, username):
    assert bench.why(username=username) is Reason.BAD_USERNAME


@pytest.mark.parametrize("tail", ["/?api-version=2021-04-12", "/api-version=2016-11-14", "", "/"])
def test_a_module_is_refused_with_the_reason(bench, tail):
    username = f"{HUB}/dev-1/module{tail}"
    assert bench.why(username=username, client_id="dev-1/module") is Reason.MODULE


@given(st.text(st.sampled_from("ab/?=&-") | st.characters(), max_size=30))
def test_any_user_name_is_refused_or_taken(tail):
    try:
        host, device_id, _ = hubs.parse_username(f"{HUB}/{tail}")
    except AccessDenied as denied:
        assert denied.reason in (Reason.BAD_USERNAME, Reason.MODULE)
    else:
        assert host == HUB
        assert tail.startswith(device_id)


@pytest.mark.parametrize(
    "name", [f"{HUB}:xx", f"{HUB}:1:2", f"{HUB}:", f"{HUB}:123456", f"{HUB}:65536", ":9", ":"]
)
def test_what_is_no_host_with_a_port_is_no_name_of_the_hub(bench, name):
    username = f"{name}/dev-1/?api-version=2021-04-12"
    assert bench.why(username=username) is Reason.UNKNOWN_HUB
    assert bench.why(sr=f"{name}/devices/dev-1") is Reason.WRONG_RESOURCE


def test_no_alias_is_no_name(bench):
    bench.hubs = Hubs([HUB], bench.database, bench.events.append)
    for name in (":9", ":", "localhost"):
        username = f"{name}/dev-1/?api-version=2021-04-12"
        assert bench.why(username=username) is Reason.UNKNOWN_HUB


def test_the_reasons_at_the_door(bench):
    assert bench.why(key=b"x" * 32) is Reason.WRONG_KEY
    assert bench.why(now=NOW + 3600) is Reason.EXPIRED
    assert bench.why(name="dev-2") is Reason.UNKNOWN_DEVICE
    assert bench.why(name="DEV-1") is Reason.UNKNOWN_DEVICE
    assert bench.why(hub=OTHER) is Reason.UNKNOWN_DEVICE
    assert bench.why(hub="myhub.azure-devices.net") is Reason.UNKNOWN_HUB
    assert bench.why(sr=f"{OTHER}/devices/dev-1") is Reason.WRONG_RESOURCE
    assert bench.why(sr=f"{HUB}/devices/dev-2") is Reason.WRONG_RESOURCE
    assert bench.why(client_id="dev-2") is Reason.BAD_CLIENT_ID
    assert bench.why(password=None) is Reason.NO_TOKEN
    assert bench.why(will=Will("devices/dev-2/messages/events/", b"")) is Reason.BAD_WILL


def test_a_disabled_device_is_refused(bench):
    bench.hubs.hub(HUB).update("dev-1", NOW, enabled=False)
    assert bench.why() is Reason.DISABLED
    assert bench.why(key=b"x" * 32) is Reason.WRONG_KEY


def test_behind_an_alias_the_key_tells_the_hub(bench):
    keys = KeyPair(b"P" * 32, b"S" * 32)
    bench.hubs.hub(OTHER).create("dev-1", NOW + 1, keys)
    assert bench.connect("bench.local").service == HUB
    assert bench.connect("bench.local", key=b"S" * 32).service == OTHER
    policy = bench.hubs.hub(HUB).policies.keys("device").primary
    assert bench.connect("bench.local", key=policy, skn="device").service == HUB


@pytest.mark.parametrize("sr", ["", HUB, f"{HUB}/devices"])
@pytest.mark.parametrize("skn", ["device", "iothubowner"])
def test_a_policy_that_may_connect_devices_opens_the_door_to_any(bench, skn, sr):
    key = bench.hubs.hub(HUB).policies.keys(skn).secondary
    assert bench.connect(key=key, skn=skn, sr=sr)


def test_other_policies_and_keys_open_it_not(bench):
    policies = bench.hubs.hub(HUB).policies
    service, owner = policies.keys("service").primary, policies.keys("iothubowner").primary
    assert bench.why(key=service, skn="service") is Reason.NO_RIGHT
    assert bench.why(key=service, skn="device") is Reason.WRONG_KEY
    assert bench.why(skn="device") is Reason.WRONG_KEY
    assert bench.why(skn="registration") is Reason.UNKNOWN_POLICY
    assert bench.why(key=owner, skn="iothubowner", sr=OTHER) is Reason.WRONG_RESOURCE
    assert bench.why(key=owner) is Reason.WRONG_KEY


def test_a_device_of_a_hub_that_is_no_more_is_unknown(bench):
    bench.hubs = Hubs([OTHER], bench.database, bench.events.append, "bench.local")
    assert bench.why(hub="bench.local") is Reason.UNKNOWN_DEVICE


def test_telemetry_becomes_an_event_with_its_properties(bench):
    peer = bench.connect()
    properties = {"content_type": "application/json", "alarm level": "high&low", "bare": None}
    topic = device.telemetry_topic("dev-1", {**properties, "empty": ""})
    assert send(peer, topic, b'{"t":21.5}') == []
    (event,) = bench.events
    assert (event.hub, event.device_id, event.body) == (HUB, "dev-1", b'{"t":21.5}')
    assert event.properties == {
        "$.ct": "application/json",
        "alarm level": "high&low",
        "bare": None,
        "empty": "",
    }


@pytest.mark.parametrize(
    "topic", ["devices/dev-1/messages/events", "devices/dev-1/messages/events/"]
)
def test_telemetry_needs_no_properties(bench, topic):
    send(bench.connect(), topic, b"x")
    assert bench.events == [Telemetry(NOW, HUB, "dev-1", b"x", "")]


def test_a_retained_message_is_not_retained_but_marked(bench):
    send(bench.connect(), "devices/dev-1/messages/events/a=b", retain=True)
    assert bench.events[0].properties == {"a": "b", "mqtt-retain": "true"}


def test_the_will_is_delivered_unless_the_device_said_goodbye(bench):
    will = Will("devices/dev-1/messages/events/a=b", b"gone")
    bench.connect(will=will).left(NOW, orderly=True)
    assert bench.events == []
    bench.connect(will=will).left(NOW, orderly=False)
    assert bench.events[0].properties == {"a": "b", "iothub-MessageType": "Will"}


def test_the_twin_is_answered_with_its_versions_even_unsubscribed(bench):
    peer = bench.connect()
    ((topic, body),) = send(peer, "$iothub/twin/GET/?$rid=7", b" ")
    assert topic == "$iothub/twin/res/200/?$rid=7"
    assert json.loads(body) == {"desired": {"$version": 1}, "reported": {"$version": 1}}


def test_what_a_device_reports_is_in_its_twin(bench):
    peer = bench.connect()
    patch = "$iothub/twin/PATCH/properties/reported/?$rid="
    assert send(peer, patch + "a", b'{"battery":60,"radio":{"rssi":-70,"band":2}}') == [
        ("$iothub/twin/res/204/?$rid=a&$version=2", b"")
    ]
    send(peer, patch + "b", b'{"battery":null,"radio":{"rssi":-60}}')
    ((_, body),) = send(bench.connect(), "$iothub/twin/GET/?$rid=")
    assert json.loads(body)["reported"] == {"radio": {"rssi": -60, "band": 2}, "$version": 3}


def nested(levels):
    return b'{"a":' * levels + b"1" + b"}" * levels


# eleven objects are the document itself and ten levels below it
@pytest.mark.parametrize(
    "patch",
    [
        nested(11),
        b'{"a":' + b"[" * 10 + b"]" * 10 + b"}",
        b'{"%s":"%s"}' % (b"k" * 1024, b"v" * 4096),
        b'{"n":[4503599627370496,-1.5e308,"\\ud800",{}]}',
    ],
    ids=range(4),
)
def test_what_a_twin_may_hold_is_taken(bench, patch):
    peer = bench.connect()
    ((topic, _),) = send(peer, PATCH, patch)
    assert topic.startswith("$iothub/twin/res/204/")
    ((_, body),) = send(peer, "$iothub/twin/GET/?$rid=")
    assert json.loads(body)["reported"] == {**json.loads(patch), "$version": 2}


@pytest.mark.parametrize(
    "patch",
    [
        b"",
        b"7",
        b"{",
        b"\xff",
        b"[" * 100_000,
        nested(12),
        nested(974),
        b'{"a":' + b"[" * 11 + b"]" * 11 + b"}",
        b'{"a":NaN}',
        b'{"a":[{"b":-Infinity}]}',
        b'{"a":1e999}',
        b'{"a":9007199254740993}',
        b'{"a":%s}' % (b"9" * 5000),
        b'{"a":"%s"}' % (b"v" * 4097),
        b'{"%s":1}' % (b"k" * 1025),
        b'{"a.b":1}',
        b'{"a":{"$version":1}}',
        b'{"a b":1}',
    ],
    ids=range(18),
)
def test_a_patch_that_a_twin_does_not_take_gets_400_and_changes_nothing(bench, patch):
    peer = bench.connect()
    send(peer, PATCH, b'{"before":1}')
    ((topic, error),) = send(peer, PATCH, patch)
    assert topic == "$iothub/twin/res/400/?$rid=1"
    assert json.loads(error)["errorCode"] // 1000 == 400
    ((_, body),) = send(peer, "$iothub/twin/GET/?$rid=")
    assert json.loads(body)["reported"] == {"before": 1, "$version": 2}


def test_reported_properties_end_at_32_kilobytes_and_a_refused_patch_changes_nothing(bench):
    peer = bench.connect()
    for number in range(7):
        ((topic, _),) = send(peer, PATCH, b'{"%d":"%s"}' % (number, b"v" * 4096))
        assert "/res/204/" in topic
    ((topic, error),) = send(peer, PATCH, b'{"0":null,"7":"%s","8":"%s"}' % ((b"v" * 4096,) * 2))
    assert topic == "$iothub/twin/res/413/?$rid=1"
    assert json.loads(error)["errorCode"] == 413001
    ((_, body),) = send(peer, "$iothub/twin/GET/?$rid=")
    assert json.loads(body)["reported"].keys() == {*"0123456", "$version"}


def test_a_message_may_have_256_kilobytes_with_its_properties(bench):
    peer = bench.connect()
    send(peer, "devices/dev-1/messages/events/a=b", bytes(256 * 1024 - 3))
    assert len(bench.events) == 1
    for topic, size in (
        ("devices/dev-1/messages/events/a=b", -2),
        ("devices/dev-1/messages/events", 1),
    ):
        with pytest.raises(Hangup, match="at most 262144"):
            send(peer, topic, bytes(256 * 1024 + size))
    assert peer.largest > 256 * 1024 + 65_535
    assert len(bench.events) == 1


def test_a_twin_is_answered_with_the_granted_qos(bench):
    peer = bench.connect()
    peer.subscribe("$iothub/twin/res/#", 1)
    (answer,) = peer.publish(Publish("$iothub/twin/GET/?$rid=1", b""), NOW)
    assert answer.qos == 1


def test_the_answer_to_a_method_is_taken(bench):
    assert send(bench.connect(), "$iothub/methods/res/200/?$rid=1a", b"{}") == []


@pytest.mark.parametrize(
    "topic_filter",
    [
        "devices/dev-1/messages/devicebound/#",
        "devices/+/messages/devicebound/#",
        "$iothub/methods/POST/#",
        "$iothub/twin/res/#",
        "$iothub/twin/PATCH/properties/desired/#",
    ],
)
def test_the_hubs_filters_are_granted_with_at_most_qos_1(bench, topic_filter):
    peer = bench.connect()
    assert [peer.subscribe(topic_filter, qos) for qos in (0, 1, 2)] == [0, 1, 1]
    peer.unsubscribe(topic_filter)


@pytest.mark.parametrize("topic_filter", ["#", "devices/dev-2/messages/devicebound/#", "a/b"])
def test_another_filter_ends_the_connection(bench, topic_filter):
    with pytest.raises(Hangup):
        bench.connect().subscribe(topic_filter, 1)


@pytest.mark.parametrize(
    "topic",
    [
        "devices/dev-2/messages/events/",
        "devices/dev-1/messages/eventsandmore",
        "devices/dev-1/messages/devicebound/",
        "$iothub/twin/PUT/?$rid=1",
        "$iothub/methods/res/abc/?$rid=1",
        "hello",
    ],
)
def test_another_topic_ends_the_connection(bench, topic):
    with pytest.raises(Hangup):
        send(bench.connect(), topic)
    assert bench.events == []


def test_subscriptions_are_kept_for_who_asks_for_it(bench):
    first = bench.connect(clean=False)
    assert not first.session_present
    first.subscribe("$iothub/twin/res/#", 1)
    second = bench.connect(clean=False)
    assert second.session_present
    (answer,) = second.publish(Publish("$iothub/twin/GET/?$rid=1", b""), NOW)
    assert answer.qos == 1
    assert not bench.connect(clean=True).session_present
    assert not bench.connect(clean=False).session_present


def test_who_is_refused_does_not_cost_a_device_its_subscriptions(bench):
    bench.connect(clean=False).subscribe("$iothub/twin/res/#", 1)
    assert bench.why(key=b"x" * 32, clean=True) is Reason.WRONG_KEY
    assert bench.connect(clean=False).session_present


def test_a_request_id_that_no_answer_could_carry_ends_the_connection(bench):
    peer = bench.connect()
    for request in ("$iothub/twin/GET/?$rid=", PATCH[:-1]):
        assert len(send(peer, request + "x" * 1024, b"{}")) == 1
        with pytest.raises(Hangup, match="request ID"):
            send(peer, request + "x" * 1025, b"{}")


TOPICS = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(
            [
                "",
                "devices/dev-1/messages/events/",
                "devices/dev-1/messages/",
                "$iothub/twin/GET/?$rid=",
                "$iothub/twin/PATCH/properties/reported/?$rid=",
                "$iothub/methods/res/",
                "$iothub/methods/res/200/?$rid=",
            ]
        ),
        st.text(st.characters(exclude_categories=["Cs"])),
    ),
)


@pytest.fixture(scope="module")
def any_peer(tmp_path_factory):
    bench = Bench(tmp_path_factory.mktemp("hub"))
    yield bench.connect()
    bench.database.close()


@given(topic=TOPICS, body=st.binary(), retain=st.booleans())
def test_any_message_is_taken_or_ends_the_connection(any_peer, topic, body, retain):
    try:
        answers = any_peer.publish(Publish(topic, body, retain=retain), NOW)
    except Hangup:
        return
    for answer in answers:
        Publish(*answer[:3]).encode()
