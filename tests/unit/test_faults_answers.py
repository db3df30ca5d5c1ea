"""What goes wrong with the answers to a device, on a fake clock, each fault to the byte."""

import json

import pytest

from host_tools.emulator.mqtt.packets import Pingreq, Pingresp, Puback
from host_tools.emulator.mqtt.peer import Message
from host_tools.emulator.mqtt.subscribe import Suback, Subscribe, Unsubscribe
from tests.unit.faulty_wire import (
    AT_DPS,
    AT_HUB,
    DPS_ANSWER,
    POLL,
    REGISTER,
    REPORT,
    RESULT,
    TELEMETRY,
    TWIN,
    Device,
    at_dps,
    at_hub,
)

# ---- questions


@pytest.mark.parametrize(
    ("gets", "status", "code", "tail"),
    [
        ("429", 429, 429001, "&retry-after=3"),
        ("429, retry after 120 s", 429, 429001, "&retry-after=120"),
        ("429, no retry-after", 429, 429001, ""),
        ("429002", 429, 429002, "&retry-after=3"),
        ("503", 503, 503001, "&retry-after=3"),
        ("401", 401, 401002, ""),
        ("404", 404, 404201, ""),
        ("400", 400, 400004, ""),
    ],
)
def test_an_error_of_dps(gets, status, code, tail):
    device = at_dps(f"dev-1, when it registers, gets {gets}, once")
    puback, answer = device.ask(REGISTER)
    assert puback == Puback(5)
    assert answer.topic == f"$dps/registrations/res/{status}/?$rid=7{tail}"
    assert answer.qos == 1
    assert json.loads(answer.payload)["errorCode"] == code
    assert device.done == []
    assert device.ask(REGISTER)[1] == DPS_ANSWER._replace(packet_id=2)


@pytest.mark.parametrize(
    ("gets", "status", "code"),
    [("429", 429, 429001), ("404", 404, 404001), ("403", 403, 403002), ("500", 500, 500001)],
)
def test_an_error_of_a_hub(gets, status, code):
    device = at_hub(f"dev-1, when it reports, gets {gets}", qos=0)
    _, answer = device.ask(REPORT)
    assert answer.topic == f"$iothub/twin/res/{status}/?$rid=10"
    assert answer.qos == 0
    assert json.loads(answer.payload)["errorCode"] == code


def test_an_error_with_an_empty_body():
    device = at_dps("dev-1, when it asks again, gets 429 with an empty body, retry after 5 s")
    assert device.ask(REGISTER)[1] == DPS_ANSWER
    _, answer = device.ask(POLL)
    assert answer.topic == "$dps/registrations/res/429/?$rid=8&retry-after=5"
    assert answer.payload == b""


def test_dps_does_not_answer_who_has_not_subscribed():
    device = Device("dev-1, when it registers, gets 429", connect=AT_DPS)
    assert device.ask(REGISTER) == [Puback(5)]


@pytest.mark.parametrize(
    ("gets", "state"),
    [
        ("status failed", {"status": "failed", "errorCode": 400207}),
        ("status failed with 400208", {"status": "failed", "errorCode": 400208}),
        ("status disabled", {"status": "disabled"}),
        ("status unassigned", {"status": "unassigned"}),
    ],
)
def test_a_status_of_dps(gets, state):
    device = at_dps(f"dev-1, when it asks again, gets {gets}")
    _, answer = device.ask(POLL)
    assert answer.topic == "$dps/registrations/res/200/?$rid=8"
    document = json.loads(answer.payload)
    assert (document["operationId"], document["status"]) == ("4.ab.cd", state["status"])
    assert state.items() <= document["registrationState"].items()
    assert document["registrationState"]["registrationId"] == "dev-1"
    assert "assignedHub" not in document["registrationState"]


def test_a_status_at_once_has_an_operation():
    device = at_dps("dev-1, when it registers, gets status failed")
    document = json.loads(device.ask(REGISTER)[1].payload)
    digit, first, guid = document["operationId"].split(".")
    assert (digit, len(first), len(guid)) == ("5", 16, 36)


