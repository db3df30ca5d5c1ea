"""Custom allocation: what a web-hook is asked, what is made of its answer, and if none comes."""

import json
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from host_tools.emulator.config import LinkedHub
from host_tools.emulator.dps.enrollment import EnrollmentGroup, IndividualEnrollment, Webhook
from host_tools.emulator.dps.webhook import LARGEST, Allocation, WebhookFailure, parse
from host_tools.emulator.events import Failed
from tests.dps_bench import CONFIG, HUB, KEYS, NOW, OTHER, POLL, REGISTER, Bench, ask

HOOK = Webhook("http://localhost:7071/api/allocate?code=secret")
GROUP = EnrollmentGroup("g", keys=KEYS, allocation="custom", hubs=(HUB, OTHER), webhook=HOOK)
SINGLE = IndividualEnrollment("one", keys=KEYS, allocation="custom", webhook=HOOK)
CUSTOM = replace(
    CONFIG,
    assigning_replies=1,
    groups=(GROUP,),
    individuals=(SINGLE,),
    links=(LinkedHub(HUB), LinkedHub(OTHER), LinkedHub("third.azure-devices.net")),
)


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path, CUSTOM)
    yield bench
    bench.close()


def register(bench, name="dev-1", key=None, body=b"", **how):
    """Begin; return the peer, and what polls the operation."""
    peer = bench.connect(name, key, **how)
    topic, answer = ask(peer, REGISTER + "1", body)
    assert "/res/202/" in topic
    operation = answer["operationId"]
    return lambda: ask(peer, POLL.format(2, operation))


def assign(bench, outcome, **how):
    poll = register(bench, **how)
    bench.hook.answer(outcome)
    return poll()[1]["registrationState"]


def test_the_web_hook_is_asked_with_all_it_needs_and_no_key(bench):
    register(bench, body=b'{"payload":{"modelId":"dtmi:x;1"}}')
    (called,) = bench.hook.calls
    webhook, body, _ = called
    assert webhook == HOOK
    group = body["enrollmentGroup"]
    assert group["enrollmentGroupId"] == "g"
    assert group["attestation"] == {"type": "symmetricKey"}
    assert group["allocationPolicy"] == "custom"
    assert group["customAllocationDefinition"]["apiVersion"] == "2021-10-01"
    assert body["deviceRuntimeContext"] == {
        "registrationId": "dev-1",
        "symmetricKey": {},
        "payload": {"modelId": "dtmi:x;1"},
    }
    assert body["linkedHubs"] == [HUB, OTHER]
    json.dumps(body)


def test_a_later_call_says_where_the_device_is(bench):
    assign(bench, Allocation(HUB))
    register(bench, body=b'{"payload":null}')
    assert bench.hook.calls[-1][1]["deviceRuntimeContext"] == {
        "registrationId": "dev-1",
        "currentIotHubHostName": HUB,
        "currentDeviceId": "dev-1",
        "symmetricKey": {},
    }


def test_an_individual_enrollment_may_lead_to_any_linked_hub(bench):
    register(bench, "one", KEYS.primary)
    body = bench.hook.calls[-1][1]
    assert body["individualEnrollment"]["registrationId"] == "one"
    assert body["linkedHubs"] == [HUB, OTHER, "third.azure-devices.net"]


def test_the_operation_stays_assigning_until_the_web_hook_has_answered(bench):
    poll = register(bench)
    for _ in range(5):
        topic, body = poll()
        assert "/res/202/" in topic
        assert body["status"] == body["registrationState"]["status"] == "assigning"
    bench.hook.answer(Allocation(OTHER.upper(), None, {"welcome": [1, None]}))
    topic, body = poll()
    assert "/res/200/" in topic
    state = body["registrationState"]
    assert (state["assignedHub"], state["payload"]) == (OTHER, {"welcome": [1, None]})
    assert bench.dps.registration("dev-1").payload == {"welcome": [1, None]}
    assert len(bench.hook.calls) == 1


def test_an_answer_that_comes_at_once_hurries_nobody(bench):
    poll = register(bench)
    bench.hook.answer(Allocation(HUB))
    assert "/res/200/" in poll()[0]


def test_without_a_payload_there_is_none(bench):
    assert "payload" not in assign(bench, Allocation(HUB))


def test_the_web_hooks_initial_twin_is_used_even_where_the_twin_would_come_along(bench):
    twin = {"tags": {"by": "hook"}}
    assign(bench, Allocation(HUB, twin))
    assert bench.hubs.hub(HUB).twin("dev-1").tags == {"by": "hook"}
    bench.hubs.hub(HUB).patch_twin("dev-1", {"tags": {"a": 1}}, NOW)
    state = assign(bench, Allocation(OTHER, twin))
    assert state["substatus"] == "deviceDataReset"
    assert bench.hubs.hub(OTHER).twin("dev-1").tags == {"by": "hook"}


