"""What goes wrong with one MQTT connection as a whole: its end, its speed, and anything at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.emulator.faults.action import ACTIONS
from host_tools.emulator.faults.rule import Rule
from host_tools.emulator.faults.when import WHEN
from host_tools.emulator.mqtt.connect import Connack
from host_tools.emulator.mqtt.framing import Framer
from host_tools.emulator.mqtt.packets import Pingreq, Pingresp, Puback, Unsuback, parse
from host_tools.emulator.mqtt.session import PATIENCE
from host_tools.emulator.mqtt.subscribe import Subscribe, Unsubscribe
from host_tools.errors import CommandError
from tests.unit.faulty_wire import (
    ANSWERS,
    AT_DPS,
    AT_HUB,
    CALL,
    COMMAND,
    DESIRED,
    GET,
    NOW,
    PLACES,
    POLL,
    REGISTER,
    REPORT,
    RESULT,
    TELEMETRY,
    TWIN,
    TWIN_ANSWER,
    Device,
    Watcher,
    at_hub,
    provoked,
)

# ---- nothing wrong


@pytest.mark.parametrize("rules", [(), ("another, when it does anything, gets no answer",)])
def test_who_is_not_meant_gets_what_it_should(rules):
    device = at_hub(*rules)
    assert device.ask(GET, TELEMETRY, Pingreq()) == [
        Puback(7),
        TWIN_ANSWER,
        Puback(9),
        Pingresp(),
    ]
    (pushed,) = Framer().feed(device.push(COMMAND))
    packet_id = parse(*pushed).packet_id
    assert device.ask(Puback(packet_id)) == []
    assert device.door.peer.arrived == ["token"]
    assert device.ask(Unsubscribe(2, (TWIN,))) == [Unsuback(2)]
    device.wire.close("enough", NOW)
    assert (device.end, device.door.left, device.door.peer.ended) == (
        "in order",
        ["enough"],
        False,
    )
    assert device.wire.closed


# ---- the connection


@pytest.mark.parametrize(
    ("gets", "end", "why"),
    [
        ("a dropped socket", "dropped", "its socket was dropped, as a rule wants"),
        ("a closed connection", "in order", "its connection was closed, as a rule wants"),
        ("an expired token", "in order", "its token expired, as a rule wants"),
    ],
)
@pytest.mark.parametrize(("when", "packet", "_"), PLACES[1:])
def test_a_connection_ends_and_what_was_asked_is_not_done(when, packet, _, gets, end, why):
    device, data = provoked(when, packet, gets)
    assert (data, device.end, device.door.left) == (b"", end, [why])
    assert device.done == []
    assert device.door.peer.ended is False


@pytest.mark.parametrize("gets", ["a dropped socket", "a closed connection"])
def test_a_connection_ends_at_connect(gets):
    device = Device(f"dev-1, when it connects, gets {gets}")
    assert device.say(AT_HUB) == b""
    assert device.end == ("dropped" if "dropped" in gets else "in order")
    assert not hasattr(device.door, "peer")


def test_the_answers_before_the_drop_are_sent():
    device = at_hub("dev-1, when it sends telemetry, gets a dropped socket")
    assert device.ask(GET, TELEMETRY, Pingreq()) == [Puback(7), TWIN_ANSWER]
    assert device.end == "dropped"


def test_the_nth_packet_in_is_the_last():
    device = Device("dev-1, when it sends its 3rd packet, gets a dropped socket")
    assert device.ask(AT_HUB, Pingreq()) == [Connack(0), Pingresp()]
    assert (device.say(Pingreq()), device.end) == (b"", "dropped")
    first = Device("dev-1, when it sends its first packet, gets a closed connection")
    assert (first.say(AT_HUB), first.end) == (b"", "in order")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_nth_packet_out_does_not_go(number):
    device = Device(f"dev-1, when it is sent its {number}th packet, gets a dropped socket")
    all_of_them = [Connack(0), Pingresp(), Pingresp()]
    assert device.ask(AT_HUB, Pingreq(), Pingreq(), Pingreq()) == all_of_them[: number - 1]
    assert device.end == "dropped"
    assert device.door.left == ["its socket was dropped, as a rule wants"]


@pytest.mark.parametrize(
    ("gets", "rest"),
    [
        ("no answer", b"\xd0\x00"),
        ("half a packet", b"\xd0"),
        ("a packet that claims 256 MB", b"\xd0\xff\xff\xff\x7f\xd0\x00"),
        ("a half-open connection", b""),
    ],
)
def test_the_nth_packet_out_is_bent(gets, rest):
    device = Device(f"dev-1, when it is sent its 2nd packet, gets {gets}", connect=AT_HUB)
    assert device.say(Pingreq(), Pingreq()) == rest


def test_a_half_open_connection_says_and_hears_nothing_and_never_ends():
    device = at_hub("dev-1, when it sends telemetry, gets a half-open connection")
    assert device.say(TELEMETRY, Pingreq()) == b""
    assert device.say(Pingreq()) == b""
    assert device.push(CALL) == b""
    assert device.done == []
    # the hub believes that it lives, until it was silent too long
    assert device.door.left == []
    assert device.wait(91) == b""
    assert device.door.left == ["it was silent for 1.5 times its keep-alive"]
    assert device.end is None
    assert not device.wire.closed


def test_one_byte_a_second():
    device = at_hub("dev-1, when it pings, gets one byte a second")
    assert device.say(Pingreq()) == b""
    assert device.wait(0.25) == b""
    assert device.wait(0.75) == b"\xd0"
    assert device.wait(0.5) == b""
    assert device.say(GET) == b""
    assert device.wait(0.5) == b"\x00"
    heard = b"".join(device.wait(0.25) for _ in range(4 * 10))
    assert len(heard) == 10
    assert (Puback(7).encode() + TWIN_ANSWER.encode()).startswith(heard)


def test_a_slow_line_saves_no_credit_while_there_is_nothing_to_send():
    device = at_hub("dev-1, when it pings, gets 2 bytes a second, once")
    device.say(Pingreq())
    assert device.wait(1) == b"\xd0\x00"
    device.wait(60)
    device.say(Pingreq())
    assert device.wait(0.5) == b"\xd0"


def test_a_slow_line_is_healed_with_the_rule():
    device = at_hub("dev-1, when it pings, gets one byte a second")
    assert device.say(Pingreq()) == b""
    device.door.faults.clear()
    assert device.wait(0.25) == b"\xd0\x00"
    assert device.ask(Pingreq()) == [Pingresp()]


def test_a_slow_line_that_holds_much_is_not_listened_to():
    device = at_hub("dev-1, when it asks for its twin, gets one byte a second")
    device.say(*[GET] * 3000)
    assert device.wire.full
    device.door.faults.clear()
    device.wait(1)
    assert not device.wire.full


def test_what_is_held_back_comes_before_the_end():
    device = at_hub("dev-1, when it pings, gets its answer 2 s late")
    device.say(Pingreq())
    device.wire.close("the cloud stops", NOW)
    assert device.end is None
    assert not device.wire.closed
    assert device.wait(2) == b"\xd0\x00"
    assert device.end == "in order"
    assert device.wire.closed


def test_a_connection_of_some_age():
    device = at_hub("dev-1, when it has been connected for 60 s, gets an expired token")
    device.say(Pingreq())
    device.wait(59.9)
    assert device.end is None
    device.wait(0.2)
    assert device.end == "in order"
    assert device.door.left == ["its token expired, as a rule wants"]


def test_who_says_nothing_is_of_no_age():
    device = Device("every board, when it has been connected for 1 s, gets a dropped socket")
    device.wait(PATIENCE)
    assert device.door.left == [f"it sent no CONNECT in {PATIENCE} s"]


def test_a_trace_sees_what_it_always_sees():
    seen = []
    for rules in ((), ("x gets 429",)):
        watcher = Watcher()
        device = at_hub(*rules, watcher=watcher)
        device.say(GET)
        device.wire.close("enough", NOW)
        seen.append(watcher.seen)
    assert seen[0] == seen[1]
    assert seen[0][-1] == "enough"


# ---- anything


said_by_devices = st.lists(
    st.sampled_from(
        [AT_HUB, AT_DPS, Subscribe(1, ((TWIN, 1),)), Subscribe(1, ((ANSWERS, 1),)), Pingreq(),
         REGISTER, POLL, GET, REPORT, TELEMETRY, RESULT, Unsubscribe(3, (TWIN,)), Puback(1)]
    ).map(lambda packet: packet.encode())
    | st.binary(max_size=12),
    max_size=12,
)  # fmt: skip
rules_of_any_kind = st.lists(
    st.tuples(
        st.sampled_from([one.sample for one in WHEN]),
        st.sampled_from([one.sample for one in ACTIONS]),
    ),
    max_size=6,
)


@given(rules_of_any_kind, said_by_devices, st.integers(0, 99), st.booleans())
def test_no_rule_and_no_bytes_bring_a_wire_down(pairs, said, seed, greets):
    device = Device(seed=seed)
    for when, gets in pairs:
        try:
            device.door.faults.add(Rule.from_json({"when": when, "gets": gets}), NOW)
        except CommandError:
            continue
    for data in [AT_HUB.encode(), *said] if greets else said:
        device.say(data)
        device.wait(0.5)
        if hasattr(device.door, "peer") and hasattr(device.door.peer, "push"):
            for message in (CALL, COMMAND, DESIRED):
                device.push(message)
    device.wire.close("the cloud stops", NOW)
    device.wait(100)
    assert device.wire.session.closed
