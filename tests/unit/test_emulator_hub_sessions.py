"""Sessions at a hub: what is kept for a device that goes and comes back."""

import pytest
from emulator_hub_bench import DESIRED, HUB, MESSAGES, METHODS, RESPONSES, Bench

from host_tools.emulator.hub import subscriptions
from host_tools.emulator.hub.messages import CloudMessage
from host_tools.emulator.mqtt.subscribe import Subscribe


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def test_a_stored_session_is_there_at_the_next_connection(bench):
    assert not bench.device(filters=[RESPONSES]).connack.session_present
    assert bench.device().connack.session_present


def test_a_stored_session_survives_a_killed_process(bench):
    bench.device(filters=[MESSAGES, DESIRED])
    bench.kill()
    device = bench.device()
    assert device.connack.session_present
    bench.hub.patch_twin("dev-1", {"properties": {"desired": {"a": 1}}}, bench.now)
    assert [one.qos for one in device.heard()] == [1]


def test_what_is_unsubscribed_is_not_stored(bench):
    device = bench.device(filters=[DESIRED])
    device.unsubscribe(DESIRED)
    bench.kill()
    device = bench.device()
    assert device.connack.session_present
    bench.hub.patch_twin("dev-1", {"properties": {"desired": {"a": 1}}}, bench.now)
    assert device.heard() == []


def test_a_clean_session_forgets_the_stored_one_and_is_not_stored_itself(bench):
    bench.device(filters=[DESIRED])
    assert not bench.device(clean=True, filters=[DESIRED]).connack.session_present
    assert not bench.device().connack.session_present


def test_a_clean_session_has_subscriptions_as_long_as_it_lives(bench):
    device = bench.device(clean=True, filters=[DESIRED])
    bench.hub.patch_twin("dev-1", {"properties": {"desired": {"a": 1}}}, bench.now)
    assert len(device.heard()) == 1


def test_a_clean_session_deletes_what_is_queued(bench):
    bench.device(filters=[MESSAGES]).leave()
    bench.hub.send("dev-1", CloudMessage(b"old"), bench.now)
    device = bench.device(clean=True, filters=[MESSAGES])
    assert device.heard() == []
    assert bench.hub.pending("dev-1") == 0


def test_who_is_refused_does_not_cost_a_device_its_session(bench):
    bench.device(filters=[MESSAGES]).leave()
    bench.hub.send("dev-1", CloudMessage(b"kept"), bench.now)
    refused = bench.device(clean=True, key=b"x" * 32)
    assert refused.connack.code == 5
    assert [one.payload for one in bench.device().heard()] == [b"kept"]


def test_a_newer_connection_takes_over_the_session(bench):
    older = bench.device(filters=[DESIRED])
    newer = bench.device()
    assert older.closed
    assert newer.connack.session_present
    bench.hub.patch_twin("dev-1", {"properties": {"desired": {"a": 1}}}, bench.now)
    assert len(newer.heard()) == 1
    assert bench.hub.presence("dev-1").connected


def test_sessions_of_two_hubs_are_two(bench):
    bench.other.create("dev-1", bench.now, bench.hub.device("dev-1").keys)
    bench.device(filters=[DESIRED])
    assert not bench.device(hub=bench.other.name).connack.session_present


def test_a_deleted_device_has_no_session_when_it_is_made_anew(bench):
    keys = bench.hub.device("dev-1").keys
    bench.device(filters=[DESIRED])
    bench.hub.delete("dev-1", bench.now)
    bench.hub.create("dev-1", bench.now, keys)
    assert not bench.device().connack.session_present


def test_a_full_disk_refuses_a_subscription_by_hanging_up(bench):
    device = bench.device()
    bench.database.execute("PRAGMA query_only = 1")
    assert device.say(Subscribe(1, ((MESSAGES, 1),))) == []
    assert device.closed


FILTERS = [METHODS, DESIRED, RESPONSES, MESSAGES, "devices/+/messages/devicebound/#"]


@pytest.mark.parametrize("topic_filter", FILTERS)
def test_a_filter_has_the_qos_it_was_last_granted_and_disturbs_no_other(topic_filter):
    found = subscriptions.find(topic_filter, "dev-1")
    others = subscriptions.NONE
    for one in FILTERS:
        if one != topic_filter:
            others = subscriptions.added(others, subscriptions.find(one, "dev-1"), 0)
    for qos in (1, 0, 1):
        changed = subscriptions.added(others, found, qos)
        assert subscriptions.qos(changed, found) == qos
        assert subscriptions.removed(changed, found) == others


@pytest.mark.parametrize("topic_filter", ["", "#", "devices/dev-2/messages/devicebound/#", HUB])
def test_there_are_no_other_filters(topic_filter):
    assert subscriptions.find(topic_filter, "dev-1") == ""


def test_either_name_of_the_messages_will_do_and_the_better_qos_counts():
    own = subscriptions.find(MESSAGES, "dev-1")
    any_device = subscriptions.find(FILTERS[-1], "dev-1")
    both = subscriptions.added(subscriptions.added(0, own, 1), any_device, 0)
    for kept, qos in ((both, 1), (subscriptions.removed(both, own), 0)):
        assert subscriptions.qos(kept, subscriptions.MESSAGES) == qos
