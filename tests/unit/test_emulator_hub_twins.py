"""Twins at a hub: who hears of a change, what is kept, and what a device is told."""

import json

import pytest
from emulator_hub_bench import DESIRED, HUB, KEYS, OTHER, RESPONSES, Bench

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Failed
from host_tools.emulator.hub.events import TwinChanged
from host_tools.emulator.hub.twins import Twins

GET = "$iothub/twin/GET/?$rid="
REPORT = "$iothub/twin/PATCH/properties/reported/?$rid="


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def desire(bench, patch, **how):
    return bench.hub.patch_twin("dev-1", {"properties": {"desired": patch}}, bench.now, **how)


def code(action, *arguments, **named):
    with pytest.raises(ServiceError) as error:
        action(*arguments, **named)
    return error.value.code


def test_a_device_that_listens_hears_the_patch_with_its_version(bench):
    device = bench.device(filters=[DESIRED])
    twin = desire(bench, {"rate": 5, "old": None})
    (message,) = device.heard()
    assert message.topic == "$iothub/twin/PATCH/properties/desired/?$version=2"
    assert json.loads(message.payload) == {"rate": 5, "old": None, "$version": 2}
    assert message.qos == 1
    assert twin.desired_section.version == 2


def test_a_device_is_told_with_the_qos_it_was_granted(bench):
    device = bench.device()
    device.subscribe(DESIRED, qos=0)
    desire(bench, {"a": 1})
    assert [one.qos for one in device.heard()] == [0]


def test_a_device_hears_a_replacement_as_a_patch(bench):
    device = bench.device(filters=[DESIRED])
    desire(bench, {"a": 1, "b": {"c": 2, "d": 3}})
    device.heard()
    bench.hub.replace_twin("dev-1", {"properties": {"desired": {"b": {"c": 4}}}}, bench.now)
    (message,) = device.heard()
    assert json.loads(message.payload) == {"a": None, "b": {"c": 4, "d": None}, "$version": 3}


def test_a_device_does_not_hear_of_tags_nor_of_what_was_refused(bench):
    device = bench.device(filters=[DESIRED])
    bench.hub.patch_twin("dev-1", {"tags": {"a": 1}}, bench.now)
    assert code(desire, bench, {"a.b": 1}) == 400004
    assert device.heard() == []


def test_changes_made_while_a_device_was_away_are_not_replayed(bench):
    bench.device(filters=[DESIRED]).leave()
    desire(bench, {"a": 1})
    device = bench.device()
    assert device.heard() == []
    ((_, body),) = device.publish(GET + "1")
    assert json.loads(body)["desired"] == {"a": 1, "$version": 2}


def test_a_twin_survives_a_killed_process(bench):
    device = bench.device()
    device.publish(REPORT + "1", b'{"up":true}')
    desire(bench, {"a": {"b": 1}})
    bench.hub.patch_twin("dev-1", {"tags": {"c": [1, "\\u00e9"]}}, bench.now)
    before, document = bench.hub.twin("dev-1"), bench.hub.twin_document("dev-1")
    bench.kill()
    assert bench.hub.twin("dev-1") == before
    assert bench.hub.twin_document("dev-1")["properties"] == document["properties"]


def test_twins_of_one_name_on_two_hubs_are_two(bench):
    bench.other.create("dev-1", bench.now, KEYS)
    desire(bench, {"a": 1})
    assert bench.other.twin("dev-1").desired == {}
    device = bench.device(hub=OTHER)
    device.publish(REPORT + "1", b'{"x":1}')
    assert bench.hub.twin("dev-1").reported == {}


def test_an_etag_guards_a_twin(bench):
    stale = desire(bench, {"a": 1}).etag
    fresh = desire(bench, {"a": 2}, if_match=stale).etag
    assert code(desire, bench, {"a": 3}, if_match=stale) == 412001
    assert code(bench.hub.replace_twin, "dev-1", {"tags": {}}, 1.0, f'"{stale}"') == 412001
    bench.device().publish(REPORT + "1", b'{"x":1}')
    assert desire(bench, {"a": 3}, if_match=f'"{fresh}"').desired == {"a": 3}


