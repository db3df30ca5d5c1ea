"""Cloud-to-device messages, from the sender's call to their end."""

import json
from urllib.parse import unquote

import pytest
from emulator_hub_bench import HUB, KEYS, MESSAGES, NOW, Bench
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Failed
from host_tools.emulator.hub.events import (
    FeedbackReady,
    MessageCompleted,
    MessageDeadLettered,
    MessageDelivered,
    MessageExpired,
    MessagePurged,
    MessageSent,
)
from host_tools.emulator.hub.messages import (
    ACKS,
    LARGEST,
    LIFETIME,
    MOST_DELIVERIES,
    MOST_WAITING,
    CloudMessage,
    Outcome,
    property_bag,
)

PREFIX = "devices/dev-1/messages/devicebound/"


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def send(bench, *bodies, **how):
    for body in bodies:
        bench.hub.send("dev-1", CloudMessage(body, **how), bench.now)


def bodies(messages):
    return [one.payload for one in messages]


def code(bench, message, device_id="dev-1"):
    with pytest.raises(ServiceError) as error:
        bench.hub.send(device_id, message, bench.now)
    return error.value.code


# --- on the wire


def test_a_message_on_the_wire_is_as_sdks_expect_it():
    message = CloudMessage(
        b"",
        message_id="m1",
        correlation_id="c1",
        content_type="application/json",
        content_encoding="utf-8",
        ack="full",
        properties={"prop1": None, "prop2": "", "prop3": "a string"},
    )
    assert property_bag("d", message) == (
        "%24.mid=m1&%24.to=%2Fdevices%2Fd%2Fmessages%2FdeviceBound&%24.cid=c1"
        "&%24.ct=application%2Fjson&%24.ce=utf-8&iothub-ack=full&prop1&prop2=&prop3=a%20string"
    )


def test_what_a_sender_left_out_is_left_out():
    assert property_bag("d", CloudMessage(b"")) == (
        "%24.to=%2Fdevices%2Fd%2Fmessages%2FdeviceBound"
    )


def test_an_expiry_that_was_asked_for_and_a_user_are_told():
    bag = property_bag("d", CloudMessage(b"", user_id="bob@x", expires=NOW))
    assert bag.endswith("&%24.uid=bob%40x&%24.exp=2023-11-14T22%3A13%3A20.0000000Z")


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(st.dictionaries(NAMES, st.none() | st.text(st.characters(exclude_categories=["Cs"]))))
def test_properties_come_back_out_of_the_bag(properties):
    bag = property_bag("d", CloudMessage(b"", properties=properties))
    _, *pairs = bag.split("&")
    split = [pair.partition("=") for pair in pairs]
    assert {
        unquote(name): unquote(value) if equals else None for name, equals, value in split
    } == properties
    assert bag.isascii()
    assert not set(bag) & set(" #+/?$\0")


# --- delivery


def test_a_message_reaches_a_device_that_listens_and_its_puback_completes_it(bench):
    device = bench.device(filters=[MESSAGES])
    send(bench, b"hello", message_id="m1")
    (message,) = device.heard()
    assert (
        message.topic == f"{PREFIX}%24.mid=m1&%24.to=%2Fdevices%2Fdev-1%2Fmessages%2FdeviceBound"
    )
    assert (message.payload, message.qos) == (b"hello", 1)
    assert bench.hub.pending("dev-1") == 1
    device.acknowledge(message)
    assert bench.hub.pending("dev-1") == 0
    sent, delivered, completed = (
        bench.told(one) for one in (MessageSent, MessageDelivered, MessageCompleted)
    )
    assert [len(sent), len(delivered), len(completed)] == [1, 1, 1]
    assert completed[0].message_id == "m1"


def test_messages_go_out_in_the_order_they_came(bench):
    bench.device(filters=[MESSAGES]).leave()
    send(bench, b"1", b"2")
    device = bench.device()
    send(bench, b"3")
    assert bodies(device.heard()) == [b"1", b"2", b"3"]


def test_queued_messages_arrive_behind_connack_before_any_subscribe(bench):
    bench.device(filters=[MESSAGES]).leave()
    send(bench, b"waits")
    assert bodies(bench.device().heard()) == [b"waits"]


