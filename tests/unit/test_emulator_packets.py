"""MQTT packets to bytes and back: the protocol's own vectors, then everything else."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.emulator.mqtt.connect import Connack, Connect, Will
from host_tools.emulator.mqtt.framing import LARGEST, Framer, ProtocolError, frame
from host_tools.emulator.mqtt.packets import (
    Disconnect,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Unsuback,
    parse,
)
from host_tools.emulator.mqtt.subscribe import Suback, Subscribe, Unsubscribe
from keystead import dps

VECTORS = Path(__file__).parents[1] / "vectors"
MQTT = json.loads((VECTORS / "mqtt.json").read_text())
TOKENS = {one["name"]: one for one in json.loads((VECTORS / "sas.json").read_text())["tokens"]}


def read(data, limit=LARGEST):
    return [parse(*packet) for packet in Framer(limit).feed(data)]


def test_connect_is_the_vector():
    vector = MQTT["connect"]
    connect = Connect(
        vector["client_id"],
        vector["username"],
        TOKENS["V1"]["token"].encode(),
        vector["keepalive"],
        clean=True,
    )
    data = connect.encode()
    assert len(data) == vector["bytes"]
    assert data.hex().startswith(vector["begins"])
    assert hashlib.sha256(data).hexdigest() == vector["sha256"]
    assert read(data) == [connect]


def test_subscribe_and_suback_are_the_vectors():
    vector = MQTT["subscribe"]
    subscribe = Subscribe(vector["packet_id"], ((dps.RESPONSES, 1),))
    assert subscribe.encode().hex() == vector["packet"]
    assert read(bytes.fromhex(vector["packet"])) == [subscribe]
    assert Suback(vector["packet_id"], (1,)).encode().hex() == vector["suback"]
    assert read(bytes.fromhex(vector["suback"])) == [Suback(1, (1,))]


def test_the_register_packet_is_the_vector():
    vector = MQTT["register"]
    topic, body = dps.Registration(vector["registration_id"]).request()
    publish = Publish(topic, body, 1, vector["packet_id"])
    assert publish.encode().hex() == vector["packet"]
    assert read(bytes.fromhex(vector["packet"])) == [publish]


def test_connack_is_the_services():
    assert Connack(0).encode().hex() == "20020000"
    assert Connack(0, session_present=True).encode().hex() == "20020100"


def test_a_password_does_not_show():
    connect = Connect("dev-1", "user", b"SharedAccessSignature sig=secret", 60)
    assert "secret" not in repr(connect)


words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
topics = st.text(
    st.characters(exclude_characters="\0+#", exclude_categories=["Cs"]), min_size=1, max_size=40
)
filters = st.lists(st.sampled_from(["a", "$dps", "+", "ü"]), min_size=1, max_size=5).flatmap(
    lambda levels: st.sampled_from(["/".join(levels), "/".join([*levels, "#"])])
)
ids = st.integers(1, 65535)
bits = st.booleans()
wills = st.none() | st.builds(Will, topics, st.binary(max_size=20), st.integers(0, 2), bits)
connects = st.builds(
    Connect, words, words, st.none() | st.binary(max_size=300), st.integers(0, 65535), bits, wills
)
publishes = st.builds(
    Publish, topics, st.binary(max_size=300), st.integers(1, 2), ids, bits, bits
) | st.builds(
    Publish, topics, st.binary(max_size=300), st.just(0), st.just(0), bits, st.just(False)
)
packets = st.one_of(
    connects,
    publishes,
    st.builds(Connack, st.integers(1, 5)),
    st.builds(Puback, ids),
    st.builds(Unsuback, ids),
    st.builds(
        Subscribe,
        ids,
        st.lists(st.tuples(filters, st.integers(0, 2)), min_size=1, max_size=4).map(tuple),
    ),
    st.builds(
        Suback, ids, st.lists(st.sampled_from([0, 1, 2, 0x80]), min_size=1, max_size=4).map(tuple)
    ),
    st.builds(Unsubscribe, ids, st.lists(filters, min_size=1, max_size=4).map(tuple)),
    st.sampled_from([Pingreq(), Pingresp(), Disconnect()]),
)


@given(packets)
def test_what_is_written_is_read_back(packet):
    assert read(packet.encode()) == [packet]


@given(st.lists(packets, max_size=6), st.lists(st.integers(1, 50), min_size=1))
def test_it_does_not_matter_how_the_bytes_are_cut(sent, sizes):
    data = b"".join(packet.encode() for packet in sent)
    framer, received, at, turn = Framer(), [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        received += [parse(*packet) for packet in framer.feed(data[at : at + size])]
        at, turn = at + size, turn + 1
    assert received == sent


@given(st.binary(max_size=200))
def test_any_bytes_are_packets_or_a_protocol_error(data):
    try:
        read(data, 100)
    except ProtocolError as error:
        assert str(error)


@given(packets, st.integers(0, 400), st.integers(0, 255))
def test_a_damaged_packet_is_a_packet_or_a_protocol_error(packet, place, value):
    data = bytearray(packet.encode())
    data[place % len(data)] = value
    try:
        read(bytes(data), 1000)
    except ProtocolError as error:
        assert str(error)


def test_packets_before_a_bad_one_are_read():
    received = []
    with pytest.raises(ProtocolError):
        for packet in Framer().feed(Pingreq().encode() + b"\x00\x00"):
            received.append(parse(*packet))
    assert received == [Pingreq()]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("0000", "no packet begins"),
        ("f000", "no packet begins"),
        ("1100", "no packet begins"),  # CONNECT with a flag
        ("8000", "no packet begins"),  # SUBSCRIBE without its flag
        ("5002", "no packet begins"),  # PUBREC: QoS 2
        ("36050001740001", "no packet begins"),  # QoS 3
        ("3803000174", "no packet begins"),  # DUP with QoS 0
        ("30ffffffff01", "more than four bytes"),
        ("3000", "ends too early"),
        ("300100", "ends too early"),
        ("3003000574", "ends too early"),
        ("3203000174", "ends too early"),
        ("3205000174" + "0000", "packet ID is 0"),
        ("30020000", "can not be one"),
        ("300300012b", "can not be one"),
        ("3003000123", "can not be one"),
        ("3003000100", "can not be one"),
        ("30030001ff", "not UTF-8"),
        ("40020000", "packet ID is 0"),
        ("4003000100", "bytes too many"),
        ("400100", "ends too early"),
        ("82020001", "ends too early"),
        ("8206000100016103", "no QoS"),
        ("82050001000001", "malformed"),  # empty filter
        ("820800010003612b6201", "malformed"),  # a+b
        ("82080001000323" + "2f6101", "malformed"),  # #/a
        ("a2020001", "ends too early"),
        ("c00100", "bytes too many"),
        ("20020200", "malformed"),
        ("20020101", "malformed"),
        ("20020006", "malformed"),
    ],
)
def test_what_mqtt_forbids_is_refused(data, why):
    with pytest.raises(ProtocolError, match=why):
        read(bytes.fromhex(data))


@pytest.mark.parametrize(
    ("flags", "rest", "why"),
    [
        (0x01, "", "reserved flag"),
        (0x08, "", "will flags"),
        (0x20, "", "will flags"),
        (0x1C, "000174" + "0000", "will flags"),
        (0x40, "0000", "no user name"),
        (0x02, "00", "too many"),
        (0x80, "", "too early"),
        (0x80, "000100", "U\\+0000"),
    ],
)
def test_a_connect_that_makes_no_sense_is_refused(flags, rest, why):
    body = bytes.fromhex("00044d51545404") + bytes((flags, 0, 60)) + b"\x00\x00"
    with pytest.raises(ProtocolError, match=why):
        read(frame(0x10, body + bytes.fromhex(rest)))


def test_another_protocol_than_mqtt_is_refused():
    with pytest.raises(ProtocolError, match="another protocol"):
        read(frame(0x10, b"\x00\x06MQTToo\x03\x02\x00\x3c\x00\x00"))


def test_another_version_of_mqtt_is_read_so_that_it_can_be_answered():
    assert read(frame(0x10, b"\x00\x04MQTT\x05whatever")) == [Connect("", level=5)]
    assert read(frame(0x10, b"\x00\x06MQIsdp\x03whatever")) == [Connect("", level=3)]


def test_an_oversized_packet_is_refused_by_its_header():
    with pytest.raises(ProtocolError, match="at most 1000"):
        read(b"\x30\xe9\x07", 1000)
    assert read(b"\x30\xe8\x07", 1000) == []


def test_a_large_packet_in_small_pieces_is_put_together():
    packet = Publish("t", bytes(100_000), 1, 7)
    data, framer, received = packet.encode(), Framer(), []
    for at in range(0, len(data), 7):
        received += framer.feed(data[at : at + 7])
    assert [parse(*one) for one in received] == [packet]
