"""DPS fed by hand, and joined with the device's own side: two ends, no wire."""

import binascii
import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from host_tools.emulator.access import AccessDenied, Reason
from host_tools.emulator.dps.enrollment import IndividualEnrollment
from host_tools.emulator.events import Assigned, Failed, Refused, Registering
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.mqtt.packets import Publish
from host_tools.emulator.mqtt.peer import Hangup
from host_tools.keys import derive_device_key
from keystead import dps as device
from keystead.failure import Failure
from tests.dps_bench import (
    AT_ONCE,
    CONFIG,
    GROUP,
    HUB,
    KEYS,
    NOW,
    POLL,
    REGISTER,
    Bench,
    ask,
)


@pytest.fixture
def make_bench(tmp_path):
    benches = []

    def make(**how):
        benches.append(Bench(tmp_path / str(len(benches)), **how))
        return benches[-1]

    yield make
    for bench in benches:
        bench.close()


@pytest.fixture
def bench(make_bench):
    return make_bench()


def pump(registration, peer):
    """Carry messages between the two ends until the device is assigned; return the waits."""
    waits = []
    while registration.assignment is None:
        (answer,) = peer.publish(Publish(*registration.request(), 1, 1), NOW)
        waits.append(registration.receive(answer.topic, answer.payload, 0.5))
    return waits


def test_the_device_is_assigned_after_polling(bench):
    registration = device.Registration("dev-1")
    waits = pump(registration, bench.connect())
    assert registration.assignment == (HUB, "dev-1", "initialAssignment", None)
    assert waits[:2] == [1, 1]
    assert [type(event) for event in bench.events] == [Registering, Assigned]


def test_the_device_gets_the_id_of_its_individual_enrollment(bench):
    registration = device.Registration("bench-1", {"modelId": "dtmi:com:example:Pump;1"})
    pump(registration, bench.connect("bench-1", KEYS.secondary))
    assert registration.assignment[:2] == ("other-hub.azure-devices.net", "pump-7")


def test_the_advertised_name_is_handed_out_and_the_real_hub_kept(make_bench):
    bench = make_bench(advertise="localhost")
    registration = device.Registration("dev-1")
    pump(registration, bench.connect())
    assert registration.assignment.hub == "localhost"
    assert bench.dps.registration("dev-1").hub == HUB
    assert bench.events[-1].hub == HUB


@pytest.mark.parametrize("replies", [0, 1, 5])
def test_it_answers_assigning_as_often_as_it_is_told(make_bench, replies):
    bench = make_bench(config=replace(CONFIG, assigning_replies=replies, retry_after=120))
    waits = pump(device.Registration("dev-1"), bench.connect())
    assert waits[:-1] == [120] * replies


def test_the_bodies_are_the_services_to_the_byte(bench):
    peer = bench.connect()
    topic, body = ask(peer, REGISTER + "1", b'{"registrationId":"dev-1"}')
    operation = body["operationId"]
    guid = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    assert topic == "$dps/registrations/res/202/?$rid=1&retry-after=1"
    assert re.fullmatch(rf"\d\.[0-9a-f]{{16}}\.{guid}", operation)
    assert body == {"operationId": operation, "status": "assigning"}
    topic, body = ask(peer, POLL.format("2", operation), b" ")
    assert topic == "$dps/registrations/res/202/?$rid=2&retry-after=1"
    state = {"registrationId": "dev-1", "status": "assigning"}
    assert body == {"operationId": operation, "status": "assigning", "registrationState": state}
    topic, body = ask(peer, POLL.format("3", operation), b'{"registrationId":"dev-1"}')
    assert topic == "$dps/registrations/res/200/?$rid=3"
    etag = body["registrationState"].pop("etag")
    assert re.fullmatch(f'"{guid}"', binascii.a2b_base64(etag).decode())
    assert body == {
        "operationId": operation,
        "status": "assigned",
        "registrationState": {
            "registrationId": "dev-1",
            "createdDateTimeUtc": "2022-08-31T22:02:50.5163350Z",
            "assignedHub": HUB,
            "deviceId": "dev-1",
            "status": "assigned",
            "substatus": "initialAssignment",
            "lastUpdatedDateTimeUtc": "2022-08-31T22:02:50.5163350Z",
            "symmetricKey": {"enrollmentGroupId": "mylegacydevices"},
        },
    }


