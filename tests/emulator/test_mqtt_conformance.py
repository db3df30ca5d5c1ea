"""Everything that is not MQTT 3.1.1, or that Azure does not have, closes one connection only.

Each test breaks a rule on a real TLS connection. That connection must end, and a neighbour, which
has been connected since the first test, must still get its message acknowledged.
"""

import random
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host_tools.emulator.mqtt.connect import Connack, Will
from host_tools.emulator.mqtt.fields import binary, text, uint16
from host_tools.emulator.mqtt.framing import frame
from host_tools.emulator.mqtt.packets import (
    Disconnect,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Unsuback,
)
from host_tools.emulator.mqtt.subscribe import Suback, Subscribe, Unsubscribe
from tests.emulator.mqtt_fixtures import NAME, Bench

EVENTS = f"devices/{NAME}/messages/events/"
TWIN = "$iothub/twin/res/#"
HEAD = text("MQTT") + b"\x04"


def connect(flags: int, rest: bytes, head: bytes = HEAD) -> bytes:
    return frame(0x10, head + bytes((flags,)) + uint16(60) + rest)


BEFORE_CONNECT = {
    "PUBLISH first": Publish(EVENTS, b"{}", 1, 1).encode(),
    "SUBSCRIBE first": Subscribe(1, ((TWIN, 1),)).encode(),
    "PINGREQ first": Pingreq().encode(),
    "DISCONNECT first": Disconnect().encode(),
    "PUBACK first": Puback(1).encode(),
    "CONNACK first": Connack(0).encode(),
    "reserved packet type 0": b"\x00\x00",
    "reserved packet type 15": b"\xf0\x00",
    "CONNECT with flags in its first byte": b"\x11\x00",
    "remaining length of five bytes": b"\x10\x80\x80\x80\x80\x01",
    "remaining length of 256 MB": b"\x10\xff\xff\xff\x7f",
    "CONNECT of more than 64 KB": frame(0x10, HEAD + b"\x02\x00\x3c" + bytes(70_000)),
    "empty CONNECT": b"\x10\x00",
    "another protocol": connect(2, text("d"), text("HTTP") + b"\x04"),
    "reserved flag of CONNECT": connect(0x03, text("d")),
    "will flags without a will": connect(0x22, text("d")),
    "will of QoS 3": connect(0x1E, text("d") + text("t") + text("")),
    "will to a topic with a wild card": connect(0x06, text("d") + text("t/#") + text("")),
    "will to no topic": connect(0x06, text("d") + text("") + text("")),
    "password without a user name": connect(0x42, text("d") + text("p")),
    "CONNECT without the password it announces": connect(0xC2, text("d") + text("u")),
    "CONNECT with bytes behind its end": connect(2, text("d") + b"x"),
    "CONNECT that ends in a text": connect(2, b"\x00\x09d"),
    "client ID that is not UTF-8": connect(2, binary(b"\xc3\x28")),
    "client ID with an encoded surrogate": connect(2, binary(b"\xed\xa0\x80")),
    "client ID with U+0000": connect(2, text("d\0")),
    "user name that is not UTF-8": connect(0x82, text("d") + binary(b"\xff")),
    "an HTTP request": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "TLS in TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("data", BEFORE_CONNECT.values(), ids=BEFORE_CONNECT)
def test_a_stranger_who_breaks_the_rules_hears_nothing_but_the_end(bench, other, data):
    with bench.line() as line:
        line.send(data)
        assert line.rest() == []
    other.works()


AFTER_CONNECT = {
    "PUBLISH of QoS 3": frame(0x36, text(EVENTS) + b"\x00\x01{}"),
    "PUBLISH of QoS 0 with DUP": frame(0x38, text(EVENTS) + b"{}"),
    "PUBLISH of QoS 2": Publish(EVENTS, b"{}", 2, 1).encode(),
    "PUBLISH with packet ID 0": frame(0x32, text(EVENTS) + b"\x00\x00{}"),
    "PUBLISH without its packet ID": frame(0x32, text(EVENTS)),
    "PUBLISH that ends in its topic": frame(0x30, b"\x00\x40devices/"),
    "empty PUBLISH": frame(0x30, b""),
    "PUBLISH to no topic": frame(0x30, text("")),
    "PUBLISH to a topic with #": Publish(f"{EVENTS}#", b"").encode(),
    "PUBLISH to a topic with +": Publish("devices/+/messages/events/", b"").encode(),
    "PUBLISH to a topic with U+0000": Publish(f"{EVENTS}a\0", b"").encode(),
    "PUBLISH to a topic that is not UTF-8": frame(0x30, binary(b"\xc0\xaf")),
    "PUBLISH to a topic with an encoded surrogate": frame(0x30, binary(b"\xed\xbf\xbf")),
    "PUBLISH to a topic that nobody has": Publish("a/b", b"", 1, 1).encode(),
    "PUBLISH for another device": Publish("devices/neighbour/messages/events/", b"").encode(),
    "PUBLISH to a topic of DPS": Publish(
        "$dps/registrations/PUT/iotdps-register/?$rid=1", b"{}"
    ).encode(),
    "PUBLISH to a method": Publish("$iothub/methods/POST/reboot/?$rid=1", b"{}").encode(),
    "message of more than 256 KB": Publish(EVENTS, bytes(256 * 1024 + 1), 1, 1).encode(),
    "properties of more than 256 KB": Publish(
        EVENTS + "a" * 60_000, bytes(256 * 1024 - 59_000), 1, 1
    ).encode(),
    "packet of more than 1 MB": b"\x30\x80\x80\x80\x01",
    "remaining length of five bytes": b"\x30\xff\xff\xff\xff\x01",
    "SUBSCRIBE without its flags": frame(0x80, b"\x00\x01" + text(TWIN) + b"\x01"),
    "SUBSCRIBE with packet ID 0": frame(0x82, b"\x00\x00" + text(TWIN) + b"\x01"),
    "SUBSCRIBE to nothing": frame(0x82, b"\x00\x01"),
    "empty SUBSCRIBE": frame(0x82, b""),
    "SUBSCRIBE with QoS 3": frame(0x82, b"\x00\x01" + text(TWIN) + b"\x03"),
    "SUBSCRIBE with reserved bits in its QoS": frame(0x82, b"\x00\x01" + text(TWIN) + b"\x81"),
    "SUBSCRIBE without a QoS": frame(0x82, b"\x00\x01" + text(TWIN)),
    "SUBSCRIBE to an empty filter": Subscribe(1, (("", 1),)).encode(),
    "SUBSCRIBE to # in the middle": Subscribe(1, (("a/#/b", 1),)).encode(),
    "SUBSCRIBE to a# ": Subscribe(1, (("a#", 1),)).encode(),
    "SUBSCRIBE to a+": Subscribe(1, (("a+/b", 1),)).encode(),
    "SUBSCRIBE to a filter with U+0000": Subscribe(1, (("a\0", 1),)).encode(),
    "SUBSCRIBE to a filter that is not UTF-8": frame(0x82, b"\x00\x01\x00\x01\xff\x00"),
    "SUBSCRIBE to a filter that nobody has": Subscribe(1, ((TWIN, 1), ("#", 0))).encode(),
    "SUBSCRIBE to another device's messages": Subscribe(
        1, (("devices/neighbour/messages/devicebound/#", 1),)
    ).encode(),
    "UNSUBSCRIBE without its flags": frame(0xA0, b"\x00\x01" + text(TWIN)),
    "UNSUBSCRIBE with packet ID 0": frame(0xA2, b"\x00\x00" + text(TWIN)),
    "UNSUBSCRIBE from nothing": frame(0xA2, b"\x00\x01"),
    "UNSUBSCRIBE from a malformed filter": Unsubscribe(1, ("a/#/b",)).encode(),
    "PUBACK with packet ID 0": frame(0x40, b"\x00\x00"),
    "PUBACK of one byte": frame(0x40, b"\x01"),
    "PUBACK of three bytes": frame(0x40, b"\x00\x01\x00"),
    "PUBACK with flags": frame(0x41, b"\x00\x01"),
    "PUBREC": frame(0x50, b"\x00\x01"),
    "PUBREL": frame(0x62, b"\x00\x01"),
    "PUBCOMP": frame(0x70, b"\x00\x01"),
    "CONNACK": Connack(0).encode(),
    "SUBACK": Suback(1, (0,)).encode(),
    "UNSUBACK": Unsuback(1).encode(),
    "PINGRESP": Pingresp().encode(),
    "PINGREQ with a body": frame(0xC0, b"\x00"),
    "DISCONNECT with a body": frame(0xE0, b"\x00"),
    "reserved packet type 0": b"\x00\x00",
    "reserved packet type 15": b"\xf0\x00",
}


@pytest.mark.parametrize("data", AFTER_CONNECT.values(), ids=AFTER_CONNECT)
def test_a_device_that_breaks_the_rules_loses_its_connection(bench, other, data):
    with bench.line(bench.at_hub(NAME)) as line:
        line.send(data, Pingreq())
        assert not any(isinstance(packet, Pingresp | Puback) for packet in line.rest())
    other.works()


def test_a_second_connect_ends_the_first_and_is_not_taken_for_one(bench, other):
    with bench.line(bench.at_hub(NAME)) as line:
        line.send(bench.at_hub(NAME))
        assert line.rest() == []
    other.works()


REFUSED = {
    "empty client ID": ({"client_id": ""}, 2),
    "client ID of another": ({"client_id": "dev-2"}, 2),
    "empty client ID for a stored session": ({"client_id": "", "clean": False}, 2),
    "no user name": ({"username": None, "password": None}, 4),
    "user name of nobody": ({"username": "admin"}, 4),
    "no password": ({"password": None}, 5),
    "empty password": ({"password": b""}, 5),
    "password that is no token": ({"password": b"secret"}, 5),
    "token of another device": ({"password": "dev-2"}, 5),
    "will to another topic": ({"will": Will("a", b"")}, 5),
    "hub that is not here": (
        {"username": f"other.azure-devices.net/{NAME}/?api-version=2021-04-12"},
        5,
    ),
}


@pytest.mark.parametrize(("changes", "code"), REFUSED.values(), ids=REFUSED)
def test_who_is_not_let_in_hears_why_by_number_and_the_end(bench, other, changes, code):
    if changes.get("password") == "dev-2":
        changes = {"password": bench.at_hub("dev-2").password}
    with bench.line() as line:
        line.send(bench.at_hub(NAME, **changes))
        assert line.rest() == [Connack(code)]
    other.works()


@pytest.mark.parametrize("head", [text("MQIsdp") + b"\x03", text("MQTT") + b"\x05"])
def test_another_version_of_mqtt_is_refused_by_number(bench, other, head):
    with bench.line() as line:
        line.send(connect(2, text(NAME), head))
        assert line.rest() == [Connack(1)]
    other.works()


def test_nothing_behind_a_refused_connect_is_heard(bench, other):
    with bench.line() as line:
        line.send(bench.at_hub(NAME, password=b"x"), Publish(EVENTS, b"{}", 1, 1), Pingreq())
        assert line.rest() == [Connack(5)]
    other.works()


def test_packets_may_come_byte_by_byte_or_many_at_once(bench, other):
    packets = [Publish(EVENTS, b"{}", 1, number) for number in range(1, 101)]
    with bench.line() as line:
        for byte in bench.at_hub(NAME).encode() + packets[0].encode():
            line.send(bytes((byte,)))
        assert [line.packet(), line.packet()] == [Connack(0), Puback(1)]
        line.send(*packets[1:], Disconnect())
        assert line.rest() == [Puback(number) for number in range(2, 101)]
    other.works()


def test_every_answer_is_a_tls_record_of_its_own(bench, other):
    # aiomqtt reads one packet whenever its socket has something: a second one in the same record
    # would wait inside OpenSSL until a third one comes
    asked = [Publish(f"$iothub/twin/GET/?$rid={number}", b"", 1, number) for number in (1, 2)]
    with bench.line(bench.at_hub(NAME)) as line:
        line.send(Subscribe(9, ((TWIN, 1),)), *asked, Pingreq())
        records = [line.tls.recv(65536)[0] & 0xF0 for _ in range(6)]  # one each
    assert records == [0x90, 0x40, 0x30, 0x40, 0x30, 0xD0]
    other.works()


def test_an_unsubscribe_is_answered_whatever_it_is_from(bench, other):
    with bench.line(bench.at_hub(NAME)) as line:
        line.send(Unsubscribe(9, (TWIN, "never/subscribed/#")))
        assert line.packet() == Unsuback(9)
    other.works()


def test_a_message_of_exactly_256_kb_is_taken(bench, other):
    bag = "a=b"
    # of a letter: 256 KB of zeros are 1.5 MB of JSON, behind which the cloud drops what it has to
    # say while nobody reads, and the next test waits for it in vain
    body = b"x" * (256 * 1024 - len(bag))
    with bench.line(bench.at_hub(NAME)) as line:
        line.send(Publish(EVENTS + bag, body, 1, 7))
        assert line.packet() == Puback(7)
    other.works()


def test_half_a_packet_and_then_the_end_is_an_end_like_any_other(bench, other):
    bench.forget_events()
    with bench.line(bench.at_hub(NAME)) as line:
        line.send(Publish(EVENTS, b"{}", 1, 1).encode()[:-1])
    bench.event("disconnected", device_id=NAME, why="it closed the connection")
    other.works()


def test_a_silent_device_is_dropped_after_one_and_a_half_times_its_keep_alive(bench, other):
    bench.forget_events()
    with bench.line(bench.at_hub(NAME, keep_alive=1)) as line:
        assert line.rest() == []
    bench.event("disconnected", device_id=NAME, why="it was silent for 1.5 times its keep-alive")
    other.works()


def valid(bench: Bench, name: str = NAME) -> list[bytes]:
    packets = [
        bench.at_hub(name),
        Subscribe(1, ((TWIN, 1), ("$iothub/methods/POST/#", 0))),
        Publish("$iothub/twin/GET/?$rid=1", b" ", 1, 2),
        Publish("$iothub/twin/PATCH/properties/reported/?$rid=2", b'{"a":{"b":[1,null]}}', 1, 3),
        Publish(f"{EVENTS}%24.ct=application%2Fjson&a=%F0%9F%98%80", b'{"t":1}', 1, 4),
        Pingreq(),
        Puback(1),
        Unsubscribe(5, (TWIN,)),
        Disconnect(),
    ]
    return [packet.encode() for packet in packets]


places = st.floats(0, 1, exclude_max=True)
mutations = st.lists(
    st.tuples(places, st.integers(0, 255) | st.binary(max_size=6)), min_size=1, max_size=4
)


# what is drawn must not depend on the token, which is new each second
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.integers(0, 8), min_size=1, max_size=8), mutations)
def test_no_mutation_of_a_conversation_disturbs_the_neighbour(bench, other, order, mutations):
    said = valid(bench)
    stream = bytearray(b"".join(said[index] for index in (0, *order)))
    for place, change in mutations:
        at = int(place * len(stream))
        if isinstance(change, int):
            stream[at] = change
        else:
            stream[at:at] = change
    with bench.line() as line, suppress(OSError):  # the cloud may hang up before it heard all
        line.send(bytes(stream))
    other.works()


def test_two_thousand_that_break_the_rules_leave_no_memory_behind(bench, other):
    chance = random.Random(7)
    stranger, device = list(BEFORE_CONNECT.values()), list(AFTER_CONNECT.values())

    def batch(count: int) -> int:
        before = bench.memory()
        for _ in range(count):
            bench.forget_events()
            with bench.line() as line:
                if chance.random() < 0.5:
                    line.send(chance.choice(stranger))
                else:
                    line.send(bench.at_hub(NAME), chance.choice(device))
                line.rest()
        return bench.memory() - before

    first = batch(300)
    assert batch(2000) <= max(first, 0) + 2000 * 1024, "less than 1 KB a connection"
    other.works()