@pytest.mark.parametrize(
    ("gets", "topic", "payload", "qos"),
    [
        ("the wrong rid", "$dps/registrations/res/202/?$rid=7-of-another&retry-after=1", 7, 1),
        ("an empty body", DPS_ANSWER.topic, 0, 1),
        ("no retry-after", "$dps/registrations/res/202/?$rid=7", 7, 1),
        ("QoS 0", DPS_ANSWER.topic, 7, 0),
    ],
)
def test_an_answer_with_one_thing_wrong(gets, topic, payload, qos):
    _, answer = at_dps(f"dev-1, when it registers, gets {gets}").ask(REGISTER)
    assert (answer.topic, len(answer.payload), answer.qos) == (topic, payload, qos)


@pytest.mark.parametrize("rules", [(), ("x gets 429",)])
def test_a_board_that_gets_another_name_is_counted_once(rules):
    device = at_dps(*rules)
    body = b'{"registrationState":{"deviceId":"pump-7"}}'
    assigned = Message("$dps/registrations/res/200/?$rid=7", body, 1)
    device.door.peer.publish = lambda message, now: [assigned]
    device.say(REGISTER)
    assert [device.door.faults.meet(name) for name in ("pump-7", "dev-1", "b")] == [1, 1, 2]


def test_a_late_answer():
    device = at_dps("dev-1, when it registers, gets its answer 10 s late")
    assert device.ask(REGISTER, Pingreq()) == [Puback(5), Pingresp()]
    assert device.wait(9.9) == b""
    assert device.wait(0.1) == DPS_ANSWER.encode()


def test_an_answer_is_lost_and_the_question_done():
    device = at_hub("dev-1, when it reports, gets no answer")
    assert device.ask(REPORT) == [Puback(8)]
    assert device.done == [REPORT.topic]


def test_a_question_is_lost():
    device = at_hub("dev-1, when it reports, gets ignored")
    assert device.ask(REPORT) == []
    assert device.done == []


# ---- what is only acknowledged


@pytest.mark.parametrize("message", [TELEMETRY, RESULT])
def test_an_acknowledgement_is_late_or_lost(message):
    when = "it sends telemetry" if message is TELEMETRY else "it answers a method"
    late = at_hub(f"dev-1, when {when}, gets its answer 5 s late")
    assert late.ask(message) == []
    assert late.wait(5) == Puback(message.packet_id).encode()
    lost = at_hub(f"dev-1, when {when}, gets no answer, once")
    assert lost.ask(message) == []
    assert lost.ask(message) == [Puback(message.packet_id)]
    assert lost.done == [message.topic] * 2
    ignored = at_hub(f"dev-1, when {when}, gets ignored, once")
    assert ignored.ask(message) == []
    assert ignored.done == []


@pytest.mark.parametrize("message", [TELEMETRY, RESULT])
def test_an_error_to_what_has_none_ends_the_connection(message):
    device = at_hub("dev-1, when it sends telemetry, gets 403002", "dev-1, when it answers a"
                    " method, gets 503")  # fmt: skip
    assert device.ask(message) == []
    assert device.end == "in order"
    assert device.done == []


def test_telemetry_of_qos_0_has_nothing_to_lose():
    device = at_hub("dev-1, when it sends telemetry, gets no answer")
    assert device.ask(TELEMETRY._replace(qos=0, packet_id=0), Pingreq()) == [Pingresp()]


def test_suback_128():
    device = Device("dev-1 gets SUBACK 128, once", connect=AT_HUB)
    filters = ((TWIN, 1), ("$iothub/methods/POST/#", 0))
    assert device.say(Subscribe(3, filters)) == b"\x90\x04\x00\x03\x80\x80"
    assert device.ask(Subscribe(4, filters)) == [Suback(4, (1, 0))]


def test_an_error_to_subscribe_ends_the_connection():
    device = Device("dev-1, when it subscribes, gets 401", connect=AT_HUB)
    assert device.say(Subscribe(3, ((TWIN, 1),))) == b""
    assert device.end == "in order"


def test_the_right_one_of_several_pings_is_not_answered():
    rule = {"when": "it pings", "gets": "no answer", "skip": 1, "times": 1}
    device = Device(rule, connect=AT_HUB)
    assert device.ask(Pingreq(), Pingreq(), Pingreq()) == [Pingresp(), Pingresp()]


def test_several_pings_in_one_piece_are_struck_each():
    device = Device("dev-1, when it pings, gets no answer, twice", connect=AT_HUB)
    assert device.ask(Pingreq(), Pingreq(), Pingreq()) == [Pingresp()]


def test_no_unsuback():
    device = at_hub("dev-1, when it unsubscribes, gets no answer")
    assert device.ask(Unsubscribe(2, (TWIN,)), Pingreq()) == [Pingresp()]