def test_it_is_asked_each_time_also_where_the_device_never_moves(bench):
    assign(bench, Allocation(HUB))
    bench.dps.put_group(replace(GROUP, update_hub=False, migrate_data=False), NOW, "*")
    state = assign(bench, Allocation(OTHER, None, 7))
    assert (state["assignedHub"], state["payload"]) == (HUB, 7)
    assert len(bench.hook.calls) == 2


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (parse(400, b"no"), "Custom allocation failed with status code: 400"),
        (parse(302, b""), "Custom allocation failed with status code: 302"),
        (parse(200, b""), "Custom allocation failed: the answer names no iotHubHostName"),
        (WebhookFailure("no answer in 5 s"), "no answer in 5 s"),
        (Allocation("hub.elsewhere.example"), "'hub.elsewhere.example' is not a linked hub"),
        (Allocation("third.azure-devices.net"), "is not a linked hub"),
    ],
)
def test_a_web_hook_that_fails_fails_the_registration(bench, outcome, message):
    state = assign(bench, outcome)
    assert (state["status"], state["errorCode"]) == ("failed", 400207)
    assert message in state["errorMessage"]
    failed = bench.events[-1]
    assert isinstance(failed, Failed)
    assert (failed.answer, failed.why) == ("status failed, 400207", state["errorMessage"])
    record = bench.dps.registration("dev-1")
    assert (record.status, record.error_code, record.hub) == ("failed", 400207, "")
    assert "secret" not in str(bench.events)
    assert assign(bench, Allocation(HUB))["status"] == "assigned"


def test_a_failed_registration_arrives_with_topic_status_200(bench):
    poll = register(bench)
    bench.hook.answer(parse(500, b""))
    topic, body = poll()
    assert topic == "$dps/registrations/res/200/?$rid=2"
    assert body["status"] == "failed"
    assert poll() == (topic, body)


def test_one_that_hangs_holds_up_nobody_else(bench):
    hanging = register(bench, "dev-1")
    for number in range(2, 5):
        poll = register(bench, f"dev-{number}")
        bench.hook.answer(Allocation(HUB))
        assert "/res/200/" in poll()[0]
    assert "/res/202/" in hanging()[0]


def test_a_late_answer_does_not_undo_what_a_later_registration_brought(bench):
    first, second = register(bench), register(bench)
    bench.hook.answer(Allocation(OTHER), 1)
    assert second()[1]["registrationState"]["assignedHub"] == OTHER
    bench.hook.answer(Allocation(HUB), 0)
    topic, error = first()
    assert (topic, error["errorCode"]) == ("$dps/registrations/res/409/?$rid=2", 409203)
    assert bench.where("dev-1") == [OTHER]


def test_an_answer_after_the_operation_is_forgotten_changes_nothing(bench):
    poll = register(bench)
    bench.dps.expire(NOW, 601)
    bench.hook.answer(Allocation(HUB))
    assert poll()[1]["errorCode"] == 404202
    assert bench.dps.registrations() == []


def test_a_disabled_enrollment_asks_nobody(bench):
    bench.dps.put_group(replace(GROUP, enabled=False), NOW, "*")
    _, body = ask(bench.connect(), REGISTER + "1")
    assert body["status"] == "disabled"
    assert bench.hook.calls == []


def test_without_a_linked_hub_to_choose_nobody_is_asked(tmp_path):
    there = replace(CUSTOM, links=(LinkedHub("x.example"),), groups=(), assigning_replies=0)
    before = Bench(tmp_path, there)
    before.dps.put_group(replace(GROUP, hubs=("x.example",)), NOW)
    before.close()
    after = Bench(tmp_path, replace(there, links=()))
    assert after.state()["errorCode"] == 400209
    assert after.hook.calls == []
    after.close()


@pytest.mark.parametrize(
    "answer",
    [
        {"iotHubHostName": HUB},
        {"IotHubHostname": HUB, "initialTwin": None, "payload": None},
        {"iotHubHostName": HUB, "initialTwin": {}, "more": 1},
    ],
)
def test_an_answer_needs_no_more_than_a_hub(answer):
    assert parse(200, json.dumps(answer).encode()) == Allocation(HUB)


def test_an_answer_may_have_a_twin_and_a_payload_of_any_kind():
    twin = {"tags": {"a": 1, "$version": 4}, "properties": {"desired": {"b": 2, "$metadata": {}}}}
    body = json.dumps({"iotHubHostName": HUB, "initialTwin": twin, "payload": "x"}).encode()
    kept = {"tags": {"a": 1}, "properties": {"desired": {"b": 2}}}
    assert parse(201, body) == Allocation(HUB, kept, "x")


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"[]", b"{", b'{"iotHubHostName":7}', b'{"iotHubHostName":""}', b"[" * 90_000,
     b'{"iotHubHostName":"h","initialTwin":[]}', b'{"iotHubHostName":"h","payload":NaN}',
     b'{"iotHubHostName":"h","initialTwin":{"tags":7}}', b'{"iotHubHostName":"h","payload":1e999}',
     b'{"iotHubHostName":"h","payload":' + b"[" * 70 + b"]" * 70 + b"}", b"\xff",
     b" " * (LARGEST + 1)],
)  # fmt: skip
def test_junk_is_a_failure(body):
    assert isinstance(parse(200, body), WebhookFailure)


@settings(deadline=None)
@given(st.integers(100, 599), st.binary(max_size=200))
@example(200, b'{"iotHubHostName":"\\ud800"}')
def test_any_answer_is_an_allocation_or_a_failure(status, body):
    assert isinstance(parse(status, body), Allocation | WebhookFailure)