def test_what_is_sent_before_the_subscription_waits_for_it_and_follows_the_suback(bench):
    device = bench.device()
    send(bench, b"waits")
    assert device.heard() == []
    device.subscribe(MESSAGES)
    assert bodies(device.heard()) == [b"waits"]


def test_the_other_name_of_the_filter_will_do(bench):
    device = bench.device(filters=["devices/+/messages/devicebound/#"])
    send(bench, b"x")
    assert bodies(device.heard()) == [b"x"]


def test_before_its_first_session_nothing_is_kept_for_a_device(bench):
    send(bench, b"too early")
    assert bench.hub.pending("dev-1") == 1
    assert bench.device(filters=[MESSAGES]).heard() == []
    assert bench.hub.pending("dev-1") == 0
    assert len(bench.told(MessagePurged)) == 1


def test_with_qos_0_a_message_is_completed_as_it_goes_out(bench):
    device = bench.device()
    device.subscribe(MESSAGES, qos=0)
    send(bench, b"x", ack="positive")
    (message,) = device.heard()
    assert message.qos == 0
    assert bench.hub.pending("dev-1") == 0
    assert [one.outcome for one in bench.hub.drain_feedback()] == [Outcome.SUCCESS]


def test_who_does_not_listen_any_more_gets_nothing(bench):
    device = bench.device(filters=[MESSAGES])
    device.unsubscribe(MESSAGES)
    send(bench, b"x")
    bench.wait()
    assert device.heard() == []


def test_what_was_not_acknowledged_comes_again_at_the_next_connection_only(bench):
    device = bench.device(filters=[MESSAGES])
    send(bench, b"1", b"2")
    first, _ = device.heard()
    device.acknowledge(first)
    device.subscribe(MESSAGES)
    bench.wait()
    assert device.heard() == []
    device.break_off()
    assert bodies(bench.device().heard()) == [b"2"]
    assert [one.deliveries for one in bench.told(MessageDelivered)] == [1, 1, 2]


def test_a_newer_connection_gets_what_the_older_one_did_not_acknowledge(bench):
    older = bench.device(filters=[MESSAGES])
    send(bench, b"x")
    newer = bench.device()
    assert bodies(newer.heard()) == [b"x"]
    older.acknowledge(*older.heard())
    assert bench.hub.pending("dev-1") == 1
    newer.acknowledge(bench.device().heard()[0])
    assert bench.hub.pending("dev-1") == 1


def test_a_killed_cloud_delivers_again_what_was_not_acknowledged(bench):
    device = bench.device(filters=[MESSAGES])
    send(bench, b"1", b"2", properties={"a": None}, content_type="text/plain")
    device.acknowledge(device.heard()[0])
    bench.kill()
    (message,) = bench.device().heard()
    assert message.payload == b"2"
    assert message.topic.endswith("&%24.ct=text%2Fplain&a")


def test_a_message_that_is_never_acknowledged_is_given_up(bench):
    bench.device(filters=[MESSAGES]).leave()
    send(bench, b"poison", ack="negative")
    for _ in range(MOST_DELIVERIES):
        device = bench.device()
        assert bodies(device.heard()) == [b"poison"]
        device.break_off()
    assert bench.hub.pending("dev-1") == 0
    assert len(bench.told(MessageDeadLettered)) == 1
    assert [one.outcome for one in bench.hub.drain_feedback()] == [Outcome.DELIVERY_COUNT_EXCEEDED]
    assert bench.device().heard() == []


def test_deliveries_are_counted_across_killed_processes(bench):
    bench.device(filters=[MESSAGES]).leave()
    send(bench, b"poison")
    for _ in range(MOST_DELIVERIES):
        assert len(bench.device().heard()) == 1
        bench.kill()
    assert bench.device().heard() == []
    assert len(bench.told(MessageDeadLettered)) == 1


def test_devices_and_hubs_have_queues_of_their_own(bench):
    bench.hub.create("dev-2", bench.now, KEYS)
    bench.other.create("dev-1", bench.now, KEYS)
    for hub, name in ((HUB, "dev-2"), (bench.other.name, "dev-1")):
        bench.device(name, hub=hub, filters=[MESSAGES.replace("dev-1", name)])
    here = bench.device(filters=[MESSAGES])
    send(bench, b"x")
    assert bench.hub.pending("dev-2") == bench.other.pending("dev-1") == 0
    assert len(here.heard()) == 1


