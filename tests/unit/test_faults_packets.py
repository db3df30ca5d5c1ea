"""What goes wrong with packets: those sent unasked, and those that no decent server sends."""

import json

import pytest

from host_tools.emulator.faults import bending
from host_tools.emulator.faults.rule import Rule
from host_tools.emulator.mqtt.connect import Connack
from host_tools.emulator.mqtt.framing import Framer, ProtocolError
from host_tools.emulator.mqtt.packets import Pingreq, Publish, parse
from tests.unit.faulty_wire import (
    AT_HUB,
    CALL,
    COMMAND,
    DESIRED,
    GET,
    NOW,
    PLACES,
    Device,
    at_hub,
    provoked,
)

# ---- what is sent unasked


@pytest.mark.parametrize(
    ("when", "message"),
    [("a method is called", CALL), ("a message is sent to it", COMMAND),
     ("its twin is changed", DESIRED)],
)  # fmt: skip
def test_what_is_sent_unasked_is_lost_late_or_empty(when, message):
    sent = Publish(message.topic, message.payload, message.qos, message.qos).encode()
    lost = at_hub(f"dev-1, when {when}, gets no answer, once")
    assert (lost.push(message), lost.push(message)) == (b"", sent)
    late = at_hub(f"dev-1, when {when}, gets its answer 5 s late")
    assert (late.push(message), late.wait(4), late.wait(1)) == (b"", b"", sent)
    empty = at_hub(f"dev-1, when {when}, gets an empty body")
    ((first, body),) = Framer().feed(empty.push(message))
    assert Publish.parse(first, body).payload == b""
    cut = at_hub(f"dev-1, when {when}, gets half a packet")
    assert cut.push(message) == sent[: len(sent) // 2]
    assert cut.end == "in order"
    dropped = at_hub(f"dev-1, when {when}, gets a dropped socket")
    assert (dropped.push(message), dropped.end) == (b"", "dropped")


def test_a_method_with_the_wrong_rid():
    device = at_hub("dev-1, when a method is called, gets the wrong rid")
    ((first, body),) = Framer().feed(device.push(CALL))
    assert Publish.parse(first, body).topic == "$iothub/methods/POST/reboot/?$rid=1a-of-another"


def test_what_waits_behind_connack_can_be_lost():
    device = Device("dev-1, when a message is sent to it, gets no answer", first=[COMMAND])
    assert device.ask(AT_HUB) == [Connack(0)]


def test_a_rule_reaches_a_device_that_was_there_before():
    device = at_hub()
    device.door.faults.add(Rule.from_json("dev-1, when a method is called, gets no answer"), NOW)
    assert device.push(CALL) == b""
    device.door.faults.add(Rule.from_json("dev-1, when it pings, gets a dropped socket"), NOW)
    assert device.say(Pingreq()) == b""
    assert device.end == "dropped"


# ---- packets that no decent server sends


@pytest.mark.parametrize(("when", "packet", "answer"), PLACES)
def test_half_a_packet_and_then_the_end(when, packet, answer):
    device, data = provoked(when, packet, "half a packet")
    whole = answer.encode()
    assert 0 < len(data) < len(whole)
    assert whole.startswith(data)
    assert device.end == "in order"
    assert device.door.left == ["its packet was cut, as a rule wants"]


@pytest.mark.parametrize(("when", "packet", "answer"), PLACES)
@pytest.mark.parametrize("size", [129, 130, 131, 5000, 16_387, 300_000])
def test_an_oversized_packet(when, packet, answer, size):
    _, data = provoked(when, packet, f"a packet of {size} bytes")
    ((first, body),) = Framer().feed(data)
    assert size - 1 <= len(data) <= size
    assert first == answer.encode()[0]
    assert body.startswith(answer.encode()[2:4])
    if packet is GET:
        assert json.loads(Publish.parse(first, body).payload) == {"a": 1}


@pytest.mark.parametrize(("when", "packet", "answer"), PLACES)
def test_a_packet_that_claims_more_than_it_has(when, packet, answer):
    device, data = provoked(when, packet, "a packet that claims 256 MB")
    whole = answer.encode()
    assert data == whole[:1] + b"\xff\xff\xff\x7f" + whole[2:]
    assert not device.end


@pytest.mark.parametrize(("when", "packet", "answer"), PLACES)
def test_a_malformed_packet_of_every_kind(when, packet, answer):
    seen = set()
    for seed in range(40):
        _, data = provoked(when, packet, "a malformed packet", seed=seed)
        with pytest.raises(ProtocolError) as error:
            for first, body in Framer().feed(data):
                parse(first, body)
        seen.add(str(error.value))
    assert len(seen) == len(bending.DEFECTS)
