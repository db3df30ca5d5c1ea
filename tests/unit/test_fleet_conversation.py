"""A fleet's device without a socket: what it says at DPS and its hub, and when it gives up."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.emulator.mqtt.connect import Connack, Connect
from host_tools.emulator.mqtt.framing import Framer
from host_tools.emulator.mqtt.packets import (
    Disconnect,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Unsuback,
    parse,
)
from host_tools.emulator.mqtt.subscribe import Suback, Subscribe
from host_tools.fleet.conversation import NEVER
from host_tools.fleet.plan import Member, Plan
from host_tools.fleet.stay import Stay
from host_tools.fleet.visit import Visit
from keystead import dps, hub
from keystead.catalogue import entry
from keystead.failure import Failure

HUB = "test-docs-hub.azure-devices.net"
PLAN = Plan("0ne00002193", HUB, limit=30, keep_alive=240)
MEMBER = Member("fleet-1", bytes(32))
NOW, TICK = 1_700_000_000.0, 100.0


def packets(data):
    return [parse(*packet) for packet in Framer().feed(data)]


def answer(status, document, rid, retry_after=""):
    topic = f"$dps/registrations/res/{status}/?$rid={rid}{retry_after}"
    return Publish(topic, json.dumps(document).encode(), 1, 7).encode()


def assigning(rid, wait=3):
    document = {"operationId": "5.op", "status": "assigning"}
    return answer(202, document, rid, f"&retry-after={wait}")


def assigned(rid, at=HUB):
    state = {"status": "assigned", "assignedHub": at, "deviceId": "pump-7"}
    document = {"operationId": "5.op", "status": "assigned", "registrationState": state}
    return answer(200, document, rid)


def at_dps():
    """Return a visit whose first request is on its way."""
    visit = Visit(PLAN, MEMBER, lambda: 0.5)
    visit.dial(TICK)
    visit.begin(NOW, TICK)
    visit.receive(Connack(0).encode(), TICK)
    visit.receive(Suback(1, (1,)).encode(), TICK)
    return visit


def at_hub(plan=PLAN):
    """Return a stay that is connected."""
    stay = Stay(plan, MEMBER, (HUB, "pump-7"))
    stay.dial(TICK)
    stay.begin(NOW, TICK)
    stay.receive(Connack(0).encode(), TICK)
    stay.receive(Suback(1, (1, 0, 0)).encode(), TICK)
    return stay


def test_a_device_logs_in_at_dps_as_a_board_does():
    visit = Visit(PLAN, MEMBER, lambda: 0.5)
    [connect] = packets(visit.begin(NOW, TICK))
    assert connect.client_id == "fleet-1"
    assert connect.username == dps.username("0ne00002193", "fleet-1")
    assert b"skn=registration" in connect.password
    [subscribe] = packets(visit.receive(Connack(0).encode(), TICK))
    assert subscribe == Subscribe(1, ((dps.RESPONSES, 1),))
    [register] = packets(visit.receive(Suback(1, (1,)).encode(), TICK))
    assert register.topic == "$dps/registrations/PUT/iotdps-register/?$rid=1"
    assert register.qos == 1


def test_a_device_waits_as_long_as_dps_says_and_asks_again():
    visit = at_dps()
    said = packets(visit.receive(Puback(1).encode() + assigning(1, wait=3), TICK + 1))
    assert said == [Puback(7)]
    assert visit.due == TICK + 4
    [poll] = packets(visit.wake(TICK + 4))
    assert "operationId=5.op" in poll.topic
    assert poll.packet_id == 2


def test_an_assigned_device_says_goodbye_to_dps():
    visit = at_dps()
    said = packets(visit.receive(Puback(1).encode() + assigned(1), TICK))
    assert said == [Puback(7), Disconnect()]
    assert visit.is_over()
    assert (visit.assignment.hub, visit.assignment.device_id) == (HUB, "pump-7")
    assert visit.due == NEVER


def test_packets_arrive_in_pieces_of_any_size():
    visit = at_dps()
    stream = Puback(1).encode() + assigned(1)
    said = b"".join(visit.receive(stream[i : i + 1], TICK) for i in range(len(stream)))
    assert packets(said) == [Puback(7), Disconnect()]


def test_what_comes_after_the_goodbye_is_not_heard():
    visit = at_dps()
    said = visit.receive(assigned(1) + b"\xff\xff", TICK)
    assert packets(said)[-1] == Disconnect()


@pytest.mark.parametrize(
    ("code", "reason"),
    [(5, "dps-refused"), (4, "dps-refused"), (3, "dps-unavailable")],
)
def test_a_refused_login_has_a_reason(code, reason):
    visit = Visit(PLAN, MEMBER, lambda: 0.5)
    visit.begin(NOW, TICK)
    with pytest.raises(Failure) as caught:
        visit.receive(Connack(code).encode(), TICK)
    assert (caught.value.reason, caught.value.code) == (reason, code)


def test_a_refused_subscription_has_a_reason():
    stay = Stay(PLAN, MEMBER, (HUB, "fleet-1"))
    stay.begin(NOW, TICK)
    stay.receive(Connack(0).encode(), TICK)
    with pytest.raises(Failure, match="hub-refused"):
        stay.receive(Suback(1, (0x80, 0, 0)).encode(), TICK)


def test_an_unknown_device_hears_so():
    visit = at_dps()
    with pytest.raises(Failure) as caught:
        visit.receive(answer(404, {"errorCode": 404201, "message": "no"}, 1), TICK)
    assert (caught.value.reason, caught.value.code) == ("dps-unknown", 404201)


@pytest.mark.parametrize(
    ("upto", "awaited"),
    [(0, "TCP and TLS"), (1, "CONNACK"), (2, "SUBACK"), (3, "DPS to answer")],
)
def test_no_answer_is_waited_for_forever(upto, awaited):
    visit = Visit(PLAN, MEMBER, lambda: 0.5)
    visit.dial(TICK)
    steps = [
        lambda: visit.begin(NOW, TICK),
        lambda: visit.receive(Connack(0).encode(), TICK),
        lambda: visit.receive(Suback(1, (1,)).encode(), TICK),
    ]
    for step in steps[:upto]:
        step()
    assert visit.due == TICK + PLAN.limit
    with pytest.raises(Failure, match=f"no-answer: waiting for {awaited}"):
        visit.wake(TICK + PLAN.limit)


def test_a_device_logs_in_at_the_hub_it_was_assigned():
    stay = Stay(PLAN, MEMBER, (HUB + ":8883", "pump-7"))
    assert stay.host == HUB
    [connect] = packets(stay.begin(NOW, TICK))
    assert (connect.client_id, connect.clean) == ("pump-7", True)
    assert connect.username == hub.username(HUB, "pump-7")
    [subscribe] = packets(stay.receive(Connack(0).encode(), TICK))
    assert "devices/pump-7/messages/devicebound/#" in dict(subscribe.filters)
    assert not stay.is_connected()
    stay.receive(Suback(1, (1, 0, 0)).encode(), TICK)
    assert stay.is_connected()


def test_a_device_may_keep_its_session():
    stay = Stay(Plan("s", HUB, clean=False), MEMBER, (HUB, "pump-7"))
    [connect] = packets(stay.begin(NOW, TICK))
    assert not connect.clean


def test_a_message_goes_when_the_one_before_has_arrived():
    stay, took = at_hub(), []
    stay.took = took.append
    [first] = packets(stay.talk(2, 0, TICK))
    assert (first.topic, first.qos) == ("devices/pump-7/messages/events/", 1)
    assert not stay.is_silent()
    [second] = packets(stay.receive(Puback(first.packet_id).encode(), TICK + 1))
    assert second.packet_id == first.packet_id + 1
    assert stay.receive(Puback(second.packet_id).encode(), TICK + 3) == b""
    assert stay.is_silent()
    assert took == [1, 2]


def test_messages_keep_their_pace():
    stay = at_hub()
    assert stay.talk(2, 10, TICK, delay=4) == b""
    assert stay.due == TICK + 4
    [first] = packets(stay.wake(TICK + 4))
    stay.receive(Puback(first.packet_id).encode(), TICK + 5)
    assert stay.due == TICK + 14


def test_a_quiet_device_shows_that_it_is_there():
    stay = at_hub()
    assert stay.due == TICK + 120
    assert packets(stay.wake(TICK + 120)) == [Pingreq()]
    assert stay.receive(Pingresp().encode(), TICK + 121) == b""
    assert stay.due == TICK + 241


def test_a_device_between_two_messages_does_so_too():
    stay = at_hub()
    stay.talk(1, 1000, TICK, delay=1000)
    assert packets(stay.wake(TICK + 120)) == [Pingreq()]
    stay.receive(Pingresp().encode(), TICK + 120)
    assert stay.due == TICK + 240


def test_a_hub_that_does_not_answer_a_ping_is_given_up():
    stay = at_hub()
    stay.wake(TICK + 120)
    with pytest.raises(Failure, match="no-answer: waiting for PINGRESP"):
        stay.wake(TICK + 150)


def test_what_a_hub_sends_is_acknowledged():
    stay = at_hub()
    message = Publish("devices/pump-7/messages/devicebound/x", b"hello", 1, 9)
    assert packets(stay.receive(message.encode(), TICK)) == [Puback(9)]


def test_a_device_leaves_in_order():
    stay = at_hub()
    assert packets(stay.leave()) == [Disconnect()]
    assert stay.is_over()


@pytest.mark.parametrize(
    "packet",
    [Puback(3), Pingresp(), Unsuback(1), Connect("x"), Subscribe(1, (("a", 0),))],
    ids=lambda packet: type(packet).__name__,
)
def test_what_a_server_may_not_send_is_a_failure(packet):
    with pytest.raises(Failure, match="mqtt-garbled"):
        at_hub().receive(packet.encode(), TICK)


def test_packet_numbers_wrap():
    stay = at_hub()
    said = stay.talk(65536, 0, TICK)
    for number in range(1, 65536):
        said = stay.receive(Puback(number).encode(), TICK)
    [last] = packets(said)
    assert last.packet_id == 1


@given(st.binary(max_size=300), st.booleans())
def test_foreign_bytes_are_a_named_failure(data, dps_side):
    conversation = at_dps() if dps_side else at_hub()
    try:
        conversation.receive(data, TICK)
    except Failure as failure:
        assert entry(failure.reason)


@given(
    st.text(max_size=40),
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: st.dictionaries(
            st.sampled_from(["status", "operationId", "registrationState", "errorCode"]), inner
        ),
    ),
)
def test_foreign_answers_are_a_named_failure(query, document):
    topic = "$dps/registrations/res/200/?$rid=1&" + query.replace("\0", "")
    topic = topic.replace("+", "").replace("#", "").encode(errors="replace").decode()
    visit = at_dps()
    try:
        visit.receive(Publish(topic, json.dumps(document).encode(), 1, 7).encode(), TICK)
    except Failure as failure:
        assert entry(failure.reason)


def test_no_key_and_no_token_shows():
    assert "key" not in repr(MEMBER)
    assert "sig=" not in repr(packets(Visit(PLAN, MEMBER, lambda: 0.5).begin(NOW, TICK)))