# --- limits


def test_a_queue_holds_fifty_messages(bench):
    bench.device(filters=[MESSAGES]).leave()
    send(bench, *[b"x"] * MOST_WAITING)
    assert code(bench, CloudMessage(b"one too many")) == 403004
    assert bench.hub.pending("dev-1") == MOST_WAITING
    device = bench.device()
    messages = device.heard()
    assert len(messages) == MOST_WAITING
    assert code(bench, CloudMessage(b"one too many")) == 403004
    device.acknowledge(messages[0])
    send(bench, b"fits")
    assert bodies(device.heard()) == [b"fits"]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (CloudMessage(bytes(LARGEST)), 0),
        (CloudMessage(bytes(LARGEST + 1)), 413001),
        (CloudMessage(bytes(LARGEST - 2), properties={"a": "b"}), 0),
        (CloudMessage(bytes(LARGEST - 1), properties={"a": "b"}), 413001),
        (CloudMessage(b"", properties={"a": "\u20ac" * 8000}), 413001),  # no topic is so long
        (CloudMessage(b"", ack="maybe"), 400004),
        (CloudMessage(b"", properties={"a": "\ud800"}), 400004),
        (CloudMessage(b"", message_id="\ud800"), 400004),
    ],
    ids=range(8),
)
def test_what_can_be_sent(bench, message, expected):
    if expected:
        assert code(bench, message) == expected
    else:
        bench.hub.send("dev-1", message, bench.now)
    assert bench.hub.pending("dev-1") == (0 if expected else 1)


def test_nobody_sends_to_a_device_that_is_not_there(bench):
    assert code(bench, CloudMessage(b""), "dev-2") == 404001
    with pytest.raises(ServiceError, match="dev-2"):
        bench.hub.purge("dev-2", bench.now)


def test_a_full_disk_is_the_senders_error_and_nothing_is_queued(bench):
    bench.database.execute("PRAGMA query_only = 1")
    assert code(bench, CloudMessage(b"x")) == 500001
    (failed,) = bench.told(Failed)
    assert "can not be kept" in failed.why
    bench.database.execute("PRAGMA query_only = 0")
    assert bench.hub.pending("dev-1") == 0


def test_a_full_disk_costs_no_connection_and_the_message_comes_again(bench):
    device = bench.device(filters=[MESSAGES])
    send(bench, b"x")
    (message,) = device.heard()
    bench.database.execute("PRAGMA query_only = 1")
    device.acknowledge(message)
    assert not device.closed
    assert [one.answer for one in bench.told(Failed)] == ["nothing"]
    bench.database.execute("PRAGMA query_only = 0")
    device.break_off()
    assert bodies(bench.device().heard()) == [b"x"]


def test_a_sweep_on_a_full_disk_complains_once_a_minute(bench):
    send(bench, b"x", expires=bench.now + 1)
    bench.database.execute("PRAGMA query_only = 1")
    for _ in range(8):
        bench.wait()
    assert len(bench.told(Failed)) == 1
    bench.database.execute("PRAGMA query_only = 0")
    bench.wait(60)
    assert len(bench.told(MessageExpired)) == 1


# --- the end


def test_a_message_expires_after_an_hour_unless_it_says_otherwise(bench):
    bench.device(filters=[MESSAGES]).leave()
    send(bench, b"default", message_id="1", ack="full")
    send(bench, b"soon", message_id="2", expires=bench.now + 10)
    bench.wait(9)
    assert bench.told(MessageExpired) == []
    bench.wait(2)
    assert [one.message_id for one in bench.told(MessageExpired)] == ["2"]
    bench.wait(LIFETIME)
    assert [one.message_id for one in bench.told(MessageExpired)] == ["2", "1"]
    assert [one.outcome for one in bench.hub.drain_feedback()] == [Outcome.EXPIRED]
    assert bench.device().heard() == []


def test_what_expired_while_nobody_ran_is_not_delivered(bench):
    bench.device(filters=[MESSAGES]).leave()
    send(bench, b"x", expires=bench.now + 10)
    bench.database.close()
    bench.now += 11
    bench.live.clear()
    bench.open()
    assert bench.device().heard() == []
    assert len(bench.told(MessageExpired)) == 1