def test_an_individual_has_no_group_in_its_answer(make_bench):
    bench = make_bench(config=AT_ONCE)
    _, body = ask(bench.connect("bench-1", KEYS.primary), REGISTER + "1")
    assert "symmetricKey" not in body["registrationState"]


def test_a_body_has_no_blanks(bench):
    (answer,) = bench.connect().publish(Publish(REGISTER + "1", b""), NOW)
    assert b" " not in answer.payload


@pytest.mark.parametrize(
    "rid", ["1", "", "a-b_c.d~", "5b2fa0ff-38ae-4b5e-8d9c-0a1b2c3d4e5f", "ü%2F "]
)
def test_the_request_id_comes_back_as_it_was(bench, rid):
    topic, _ = ask(bench.connect(), REGISTER + rid)
    assert topic.startswith(f"$dps/registrations/res/202/?$rid={rid}&retry-after=")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{}",
        b'{"payload": null, "registrationId": "dev-1"}',
        b'{"payload":{"a":1}}',
        b'{"registrationId":"DEV-1"}',
        b'{"registrationId":null}',
    ],
)
def test_register_bodies_of_all_sdks_are_taken(bench, body):
    topic, _ = ask(bench.connect(), REGISTER + "1", body)
    assert "/res/202/" in topic


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"7", b'"dev-1"', b'{"registrationId":"dev-2"}', b'{"registrationId":7}',
     b'{"registrationId":0}', b'{"registrationId":""}', b'{"registrationId":false}',
     b"\xff", b"[" * 90_000],
)  # fmt: skip
def test_a_register_body_that_is_wrong_gets_400(bench, body):
    topic, error = ask(bench.connect(), REGISTER + "1", body)
    assert topic == "$dps/registrations/res/400/?$rid=1"
    assert error["errorCode"] // 1000 == 400


@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.binary(max_size=200) | st.text(max_size=99).map(lambda text: f"[{text}]".encode()))
@example(b'{"payload":"\\ud800"}')
@example(b'{"payload":NaN}')
@example(b'{"payload":1e999}')
@example(b'{"payload":' + b"[" * 65 + b"]" * 65 + b"}")
def test_any_register_body_is_taken_or_gets_400(bench, body):
    topic, answer = ask(bench.connect(), REGISTER + "1", body)
    if "/res/202/" not in topic:
        assert topic == "$dps/registrations/res/400/?$rid=1"
        assert answer["errorCode"] == 400004


def test_an_error_is_the_services_json(make_bench):
    bench = make_bench()
    topic, error = ask(bench.connect(key=b"wrong" * 8), REGISTER + "1")
    assert topic == "$dps/registrations/res/401/?$rid=1"
    assert error == {
        "errorCode": 401002,
        "trackingId": error["trackingId"],
        "message": "Unauthorized",
        "info": {},
        "timestampUtc": "2022-08-31T22:02:50.5163350Z",
    }


def test_a_wrong_key_is_refused_at_register_and_the_operator_hears_why(bench):
    peer = bench.connect(key=KEYS.primary)
    with pytest.raises(Failure, match="dps-unauthorized"):
        pump(device.Registration("dev-1"), peer)
    assert bench.events == [Refused(NOW, "DPS", "dev-1", Reason.GROUP_KEY, "error 401002")]
    assert peer.key is None, "whoever is refused may not push anybody out"


def test_a_wrong_key_is_refused_at_connect_if_so_configured(make_bench):
    bench = make_bench(config=replace(CONFIG, refuse_at="connect"))
    with pytest.raises(AccessDenied) as denied:
        bench.connect(key=b"wrong" * 8)
    assert denied.value.reason is Reason.WRONG_KEY


def test_an_expired_token_is_refused(bench):
    peer = bench.connect(now=NOW + 3600)
    assert peer.caller.refusal is Reason.EXPIRED
    assert "/res/401/" in ask(peer, REGISTER + "1")[0]


def test_polling_is_refused_too(bench):
    operation = ask(bench.connect(), REGISTER + "1")[1]["operationId"]
    topic, _ = ask(bench.connect(key=b"wrong" * 8), POLL.format(2, operation))
    assert topic == "$dps/registrations/res/401/?$rid=2"


