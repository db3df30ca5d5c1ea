"""One MQTT connection without a socket: the order of things, and the end of them."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.emulator.cloud import Cloud
from host_tools.emulator.config import Config
from host_tools.emulator.dps.enrollment import EnrollmentGroup
from host_tools.emulator.events import Connected, Disconnected, Dropped, Refused, Telemetry
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.mqtt.connect import Connack, Connect, Will
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
from host_tools.emulator.mqtt.session import PATIENCE, Session
from host_tools.emulator.mqtt.subscribe import Suback, Subscribe, Unsubscribe
from host_tools.keys import derive_device_key
from keystead import dps, hub
from keystead.sas import sas_token

NOW = 1_700_000_000.0
TICK = 500.0  # of the clock that nobody sets
HUB = "test-docs-hub.azure-devices.net"
KEYS = KeyPair(b"p" * 64, b"s" * 64)
CONFIG = Config(assigning_replies=0, groups=(EnrollmentGroup("mylegacydevices", HUB, KEYS),))
TELEMETRY = "devices/dev-1/messages/events/"


class Line:
    """A device's end of one session."""

    def __init__(self, cloud, diary=None):
        """diary: what happens on several lines, in order."""
        self.diary = [] if diary is None else diary
        self.sent = bytearray()
        self._framer = Framer()
        self.session = Session(cloud, self._send, self._hang_up, TICK, "127.0.0.1:5")

    def _send(self, data):
        self.diary.append((self, "sent"))
        self.sent += data

    def _hang_up(self):
        assert not self.hung_up, "once is enough"
        self.diary.append((self, "hung up"))

    @property
    def hung_up(self):
        return (self, "hung up") in self.diary

    def say(self, *packets, now=NOW, tick=TICK):
        """Send packets in one piece; return what comes back."""
        data = b"".join(p if isinstance(p, bytes) else p.encode() for p in packets)
        self.session.receive(data, now, tick)
        return self.heard()

    def heard(self):
        data = bytes(self.sent)
        self.sent.clear()
        return [parse(*packet) for packet in self._framer.feed(data)]


class Bench:
    """A cloud on a fake clock."""

    def __init__(self, directory, config=CONFIG):
        self.events = []
        self.cloud = Cloud(config, on_event=self.events.append, state_dir=directory)

    def at_dps(self, name="dev-1", key=None, **changes):
        key = key or derive_device_key(KEYS.primary, name)
        token = sas_token(dps.resource(CONFIG.id_scope, name), key, int(NOW) + 3600)
        connect = Connect(name, dps.username(CONFIG.id_scope, name), token.encode(), 60)
        return replace(connect, **changes)

    def at_hub(self, name="dev-1", key=None, **changes):
        key = key or derive_device_key(KEYS.primary, name)
        token = sas_token(hub.resource(HUB, name), key, int(NOW) + 3600)
        return replace(Connect(name, hub.username(HUB, name), token.encode(), 60), **changes)

    def provision(self, name="dev-1"):
        topic, body = dps.Registration(name).request()
        line = Line(self.cloud)
        line.say(
            self.at_dps(name),
            Subscribe(1, ((dps.RESPONSES, 1),)),
            Publish(topic, body, 1, 2),
            Disconnect(),
        )
        self.events.clear()

    def device(self, name="dev-1", **changes):
        """A line that is through CONNECT at the hub."""
        line = Line(self.cloud)
        assert line.say(self.at_hub(name, **changes)) == [Connack(0)]
        return line


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """A state directory with a CA: making one takes its time."""
    directory = tmp_path_factory.mktemp("state")
    Bench(directory).cloud.close()
    return directory


@pytest.fixture
def bench(state):
    bench = Bench(state)
    bench.provision()
    yield bench
    bench.cloud.close()


def test_puback_comes_before_the_answer(bench):
    line = Line(bench.cloud)
    topic, body = dps.Registration("dev-1").request()
    connack, suback, puback, answer = line.say(
        bench.at_dps(), Subscribe(1, ((dps.RESPONSES, 1),)), Publish(topic, body, 1, 2)
    )
    assert (connack, suback, puback) == (Connack(0), Suback(1, (1,)), Puback(2))
    assert (answer.qos, answer.packet_id) == (1, 1)
    assert answer.topic.startswith("$dps/registrations/res/200/?$rid=1")


def test_an_answer_of_qos_0_has_no_packet_id(bench):
    line = Line(bench.cloud)
    topic, body = dps.Registration("dev-1").request()
    *_, answer = line.say(
        bench.at_dps(), Subscribe(1, ((dps.RESPONSES, 0),)), Publish(topic, body)
    )
    assert (answer.qos, answer.packet_id) == (0, 0)