def test_a_message_under_way_does_not_expire_until_the_connection_ends(bench):
    device = bench.device(filters=[MESSAGES], keep_alive=0)
    send(bench, b"1", b"2", expires=bench.now + 10)
    first, _ = device.heard()
    bench.wait(11)
    device.acknowledge(first)
    assert len(bench.told(MessageCompleted)) == 1
    device.break_off()
    bench.wait()
    assert len(bench.told(MessageExpired)) == 1


def test_a_purge_counts_and_tells(bench):
    device = bench.device(filters=[MESSAGES])
    send(bench, b"1")
    (under_way,) = device.heard()
    device.leave()
    send(bench, b"2", ack="full", message_id="m")
    assert bench.hub.purge("dev-1", bench.now) == 2
    assert bench.hub.purge("dev-1", bench.now) == 0
    (feedback,) = bench.hub.drain_feedback()
    assert (feedback.message_id, feedback.outcome) == ("m", Outcome.PURGED)
    assert under_way.payload == b"1"


def test_the_acknowledgement_of_what_was_purged_is_of_no_account(bench):
    device = bench.device(filters=[MESSAGES])
    send(bench, b"1")
    (message,) = device.heard()
    bench.hub.purge("dev-1", bench.now)
    device.acknowledge(message)
    assert not device.closed
    assert bench.told(MessageCompleted) == []


@pytest.mark.parametrize("ack", ACKS)
def test_feedback_is_what_the_sender_asked_for(bench, ack):
    device = bench.device(filters=[MESSAGES])
    send(bench, b"good", message_id="good", ack=ack)
    device.acknowledge(*device.heard())
    device.unsubscribe(MESSAGES)
    send(bench, b"bad", message_id="bad", ack=ack)
    bench.hub.purge("dev-1", bench.now)
    said = {"none": [], "full": ["good", "bad"], "positive": ["good"], "negative": ["bad"]}
    ready = [one.message_id for one in bench.told(FeedbackReady)]
    feedback = bench.hub.drain_feedback()
    assert [one.message_id for one in feedback] == ready == said[ack]
    generations = {one.generation_id for one in feedback}
    assert generations <= {bench.hub.device("dev-1").generation_id}
    assert bench.hub.drain_feedback() == []


def test_feedback_is_drained_in_portions_oldest_first(bench):
    for number in range(5):
        send(bench, b"", message_id=str(number), ack="full")
    bench.hub.purge("dev-1", bench.now)
    drained = [bench.hub.drain_feedback(2) for _ in range(4)]
    assert [[one.message_id for one in few] for few in drained] == [
        ["0", "1"],
        ["2", "3"],
        ["4"],
        [],
    ]


def test_a_message_is_a_line_for_people_and_json_for_scripts(bench):
    send(bench, b"x", message_id="m\x1b1")
    (event,) = bench.told(MessageSent)
    assert event.line() == "dev-1: message 1 m.1 is queued"
    document = json.loads(event.json())
    assert (document["event"], document["number"]) == ("message-sent", 1)


# --- any history


OPERATIONS = st.lists(
    st.sampled_from(["send", "connect", "drop", "ack first", "ack last", "kill"]), max_size=30
)


@settings(deadline=None)
@given(OPERATIONS)
def test_in_any_history_messages_come_in_order_and_none_is_lost(tmp_path_factory, operations):
    bench = Bench(tmp_path_factory.mktemp("hub"))
    bench.device(filters=[MESSAGES]).leave()
    device, heard, waiting, count = None, [], [], 0
    for operation in operations:
        if operation == "send" and len(waiting) < MOST_WAITING:
            count += 1
            send(bench, b"%d" % count)
            waiting.append(b"%d" % count)
        elif operation == "connect":
            device, heard = bench.device(), []
        elif operation == "drop" and device:
            device.break_off()
            device = None
        elif operation == "kill":
            bench.kill()
            device = None
        elif operation.startswith("ack") and device and heard:
            message = heard.pop(0 if operation == "ack first" else -1)
            device.acknowledge(message)
            waiting.remove(message.payload)
        if device:
            heard += device.heard()
            worn = [one.number for one in bench.told(MessageDeadLettered)]
            assert bodies(heard) == [one for one in waiting if int(one) not in worn]
    bench.close()
