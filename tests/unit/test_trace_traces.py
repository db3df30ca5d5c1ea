"""Time lines: kept within limits, found again, followed, and fed by real sessions."""

import pytest

from host_tools.emulator.access import Reason
from host_tools.emulator.events import Connected, Failed, Refused
from host_tools.emulator.faults.faults import Struck
from host_tools.emulator.mqtt.connect import Connect, Will
from host_tools.emulator.mqtt.framing import Framer
from host_tools.emulator.mqtt.packets import Publish
from host_tools.emulator.trace.trace import MOST, ROOM, Room, Spoken
from host_tools.emulator.trace.traces import ENDED, Traces
from keystead import dps

NOW = 1_700_000_000.0
HUB = "test-docs-hub.azure-devices.net"


def greet(trace, name="dev-1", user=f"{HUB}/dev-1/?api-version=2021-04-12"):
    ((first, body),) = Framer().feed(Connect(name, user, b"x").encode())
    trace.received(first, body, NOW + 1)


@pytest.fixture
def traces():
    return Traces(on=True)


def words(trace):
    return [line.summary.words for line in trace.lines()]


def test_nothing_is_traced_while_tracing_is_off():
    assert Traces().open("127.0.0.1:5", NOW) is None


def test_events_are_heard_only_while_tracing_is_on():
    listeners = []

    def subscribe(listener):
        listeners.append(listener)
        return lambda: listeners.remove(listener)

    traces = Traces(subscribe=subscribe)
    assert (traces.on, listeners) == (False, [])
    for on in (True, True, False, False, True):
        traces.on = on
        assert listeners == [traces.event] * on


def test_a_time_line_tells_when_things_happened(traces):
    trace = traces.open("127.0.0.1:5", NOW)
    greet(trace)
    trace.note("TLSv1.3, TLS_AES_256_GCM_SHA384", NOW + 1.25)
    assert [line.text()[:26] for line in trace.lines()] == [
        "    0.000 +0.000    -- acc",
        "    1.000 +1.000    -> CON",
        "    1.250 +0.250    -- TLS",
    ]
    document = trace.lines()[-1].document()
    assert document | {"words": ""} == {
        "event": "trace",
        "time": "2023-11-14T22:13:21.250+00:00",
        "connection": 1,
        "device_id": "dev-1",
        "service": HUB,
        "number": 3,
        "at": 1.25,
        "gap": 0.25,
        "way": "note",
        "packet": "",
        "bytes": 0,
        "words": "",
    }


def test_several_packets_sent_at_once_are_several_lines(traces):
    trace = traces.open("127.0.0.1:5", NOW)
    trace.sent(b"\x40\x02\x00\x01\xd0\x00\x20", NOW)
    trace.sent(b"\x02\x00\x00", NOW)
    assert words(trace)[1:] == ["id 1", "", "0 accepted"]
    trace.sent(b"\x00", NOW)
    assert words(trace)[-1] == "what is sent is not MQTT: no packet begins with byte 0x00"


def test_a_device_that_talks_a_lot_keeps_its_last_words(traces):
    trace = traces.open("127.0.0.1:5", NOW)
    for number in range(2 * MOST):
        trace.received(0x40, number.to_bytes(2, "big"), NOW + number)
    lines = trace.lines()
    assert (len(lines), trace.dropped) == (MOST, MOST + 1)
    assert lines[-1].summary.words == f"id {2 * MOST - 1}"
    assert lines[0].entry.gap == 1
    assert [line.entry.number for line in trace.lines(after=2 * MOST)] == [2 * MOST + 1]


def test_a_device_that_sends_large_messages_has_no_more_room_than_others(traces):
    room = traces._room
    trace = traces.open("127.0.0.1:5", NOW)
    ((first, body),) = Framer().feed(Publish("t", b"x" * 100_000).encode())
    for number in range(MOST):
        trace.received(first, body, NOW + number)
    assert room.used <= ROOM
    assert trace.lines()[-1].document()["bytes"] == 100_007


def test_all_together_have_a_limit_and_the_dead_give_way():
    room = Room(100_000)
    traces = Traces(True, room)
    for number in range(100):
        trace = traces.open(f"127.0.0.1:{number}", NOW)
        for _ in range(20):
            trace.received(0xC0, b"", NOW)
        if number % 2:
            trace.ended("it said goodbye", NOW)
    assert room.used <= room.size + 50 * 500
    assert 0 < len(traces.all()) < 100
    assert all(one.lines() for one in traces.all())


def test_the_last_that_ended_are_kept(traces):
    live = traces.open("127.0.0.1:1", NOW)
    for number in range(ENDED + 10):
        trace = traces.open(f"127.0.0.1:{number}", NOW)
        trace.ended("TLS: unknown ca", NOW)
        trace.ended("once is enough", NOW)
    assert len(traces.all()) == ENDED + 1
    assert traces.get(live.number) is live
    assert traces.get(trace.number) is trace
    assert traces.get(2) is None
    assert words(trace)[-1] == "ended: TLS: unknown ca"
    used = traces._room.used
    assert used == sum(line.entry.cost for one in traces.all() for line in one.lines())