def test_the_clouds_packet_ids_wrap_and_are_never_0(bench):
    line = bench.device()
    line.say(Subscribe(1, (("$iothub/twin/res/#", 1),)))
    request = Publish("$iothub/twin/GET/?$rid=1", b"").encode()
    answers = [*line.say(request * 40_000), *line.say(request * 40_000)]
    assert [answer.packet_id for answer in answers][65533:65537] == [65534, 65535, 1, 2]


def test_the_session_speaks_mqtt(bench):
    line = bench.device()
    filters = (("$iothub/methods/POST/#", 0), ("$iothub/twin/res/#", 2))
    assert line.say(Subscribe(7, filters)) == [Suback(7, (0, 1))]
    assert line.say(Unsubscribe(8, ("$iothub/twin/res/#", "never/had"))) == [Unsuback(8)]
    assert line.say(Pingreq()) == [Pingresp()]
    assert line.say(Publish(TELEMETRY, b"1")) == []
    assert line.say(Publish(TELEMETRY, b"2", 1, 9), Publish(TELEMETRY, b"3", 1, 10)) == [
        Puback(9),
        Puback(10),
    ]
    assert line.say(Puback(3)) == []
    assert not line.hung_up


def test_events_are_told_in_order(bench):
    line = bench.device()
    line.say(Publish(TELEMETRY + "a=b", b"1", 1, 9), Disconnect())
    assert bench.events == [
        Connected(NOW, HUB, "dev-1", "2021-04-12"),
        Telemetry(NOW, HUB, "dev-1", b"1", "a=b"),
        Disconnected(NOW, HUB, "dev-1", "it said goodbye"),
    ]
    assert line.hung_up


def test_nothing_is_heard_after_goodbye(bench):
    line = bench.device()
    assert line.say(Disconnect(), Pingreq()) == []
    assert line.say(Pingreq()) == []


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (Publish(TELEMETRY, b"", 2, 1), "QoS 2"),
        (Publish("unknown", b"", 1, 1), "IoT Hub does not have"),
        (Subscribe(1, (("#", 1),)), "IoT Hub does not have"),
        (Suback(1, (1,)), "SUBACK is not for a client"),
        (Connack(0), "CONNACK is not for a client"),
        (b"\x00\x00", "no packet begins"),
        (b"\x30\xff\xff\xff\x7f", "at most 327680"),
    ],
    ids=str,
)
def test_what_azure_does_not_take_ends_the_connection(bench, packet, why):
    line = bench.device()
    assert line.say(packet) == []
    assert line.hung_up
    assert why in bench.events[-1].why


def test_a_second_connect_ends_the_connection(bench):
    line = bench.device()
    assert line.say(bench.at_hub()) == []
    assert bench.events[-1].why == "it sent a second CONNECT"


@pytest.mark.parametrize("packet", [Pingreq(), Publish("t", b""), Disconnect(), b"GET / HTTP/1.1"])
def test_connect_comes_first(bench, packet):
    line = Line(bench.cloud)
    assert line.say(packet) == []
    assert line.hung_up
    assert isinstance(bench.events[-1], Dropped)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"level": 5}, 1),
        ({"client_id": "dev-2"}, 2),
        ({"username": "nobody"}, 4),
        ({"username": None, "password": None}, 4),
        ({"password": None}, 5),
        ({"key": b"x" * 32}, 5),
        ({"name": "dev-2"}, 5),
    ],
)
def test_a_refused_connect_gets_its_code_and_the_end(bench, changes, code):
    line = Line(bench.cloud)
    assert line.say(bench.at_hub(**changes), Pingreq()) == [Connack(code)]
    assert line.hung_up
    (event,) = bench.events
    assert isinstance(event, Refused)
    assert event.answer == f"CONNACK {code}"


def test_a_newer_connection_takes_over_and_the_older_one_goes_first(bench):
    older = bench.device()
    newer = Line(bench.cloud, older.diary)
    newer.say(bench.at_hub())
    assert older.diary[1:] == [(older, "hung up"), (newer, "sent")]
    assert [type(event) for event in bench.events] == [Connected, Disconnected, Connected]
    newer.say(Publish(TELEMETRY, b"alive"))
    assert bench.events[-1].body == b"alive"


def test_after_a_takeover_the_newer_one_can_be_taken_over(bench):
    first, second, third = bench.device(), bench.device(), bench.device()
    assert (first.hung_up, second.hung_up, third.hung_up) == (True, True, False)


