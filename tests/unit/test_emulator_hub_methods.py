"""Direct methods: calls to devices that are there, come, go, answer or do not."""

import json

import pytest
from emulator_hub_bench import HUB, METHODS, OTHER, Bench
from hypothesis import given
from hypothesis import strategies as st

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.hub.events import MethodAnswered, MethodCalled, MethodFailed
from host_tools.emulator.hub.methods import LARGEST, MethodAnswer, MethodCall


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.close()


class Caller:
    """Who calls a method, and what he got, which is one thing once."""

    def __init__(self, bench, name="reboot", payload=None, device_id="dev-1", hub=None, **how):
        self.got = []
        call = MethodCall(name, payload, **how)
        (hub or bench.hub).invoke(device_id, call, bench.tick, self.got.append)

    @property
    def code(self):
        (error,) = self.got
        assert isinstance(error, ServiceError)
        return error.code

    @property
    def answer(self):
        (answer,) = self.got
        assert isinstance(answer, MethodAnswer)
        return answer


def request_id(message):
    return message.topic.rpartition("=")[2]


def answer(device, request, status=200, body=b""):
    topic = f"$iothub/methods/res/{status}/?$rid={request_id(request)}"
    return device.publish(topic, body)


def test_a_device_is_called_and_its_answer_comes_back(bench):
    device = bench.device(filters=[METHODS])
    caller = Caller(bench, "reboot", {"delay": 5})
    (request,) = device.heard()
    assert request.topic == f"$iothub/methods/POST/reboot/?$rid={request_id(request)}"
    assert (request.payload, request.qos) == (b'{"delay":5}', 0)
    assert answer(device, request, 207, b'{"ok":true}') == []
    assert caller.answer == MethodAnswer(207, {"ok": True})
    assert [len(bench.told(one)) for one in (MethodCalled, MethodAnswered, MethodFailed)] == [
        1,
        1,
        0,
    ]


def test_no_payload_is_null_on_the_wire_and_an_empty_answer_is_none(bench):
    device = bench.device(filters=[METHODS])
    caller = Caller(bench)
    (request,) = device.heard()
    assert request.payload == b"null"
    answer(device, request, -1)
    assert caller.answer == MethodAnswer(-1, None)


def test_an_answer_that_is_not_json_is_passed_on_as_it_is(bench):
    device = bench.device(filters=[METHODS])
    caller = Caller(bench)
    answer(device, device.heard()[0], 200, b"Successfully invoked \xff")
    assert caller.answer == MethodAnswer(
        200, "Successfully invoked \ufffd", b"Successfully invoked \xff"
    )


@given(st.binary())
def test_any_answer_can_be_taken(body):
    found = MethodAnswer.parse(200, body)
    assert json.loads(json.dumps(found.payload, allow_nan=False)) == found.payload


@pytest.mark.parametrize("body", [b"NaN", b"[1e999]", b"{", b"[" * 100_000])
def test_what_only_looks_like_json_is_none(body):
    assert MethodAnswer.parse(200, body).raw == body


def test_calls_under_way_at_once_get_their_own_answers(bench):
    device = bench.device(filters=[METHODS])
    callers = [Caller(bench, f"m{number}") for number in range(3)]
    requests = device.heard()
    assert len({request_id(one) for one in requests}) == 3
    for number in (2, 0, 1):
        answer(device, requests[number], body=b"%d" % number)
    assert [one.answer.payload for one in callers] == [0, 1, 2]


def test_a_device_that_is_not_there_is_not_online(bench):
    assert Caller(bench).code == 404103
    (event,) = bench.told(MethodFailed)
    assert (event.method, event.code) == ("reboot", 404103)


def test_a_device_that_does_not_listen_to_methods_is_not_online(bench):
    bench.device(filters=["$iothub/twin/res/#"])
    assert Caller(bench).code == 404103


def test_without_an_api_version_a_device_is_not_online(bench):
    device = bench.device(filters=[METHODS], username=f"{HUB}/dev-1")
    assert device.connack.code == 0
    assert Caller(bench).code == 404103


def test_a_call_waits_for_its_device_to_come(bench):
    bench.device(filters=[METHODS]).leave()
    caller = Caller(bench, connect_timeout=10)
    bench.wait(9)
    device = bench.device()
    (request,) = device.heard()
    bench.wait(28)
    answer(device, request)
    assert caller.answer.status == 200


def test_a_call_waits_for_its_device_to_subscribe(bench):
    device = bench.device()
    caller = Caller(bench, connect_timeout=10)
    device.subscribe(METHODS)
    answer(device, device.heard()[0])
    assert caller.answer.status == 200


def test_a_call_does_not_wait_longer_than_it_was_asked_to(bench):
    patient, other = Caller(bench, connect_timeout=10), Caller(bench, connect_timeout=20)
    bench.wait(9.9)
    assert patient.got == []
    bench.wait()
    assert patient.code == 404103
    assert other.got == []
    assert len(bench.device(filters=[METHODS]).heard()) == 1


