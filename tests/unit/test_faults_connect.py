"""What goes wrong with CONNECT, on a fake clock, each fault to the byte."""

import pytest

from host_tools.emulator.mqtt.connect import Connack
from host_tools.emulator.mqtt.framing import Framer
from host_tools.emulator.mqtt.packets import Pingreq, Pingresp
from host_tools.emulator.mqtt.peer import Hangup
from tests.unit.faulty_wire import AT_DPS, AT_HUB, COMMAND, Device


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5])
def test_connack(code):
    device = Device(f"dev-1, when it connects, gets CONNACK {code}")
    assert device.ask(AT_HUB) == [Connack(code)]
    assert device.end == "in order"
    assert not hasattr(device.door, "peer"), "whoever is refused disturbs nobody"


@pytest.mark.parametrize(
    ("error", "code"),
    [("401", 5), ("403002", 5), ("404", 5), ("400", 4), ("412", 4), ("429", 3), ("503", 3)],
)
def test_an_error_to_connect_is_a_return_code(error, code):
    device = Device(f"dev-1, when it connects, gets {error}")
    assert device.ask(AT_DPS) == [Connack(code)]


def test_an_expired_token_at_connect_is_refused():
    assert Device("dev-1, when it connects, gets an expired token").ask(AT_HUB) == [Connack(5)]


def test_session_present():
    assert Device("dev-1 gets session present").ask(AT_DPS) == [Connack(0, True)]


def test_connect_to_one_service_is_not_connect_to_the_other():
    rule = "every board, when it connects to DPS, gets CONNACK 3"
    assert Device(rule).ask(AT_HUB) == [Connack(0)]
    assert Device(rule).ask(AT_DPS) == [Connack(3)]


def test_a_late_connack_keeps_all_behind_it_waiting():
    device = Device("dev-1, when it connects, gets its answer 10 s late", first=[COMMAND])
    assert device.say(AT_HUB, Pingreq()) == b""
    assert device.wait(9.9) == b""
    kinds = [packet[0] for packet in Framer().feed(device.wait(0.1))]
    assert kinds == [0x20, 0x32, 0xD0]
    assert device.ask(Pingreq()) == [Pingresp()]


def test_no_connack_at_all():
    device = Device("dev-1, when it connects, gets no answer")
    assert device.say(AT_HUB) == b""
    assert device.ask(Pingreq()) == [Pingresp()]


def test_a_refusal_of_the_services_own_may_be_late_too():
    device = Device("dev-1, when it connects, gets its answer 1 s late")
    device.door.admit = lambda connect, session, now: (_ for _ in ()).throw(Hangup("no"))
    assert device.say(AT_HUB) == b""
    assert device.end == "in order"