def test_who_is_in_no_enrollment_is_not_found(make_bench):
    bench = make_bench(config=replace(CONFIG, groups=()))
    topic, error = ask(bench.connect(), REGISTER + "1")
    assert topic == "$dps/registrations/res/404/?$rid=1"
    assert error["errorCode"] == 404201
    with pytest.raises(Failure, match="dps-unknown"):
        pump(device.Registration("dev-1"), bench.connect())


def test_another_id_scope_is_not_found(bench):
    peer = bench.connect(username="0ne99999999/registrations/dev-1/api-version=2019-03-31")
    assert peer.caller.refusal is Reason.UNKNOWN_SCOPE
    assert "/res/404/" in ask(peer, REGISTER + "1")[0]


@pytest.mark.parametrize("name", ["dev 1", "dev-1.", "ü", "x" * 129])
def test_what_is_no_registration_id_gets_400(bench, name):
    topic, _ = ask(bench.connect(name), REGISTER + "1")
    assert "/res/400/" in topic


@pytest.mark.parametrize("name", ["DEV.1_a:b", "-dev-", "x" * 128])
def test_the_services_wider_rule_for_registration_ids_holds(bench, name):
    topic, _ = ask(bench.connect(name), REGISTER + "1")
    assert "/res/202/" in topic


def test_a_disabled_enrollment_ends_with_status_disabled(make_bench):
    config = replace(CONFIG, groups=(replace(GROUP, enabled=False),))
    bench = make_bench(config=config)
    peer = bench.connect()
    topic, body = ask(peer, REGISTER + "1")
    assert topic == "$dps/registrations/res/200/?$rid=1"
    assert body["status"] == body["registrationState"]["status"] == "disabled"
    assert "assignedHub" not in body["registrationState"]
    for rid in (2, 3, 4):
        again = ask(peer, POLL.format(rid, body["operationId"]))[1]
        assert again["status"] == "disabled", "no poll gets round it"
    with pytest.raises(Failure, match="dps-disabled"):
        pump(device.Registration("dev-1"), peer)
    assert bench.events[-1].reason is Reason.DISABLED
    assert bench.where("dev-1") == []


def test_an_unknown_operation_is_not_found(bench):
    peer = bench.connect()
    topic, error = ask(peer, POLL.format(7, "5.0.0"))
    assert topic == "$dps/registrations/res/404/?$rid=7"
    assert error["errorCode"] == 404202


def test_another_devices_operation_is_not_found(bench):
    operation = ask(bench.connect("dev-1"), REGISTER + "1")[1]["operationId"]
    topic, _ = ask(bench.connect("dev-2"), POLL.format(2, operation))
    assert "/res/404/" in topic


def test_an_operation_outlives_its_connection_and_not_ten_minutes(bench):
    operation = ask(bench.connect(), REGISTER + "1")[1]["operationId"]
    peer = bench.connect()
    for number, (tick, status) in enumerate([(600, 202), (1200, 200), (1800.25, 404)]):
        bench.dps.expire(NOW, tick)
        topic, body = ask(peer, POLL.format(number, operation))
        assert f"/res/{status}/" in topic
    assert body["errorCode"] == 404202


def test_a_poll_after_the_end_gets_the_same_end(make_bench):
    bench = make_bench(config=AT_ONCE)
    peer = bench.connect()
    body = ask(peer, REGISTER + "1")[1]
    assert ask(peer, POLL.format(2, body["operationId"]), now=NOW + 9)[1] == body
    assert [type(event) for event in bench.events].count(Assigned) == 1


def test_without_a_subscription_there_is_no_answer(bench):
    peer = bench.connect(subscribed=False)
    assert list(peer.publish(Publish(REGISTER + "1", b""), NOW)) == []
    peer.subscribe(device.RESPONSES, 0)
    (answer,) = peer.publish(Publish(REGISTER + "2", b""), NOW)
    assert answer.qos == 0
    peer.unsubscribe(device.RESPONSES)
    assert list(peer.publish(Publish(REGISTER + "3", b""), NOW)) == []


def test_the_granted_qos_is_at_most_1(bench):
    peer = bench.connect(subscribed=False)
    assert peer.subscribe(device.RESPONSES, 2) == 1