def test_who_is_refused_does_not_disturb_the_live_one(bench):
    live = bench.device()
    for intruder in (bench.at_hub(key=b"x" * 32), bench.at_hub(client_id="dev-2")):
        Line(bench.cloud).say(intruder)
    assert live.say(Pingreq()) == [Pingresp()]


def test_who_has_a_wrong_key_at_dps_does_not_disturb_the_live_one(bench):
    live, intruder = Line(bench.cloud), Line(bench.cloud)
    live.say(bench.at_dps())
    assert intruder.say(bench.at_dps(key=b"x" * 32)) == [Connack(0)]
    assert live.say(Pingreq()) == [Pingresp()]


def test_the_same_device_may_be_at_dps_and_at_its_hub(bench):
    device, other = bench.device(), Line(bench.cloud)
    other.say(bench.at_dps())
    assert not device.hung_up
    assert not other.hung_up


def test_a_stored_session_is_told_at_the_hub_and_never_at_dps(bench):
    bench.device(clean=False)
    assert Line(bench.cloud).say(bench.at_hub(clean=False)) == [Connack(0, True)]
    for _ in range(2):
        assert Line(bench.cloud).say(bench.at_dps(clean=False)) == [Connack(0, False)]


def test_connect_is_waited_for_30_seconds_and_bytes_gain_no_time(bench):
    line = Line(bench.cloud)
    line.session.receive(b"\x10", NOW + 29, TICK + 29)
    assert PATIENCE == 30
    line.session.expire(NOW + 29.9, TICK + 29.9)
    assert not line.hung_up
    line.session.expire(NOW + 30, TICK + 30)
    assert line.hung_up
    assert bench.events == [Dropped(NOW + 30, "127.0.0.1:5", "it sent no CONNECT in 30 s")]


def lives_until(line):
    """The second after TICK in which a silent device is dropped."""
    for second in range(4000):
        line.session.expire(NOW, TICK + second)
        if line.hung_up:
            return second
    return None


def test_silence_ends_after_one_and_a_half_keep_alives(bench):
    line = bench.device(keep_alive=60)
    line.say(Pingreq(), tick=TICK + 80)
    assert lives_until(line) == 170
    assert "silent" in bench.events[-1].why


def test_keep_alive_0_is_none_and_the_longest_is_capped(bench):
    assert lives_until(bench.device(keep_alive=60)) == 90
    assert lives_until(bench.device(keep_alive=65535)) == 1767
    assert lives_until(bench.device(keep_alive=0)) is None


def test_setting_the_clock_drops_nobody_whose_token_is_good(bench):
    live, waiting = bench.device(keep_alive=60), Line(bench.cloud)
    for now in (NOW + 3000, NOW - 1_000_000):
        live.session.expire(now, TICK + 1)
        waiting.session.expire(now, TICK + 1)
    live.say(Pingreq(), now=NOW - 1_000_000, tick=TICK + 80)
    assert not live.hung_up
    assert not waiting.hung_up


def test_the_connection_ends_with_its_token(bench):
    line = bench.device(keep_alive=0)
    line.session.expire(NOW + 3599, TICK)
    assert not line.hung_up
    line.session.expire(NOW + 3600, TICK)
    assert bench.events[-1].why == "its token expired"


def test_the_will_is_delivered_when_the_connection_breaks(bench):
    line = bench.device(will=Will(TELEMETRY, b"gone"))
    line.session.close("the connection broke", NOW)
    assert bench.events[-2].properties == {"iothub-MessageType": "Will"}


def test_a_large_connect_is_refused_before_it_is_read(bench):
    line = Line(bench.cloud)
    line.say(b"\x10\xff\xff\x7f")
    assert "at most 65536" in bench.events[-1].why


@settings(max_examples=200, deadline=None)
@given(chunks=st.lists(st.binary(max_size=60), max_size=5), connected=st.booleans())
def test_no_bytes_bring_a_session_down(cloud_of_all, chunks, connected):
    bench, live = cloud_of_all
    line = bench.device("dev-2") if connected else Line(bench.cloud)
    for chunk in chunks:
        line.session.receive(chunk, NOW, TICK)
    assert live.say(Pingreq()) == [Pingresp()]


@pytest.fixture(scope="module")
def cloud_of_all(tmp_path_factory):
    bench = Bench(tmp_path_factory.mktemp("all"))
    bench.provision("dev-1")
    bench.provision("dev-2")
    yield bench, bench.device("dev-1")
    bench.cloud.close()