@pytest.mark.parametrize("seconds", [5, 30, 300])
def test_an_answer_must_come_in_time(bench, seconds):
    device = bench.device(filters=[METHODS], keep_alive=0)
    caller = Caller(bench, response_timeout=seconds)
    (request,) = device.heard()
    bench.wait(seconds - 0.1)
    assert caller.got == []
    bench.wait()
    assert caller.code == 504101
    answer(device, request)
    assert len(caller.got) == 1
    assert not device.closed


def test_an_answer_nobody_waits_for_is_ignored(bench):
    device = bench.device(filters=[METHODS])
    assert device.publish("$iothub/methods/res/200/?$rid=abc", b"{}") == []
    assert not device.closed


def test_an_answer_counts_once_and_from_its_own_device_only(bench):
    bench.other.create("dev-1", bench.now, bench.hub.device("dev-1").keys)
    device, stranger = bench.device(filters=[METHODS]), bench.device(hub=OTHER)
    caller = Caller(bench)
    (request,) = device.heard()
    answer(stranger, request, 666)
    answer(device, request, 200)
    answer(device, request, 500)
    assert caller.answer.status == 200


def test_a_device_that_drops_may_come_back_and_answer(bench):
    device = bench.device(filters=[METHODS])
    caller = Caller(bench)
    (request,) = device.heard()
    device.break_off()
    again = bench.device()
    assert again.heard() == []
    answer(again, request)
    assert caller.answer.status == 200


def test_a_device_that_drops_for_good_leaves_its_caller_with_a_time_out(bench):
    device = bench.device(filters=[METHODS])
    caller = Caller(bench)
    device.break_off()
    bench.wait(31)
    assert caller.code == 504101


def test_a_deleted_device_ends_all_calls_to_it(bench):
    device = bench.device(filters=[METHODS])
    sent = Caller(bench)
    device.break_off()
    parked = Caller(bench, connect_timeout=300)
    bench.hub.delete("dev-1", bench.now)
    assert (sent.code, parked.code) == (404001, 404001)


def test_a_payload_may_have_128_kilobytes_each_way(bench):
    device = bench.device(filters=[METHODS])
    text = "x" * (LARGEST - 2)
    assert Caller(bench, payload=text + "x").code == 413001
    caller = Caller(bench, payload=text)
    (request,) = device.heard()
    assert len(request.payload) == LARGEST
    answer(device, request, body=b'"%s"' % text.encode())
    assert caller.answer.payload == text
    late = Caller(bench)
    answer(device, device.heard()[0], body=bytes(LARGEST + 1))
    assert device.closed
    bench.wait(31)
    assert late.code == 504101


@pytest.mark.parametrize(
    "how",
    [
        {"response_timeout": 4},
        {"response_timeout": 301},
        {"response_timeout": 5.5},
        {"response_timeout": True},
        {"response_timeout": "30"},
        {"connect_timeout": -1},
        {"connect_timeout": 301},
        {"connect_timeout": None},
        {"payload": float("nan")},
        {"payload": NotImplemented},
        {"name": ""},
        {"name": "a b"},
        {"name": "a/b"},
        {"name": "a?b"},
        {"name": "ü"},
        {"name": "m\n"},
        {"name": None},
        {"name": "m" * 257},
    ],
    ids=str,
)
def test_what_can_not_be_called(bench, how):
    bench.device(filters=[METHODS])
    assert Caller(bench, **how).code == 400004


def nest(levels):
    nested = []
    for _ in range(levels):
        nested = [nested]
    return nested


def test_a_payload_too_deep_for_json_is_an_error(bench):
    assert Caller(bench, payload=nest(100_000)).code == 400004


def test_a_device_that_does_not_exist_can_not_be_called(bench):
    assert Caller(bench, device_id="dev-2").code == 404001
    assert Caller(bench, hub=bench.other).code == 404001


@pytest.mark.parametrize(
    ("name", "level"),
    [("a.b-c_d!", "a.b-c_d!"), ("50%", "50%25"), ("c++", "c%2B%2B"), ("#1", "%231")],
)
def test_a_name_that_no_topic_can_hold_is_escaped(bench, name, level):
    device = bench.device(filters=[METHODS])
    Caller(bench, name)
    assert device.heard()[0].topic.startswith(f"$iothub/methods/POST/{level}/?$rid=")


@pytest.mark.parametrize("status", ["", "abc", "1.5", "1" * 10, "\u0661"])
def test_a_status_that_is_none_ends_the_connection(bench, status):
    device = bench.device()
    device.publish(f"$iothub/methods/res/{status}/?$rid=1")
    assert device.closed


def test_a_store_that_fails_is_the_callers_error(bench):
    bench.database.close()
    assert Caller(bench).code == 500001
