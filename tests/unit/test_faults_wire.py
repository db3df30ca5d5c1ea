"""What goes wrong with one MQTT connection, on a fake clock, each fault to the byte."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.emulator.faults import bending
from host_tools.emulator.faults.action import ACTIONS
from host_tools.emulator.faults.faults import Faults
from host_tools.emulator.faults.rule import Rule
from host_tools.emulator.faults.when import WHEN
from host_tools.emulator.faults.wire import Wire
from host_tools.emulator.mqtt.connect import Connack, Connect
from host_tools.emulator.mqtt.framing import Framer, ProtocolError
from host_tools.emulator.mqtt.packets import Pingreq, Pingresp, Puback, Publish, Unsuback, parse
from host_tools.emulator.mqtt.peer import Hangup, Message, Peer
from host_tools.emulator.mqtt.session import PATIENCE
from host_tools.emulator.mqtt.subscribe import Suback, Subscribe, Unsubscribe
from host_tools.errors import CommandError

NOW, TICK = 1_700_000_000.0, 500.0
AT_DPS = Connect("dev-1", "0ne00002193/registrations/dev-1/api-version=2019-03-31")
AT_HUB = Connect("dev-1", "hub.example/dev-1/?api-version=2021-04-12")
ANSWERS = "$dps/registrations/res/#"
TWIN = "$iothub/twin/res/#"
REGISTER = Publish("$dps/registrations/PUT/iotdps-register/?$rid=7", b"{}", 1, 5)
POLL = Publish(
    "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=8&operationId=4.ab.cd", b" ", 1, 6
)
GET = Publish("$iothub/twin/GET/?$rid=9", b"", 1, 7)
REPORT = Publish("$iothub/twin/PATCH/properties/reported/?$rid=10", b"{}", 1, 8)
TELEMETRY = Publish("devices/dev-1/messages/events/", b"21", 1, 9)
RESULT = Publish("$iothub/methods/res/200/?$rid=1a", b"{}", 1, 10)
TWIN_ANSWER = Publish("$iothub/twin/res/200/?$rid=9", b'{"a":1}', 1, 1)
DPS_ANSWER = Publish("$dps/registrations/res/202/?$rid=7&retry-after=1", b'{"a":1}', 1, 1)
CALL = Message("$iothub/methods/POST/reboot/?$rid=1a", b"{}", 0)
COMMAND = Message("devices/dev-1/messages/devicebound/%24.mid=1", b"x", 1, "token")
DESIRED = Message("$iothub/twin/PATCH/properties/desired/?$version=2", b'{"$version":2}', 0)


class Service(Peer):
    """Both services, as far as the wire is concerned: it answers and keeps what it was told."""

    api_version = "2021-04-12"
    expiry = float("inf")
    largest = 300_000

    def __init__(self, connect, first):
        self.service = "DPS" if connect is AT_DPS else "hub.example"
        self.device_id = connect.client_id
        self.done = []
        self.arrived = []
        self.granted = None
        self.first = first
        self.ended = None

    def subscribe(self, topic_filter, qos):
        self.granted = min(qos, 1)
        return self.granted

    def unsubscribe(self, topic_filter):
        self.granted = None

    def publish(self, message, now):
        self.done.append(message)
        rid = message.topic.partition("$rid=")[2].partition("&")[0]
        if message.topic.startswith("$dps"):
            topic = f"$dps/registrations/res/202/?$rid={rid}&retry-after=1"
            return [Message(topic, b'{"a":1}', self.granted)] if self.granted is not None else []
        if message.topic.startswith("$iothub/twin"):
            return [Message(f"$iothub/twin/res/200/?$rid={rid}", b'{"a":1}', self.granted or 0)]
        return []

    def connected(self, now):
        return self.first

    def acknowledged(self, token, now):
        self.arrived.append(token)

    def left(self, now, orderly):
        self.ended = orderly


class Door:
    """Lets everybody in."""

    def __init__(self, *rules, first=(), seed=0):
        self.events = []
        self.faults = Faults(self.events.append, seed)
        for rule in rules:
            self.faults.add(Rule.from_json(rule), NOW)
        self.first = first
        self.left = []

    def admit(self, connect, session, now):
        self.peer = Service(connect, self.first)
        return self.peer

    def leave(self, session, peer, why, now):
        assert peer is None or peer is self.peer
        self.left.append(why)


class Watcher:
    """A trace."""

    def __init__(self):
        self.seen = []

    def received(self, first, body, now):
        self.seen.append((">", first))

    def sent(self, data, now):
        self.seen.append(("<", data[0]))

    def ended(self, why, now):
        self.seen.append(why)


class Device:
    """A device's end of a wire."""

    def __init__(self, *rules, connect=None, watcher=None, **door):
        self.door = Door(*rules, **door)
        self.sent = bytearray()
        self.end = None
        self.tick = TICK
        self.wire = Wire(
            self.door,
            self._sent,
            lambda: self._ended("in order"),
            lambda: self._ended("dropped"),
            TICK,
            "127.0.0.1:5",
            watcher,
        )
        if connect:
            assert self.ask(connect) == [Connack(0)]

    def _sent(self, data):
        assert data
        assert not self.end
        self.sent += data

    def _ended(self, how):
        assert not self.end
        self.end = how

    def say(self, *packets):
        """Send packets in one piece; return the bytes that come back."""
        data = b"".join(p if isinstance(p, bytes) else p.encode() for p in packets)
        self.wire.receive(data, NOW + self.tick - TICK, self.tick)
        return self.heard()

    def ask(self, *packets):
        return [parse(*packet) for packet in Framer().feed(self.say(*packets))]

    def heard(self):
        data = bytes(self.sent)
        self.sent.clear()
        return data

    def wait(self, seconds):
        """Let time go by; return the bytes that come."""
        self.tick += seconds
        self.wire.expire(NOW + self.tick - TICK, self.tick)
        return self.heard()

    def push(self, message):
        self.door.peer.push(message)
        return self.heard()

    @property
    def done(self):
        return [message.topic for message in self.door.peer.done]


def at_dps(*rules, qos=1, **more):
    device = Device(*rules, connect=AT_DPS, **more)
    assert device.ask(Subscribe(1, ((ANSWERS, qos),))) == [Suback(1, (qos,))]
    return device


def at_hub(*rules, qos=1, **more):
    device = Device(*rules, connect=AT_HUB, **more)
    assert device.ask(Subscribe(1, ((TWIN, qos),))) == [Suback(1, (qos,))]
    return device


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


# ---- CONNECT


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

PLACES = [
    ("it connects", AT_HUB, Connack(0)),
    ("it subscribes", Subscribe(3, ((TWIN, 1),)), Suback(3, (1,))),
    ("it unsubscribes", Unsubscribe(3, (TWIN,)), Unsuback(3)),
    ("it pings", Pingreq(), Pingresp()),
    ("it sends telemetry", TELEMETRY, Puback(9)),
    ("it asks for its twin", GET, TWIN_ANSWER._replace(qos=0, packet_id=0)),
]


def provoked(when, packet, gets, **more):
    device = Device(f"dev-1, when {when}, gets {gets}, once", **more)
    if packet is not AT_HUB:
        device.say(AT_HUB)
    data = device.say(packet)
    # PUBACK comes first, and is as it should be
    return device, data.removeprefix(Puback(7).encode()) if packet is GET else data


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