@pytest.mark.parametrize(
    "topic",
    [
        "$dps/registrations/PUT/iotdps-register/",
        "$dps/registrations/PUT/iotdps-register/?$rid=1&more=1",
        "$dps/registrations/POST/iotdps-register/?$rid=1",
        "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1",
        "devices/dev-1/messages/events/",
    ],
)
def test_an_unknown_topic_ends_the_connection(bench, topic):
    with pytest.raises(Hangup):
        bench.connect().publish(Publish(topic, b""), NOW)


def test_an_unknown_filter_ends_the_connection(bench):
    with pytest.raises(Hangup):
        bench.connect().subscribe("#", 1)


@pytest.mark.parametrize(
    "username",
    [
        None,
        "",
        "dev-1",
        "0ne00002193/registrations/dev-1",
        "0ne00002193/registrations/dev-1/?api-version=2019-03-31",
        "0ne00002193/registrations/dev-1/api-version=",
        "0ne00002193/registrations/dev-1/api-version=yesterday",
        "0ne00002193/registrations//api-version=2019-03-31/dev-1",
    ],
)
def test_a_user_name_that_is_not_dpss_is_refused(bench, username):
    with pytest.raises(AccessDenied) as denied:
        bench.connect(username=username)
    assert denied.value.reason is Reason.BAD_USERNAME


@pytest.mark.parametrize(
    "version", ["2021-06-01", "2025-07-01-preview", "2019-03-31&ClientVersion=a%2Fb"]
)
def test_any_api_version_with_a_date_is_taken(bench, version):
    peer = bench.connect(username=f"0ne00002193/registrations/dev-1/api-version={version}")
    assert peer.caller.refusal is None
    assert peer.api_version == version.partition("&")[0]


def test_the_client_id_is_the_registration_id(bench):
    with pytest.raises(AccessDenied) as denied:
        bench.connect(client_id="dev-2")
    assert denied.value.reason is Reason.BAD_CLIENT_ID


def test_an_assignment_makes_the_identity_with_both_derived_keys(bench):
    pump(device.Registration("dev-1"), bench.connect())
    assert tuple(bench.hubs.hub(HUB).device("dev-1").keys) == tuple(
        derive_device_key(key, "dev-1") for key in KEYS
    )


def test_an_identity_of_another_registration_is_not_taken_over(make_bench):
    thief = IndividualEnrollment("thief", HUB, KeyPair(b"t" * 32, b"u" * 32), "dev-1")
    bench = make_bench(config=replace(CONFIG, individuals=(thief,), assigning_replies=0))
    ask(bench.connect(), REGISTER + "1")
    before = bench.hubs.hub(HUB).device("dev-1")
    topic, error = ask(bench.connect("thief", b"t" * 32), REGISTER + "1")
    assert (topic, error["errorCode"]) == ("$dps/registrations/res/409/?$rid=1", 409001)
    assert bench.events[-1] == Refused(NOW, "DPS", "thief", Reason.TAKEN, "error 409001")
    assert bench.hubs.hub(HUB).device("dev-1") == before
    assert "/res/200/" in ask(bench.connect(), REGISTER + "2")[0]


def test_a_full_disk_is_told_to_the_operator_and_the_device_may_try_again(make_bench):
    bench = make_bench(config=AT_ONCE)
    bench.database.execute("PRAGMA max_page_count = 1")  # no more than there are
    for number in range(200):
        topic, body = ask(bench.connect(f"dev-{number}"), REGISTER + "1")
        if "/res/200/" not in topic:
            break
    assert topic == "$dps/registrations/res/500/?$rid=1&retry-after=1"
    assert body["errorCode"] == 500001
    assert isinstance(bench.events[-1], Failed)
    assert "disk is full" in bench.events[-1].why
    assert bench.where(f"dev-{number}") == []
    bench.database.execute("PRAGMA max_page_count = 1000000")
    assert "/res/200/" in ask(bench.connect(f"dev-{number}"), REGISTER + "2")[0]
    assert bench.where(f"dev-{number}") == [HUB]


def test_who_registers_again_keeps_the_day_it_was_created(make_bench):
    bench = make_bench(config=AT_ONCE)
    ask(bench.connect(), REGISTER + "1")
    _, body = ask(bench.connect(), REGISTER + "1", now=NOW + 60)
    state = body["registrationState"]
    assert state["createdDateTimeUtc"] == "2022-08-31T22:02:50.5163350Z"
    assert state["lastUpdatedDateTimeUtc"] == "2022-08-31T22:03:50.5163350Z"
    assert state["substatus"] == "initialAssignment"