def test_who_is_forgotten_takes_no_room_any_more():
    room = Room()
    traces = Traces(True, room)
    first = traces.open("127.0.0.1:1", NOW)
    first.ended("x", NOW)
    first.forget()
    first.note("the connection broke", NOW)
    assert room.used == 0


def test_a_time_line_is_found_by_device_and_service(traces):
    at_hub, at_dps, unknown = (traces.open("127.0.0.1:5", NOW) for _ in range(3))
    greet(at_hub)
    greet(at_dps, user=dps.username("0ne00002193", "dev-1"))
    at_hub.ended("it said goodbye", NOW)
    assert traces.find("DEV-1") == [at_dps, at_hub]
    assert traces.find("dev-1", "DPS") == [at_dps]
    assert traces.find(service=HUB.upper()) == [at_hub]
    assert traces.find("dev-2") == []
    assert traces.all() == [unknown, at_dps, at_hub]
    at_hub.admitted("other-hub", "pump-7")
    assert traces.find("pump-7", "other-hub") == [at_hub]


def test_who_follows_hears_every_line_until_he_has_enough(traces):
    early = traces.open("127.0.0.1:5", NOW)
    heard = []
    stop = traces.follow(heard.append)
    late = traces.open("127.0.0.1:6", NOW)
    early.note("a", NOW)
    late.ended("b", NOW)
    stop()
    stop()
    early.note("c", NOW)
    assert [line.text_among_others()[9:] for line in heard] == [
        "#2     0.000 +0.000    -- accepted from 127.0.0.1:6",
        "#1     0.000 +0.000    -- a",
        "#2     0.000 +0.000    -- ended: b",
    ]


def test_the_reason_for_a_refusal_is_noted_where_it_happened(traces):
    older, newer, other = (traces.open("127.0.0.1:5", NOW) for _ in range(3))
    greet(older)
    greet(newer)
    greet(other, "dev-2")
    traces.event(Refused(NOW, HUB, "dev-1", Reason.EXPIRED, "CONNACK 5"))
    traces.event(Failed(NOW, HUB, "dev-2", "the disk is full", "CONNACK 3"))
    traces.event(Failed(NOW, HUB, "dev-3", "the disk is full", "CONNACK 3"))
    assert words(newer)[-1] == f"CONNACK 5: {Reason.EXPIRED.value}"
    assert words(other)[-1] == "CONNACK 3: the disk is full"
    assert len(words(older)) == 2


def test_who_dialled_an_alias_is_found_under_the_hubs_own_name(traces):
    trace = traces.open("127.0.0.1:5", NOW)
    greet(trace, user="localhost/dev-1/?api-version=2021-04-12")
    assert traces.find(service="localhost") == [trace]
    traces.event(Connected(NOW, HUB, "dev-1", "2021-04-12"))
    assert traces.find(service=HUB) == [trace]
    assert len(words(trace)) == 2


def test_what_happens_to_who_left_is_noted_nowhere(traces):
    trace = traces.open("127.0.0.1:5", NOW)
    greet(trace)
    trace.ended("it said goodbye", NOW)
    traces.event(Refused(NOW, HUB, "dev-1", Reason.EXPIRED, "CONNACK 5"))
    traces.event(Connected(NOW, HUB, "dev-1", "2021-04-12"))
    assert words(trace)[-1] == "ended: it said goodbye"


def test_a_rule_that_strikes_is_noted_where_it_struck(traces):
    device, stranger = traces.open("127.0.0.1:5", NOW), traces.open("127.0.0.1:6", NOW)
    greet(device)
    traces.event(Struck(NOW, "a hub", "dev-1", "telemetry", "429", 3))
    traces.event(Struck(NOW, "TLS", "127.0.0.1", "hand-shake", "an expired certificate", 4))
    assert words(device)[-1] == "a rule: dev-1 gets 429 (telemetry at a hub, rule 3)"
    assert words(stranger)[-1].startswith("a rule: 127.0.0.1 gets an expired certificate")


def test_a_protocol_may_word_its_packets_itself(traces):
    trace = traces.open("127.0.0.1:5", NOW)
    spoken = Spoken(trace)
    spoken.received("0 open(client)", NOW)
    spoken.sent("0 attach(sr=a&sig=s3cret)", NOW)
    spoken.ended("it said goodbye", NOW)
    assert [line.text()[20:] for line in trace.lines()[1:]] == [
        "-> 0 open(client)",
        "<- 0 attach(sr=a&sig=***",
        "-- ended: it said goodbye",
    ]


def test_all_lines_of_a_device_are_had_as_json(traces):
    greet(traces.open("127.0.0.1:5", NOW))
    traces.open("127.0.0.1:6", NOW)
    assert [one["packet"] for one in traces.documents("dev-1")] == ["", "CONNECT"]
    assert [one["connection"] for one in traces.documents()] == [2, 1, 1]


def test_no_repr_shows_what_passed(traces):
    trace = traces.open("127.0.0.1:5", NOW)
    ((first, body),) = Framer().feed(Publish("t", b"s3cret").encode())
    trace.received(first, body, NOW)
    assert "s3cret" not in f"{trace!r} {trace.lines()[-1].entry!r}"
    ((first, body),) = Framer().feed(Connect("d", will=Will("t", b"s3cret")).encode())
    trace.received(first, body, NOW)
    assert trace.lines()[-1].entry.data.connect.will.payload == b""