def test_each_change_is_told(bench):
    device = bench.device()
    bench.hub.patch_twin("dev-1", {"tags": {"a": 1}, "properties": {"desired": {"b": 2}}}, 1.0)
    device.publish(REPORT + "1", b'{"c":3}')
    changes = bench.told(TwinChanged)
    assert [(one.section, one.version) for one in changes] == [
        ("tags", 3),
        ("desired", 2),
        ("reported", 2),
    ]
    assert [one.line() for one in changes] == [
        "dev-1: tags changed, version 3",
        "dev-1: desired properties changed, version 2",
        "dev-1: reported properties changed, version 2",
    ]


def test_what_changes_nothing_is_not_told(bench):
    before = bench.hub.twin("dev-1")
    assert bench.hub.patch_twin("dev-1", {}, bench.now) is before
    assert bench.told(TwinChanged) == []


def test_the_service_sees_the_device_and_its_twin(bench):
    device = bench.device()
    document = bench.hub.twin_document("dev-1")
    assert document["deviceId"] == "dev-1"
    assert document["connectionState"] == "Connected"
    assert document["deviceEtag"] == bench.hub.device("dev-1").etag
    json.dumps(document)
    device.leave()
    assert bench.hub.twin_document("dev-1")["connectionState"] == "Disconnected"


def test_an_error_has_a_body_as_the_services(bench):
    ((topic, body),) = bench.device().publish(REPORT + "x", b"[]")
    assert topic == "$iothub/twin/res/400/?$rid=x"
    error = json.loads(body)
    assert list(error) == ["errorCode", "trackingId", "message", "timestampUtc"]
    assert error["errorCode"] == 400004
    assert error["timestampUtc"].endswith("Z")
    assert len(error["trackingId"]) == 32


def test_without_an_api_version_twin_requests_are_refused_and_telemetry_is_taken(bench):
    for tail in ("", "/", "/?DeviceClientType=x"):
        device = bench.device(username=f"{HUB}/dev-1{tail}")
        assert device.connack.code == 0
        topics = [
            topic for request in (GET, REPORT) for topic, _ in device.publish(request + "1", b"{}")
        ]
        assert topics == ["$iothub/twin/res/400/?$rid=1"] * 2
        device.publish("devices/dev-1/messages/events/", b"x")
        assert not device.closed
        device.leave()


def test_a_store_that_fails_is_500_for_the_device_and_changes_nothing(bench):
    device = bench.device()
    bench.database.execute("PRAGMA query_only = 1")
    ((topic, body),) = device.publish(REPORT + "1", b'{"a":1}')
    assert topic == "$iothub/twin/res/500/?$rid=1"
    assert json.loads(body)["errorCode"] == 500001
    assert code(desire, bench, {"a": 1}) == 500001
    assert len(bench.told(Failed)) == 2
    bench.database.execute("PRAGMA query_only = 0")
    assert bench.hub.twin("dev-1").version == 2


def test_strictly_only_who_subscribed_is_answered(tmp_path):
    bench = Bench(tmp_path, strict_twin=True)
    device = bench.device()
    assert device.publish(GET + "1") == []
    assert device.publish(REPORT + "2", b'{"a":1}') == []
    assert bench.hub.twin("dev-1").reported == {"a": 1}
    device.subscribe(RESPONSES)
    assert len(device.publish(GET + "3")) == 1
    bench.close()


def test_twins_that_nobody_used_lately_are_read_again(bench):
    twins = Twins(
        HUB, bench.database, bench.events.append, lambda name: 1.0, lambda *news: None, at_hand=3
    )
    for name in "abcde":
        twins.patch(name, {"tags": {"name": name}}, bench.now, "*")
    first = twins.find("a")
    assert [twins.find(name).tags["name"] for name in "abcde"] == list("abcde")
    assert twins.find("a") == first
    assert twins.find("a") is not first
    kept = twins.find("a")
    for name in "bcad":
        twins.find(name)
    assert twins.find("a") is kept
