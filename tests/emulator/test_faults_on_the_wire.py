"""Every fault of MQTT over real TLS, against the listener that serves everybody else."""

import json
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from dataclasses import replace

import dns.message
import dns.query
import dns.rcode
import pytest

from host_tools.emulator.access import Reason
from host_tools.emulator.clock import Clock
from host_tools.emulator.events import Assigned, Disconnected, Dropped, Refused
from host_tools.emulator.faults.faults import Faults, Struck
from host_tools.emulator.faults.rule import Rule
from host_tools.emulator.hub.messages import CloudMessage
from host_tools.emulator.hub.methods import MethodCall
from host_tools.emulator.mqtt.connect import Connack
from host_tools.emulator.mqtt.framing import Framer, ProtocolError
from host_tools.emulator.mqtt.packets import Pingreq, Pingresp, Puback, Publish, parse
from host_tools.emulator.mqtt.subscribe import Subscribe
from host_tools.emulator.names import Names
from host_tools.emulator.serve.datagrams import serve_datagrams
from host_tools.errors import CommandError
from tests.emulator.cloud_fixtures import HUB, LIMIT, awaited
from tests.emulator.faults_fixtures import (
    GET,
    OTHER_HUB,
    QUIET,
    TWIN,
    WELCOME,
    Bench,
    Device,
    connect_to_dps,
    connect_to_hub,
    poll,
    provision,
    register,
    served,
)

TELEMETRY = Publish("devices/dev-1/messages/events/", b"21", 1, 9)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with served(tmp_path_factory.mktemp("cloud")) as bench:
        provision(bench, "dev-1")
        yield bench


@pytest.fixture
def bench(cloud: Bench) -> Iterator[Bench]:
    cloud.events.clear()
    yield cloud
    cloud.rules()


@pytest.fixture
def at_hub(bench: Bench) -> Iterator[Device]:
    with Device(bench) as device:
        assert device.at_hub() == WELCOME
        yield device


# ---- questions


def test_a_board_is_throttled_twice_and_then_assigned(bench):
    bench.rules("new-1, when it registers, gets 429, retry after 5 s, twice")
    with Device(bench, "new-1") as device:
        assert device.at_dps() == WELCOME
        for number in (1, 2):
            _, answer = device.ask(register(number), count=2)
            tail = f"429/?$rid={number}&retry-after=5"
            assert answer.topic == f"$dps/registrations/res/{tail}"
            assert json.loads(answer.payload)["errorCode"] == 429001
        _, answer = device.ask(register(3), count=2)
        assert answer.topic == "$dps/registrations/res/202/?$rid=3&retry-after=1"
        _, answer = device.ask(poll(json.loads(answer.payload)["operationId"]), count=2)
    assert json.loads(answer.payload)["registrationState"]["assignedHub"] == HUB
    bench.event(Assigned, registration_id="new-1")
    struck = bench.event(Struck, device_id="new-1")
    assert struck.line() == "new-1 gets 429, retry after 5 s (register at dps, rule 1)"


@pytest.mark.parametrize(
    ("gets", "status"),
    [("status failed with 400208", "failed"), ("status disabled", "disabled"),
     ("status unassigned", "unassigned")],
)  # fmt: skip
def test_a_registration_ends_badly(bench, gets, status):
    bench.rules(f"dev-1, when it registers, gets {gets}")
    with Device(bench) as device:
        device.at_dps()
        _, answer = device.ask(register(), count=2)
    document = json.loads(answer.payload)
    assert answer.topic == "$dps/registrations/res/200/?$rid=1"
    assert document["status"] == document["registrationState"]["status"] == status
    assert document["registrationState"].get("errorCode") == (
        400208 if status == "failed" else None
    )


@pytest.mark.parametrize(
    ("gets", "tail", "empty", "qos"),
    [
        ("401", "401/?$rid=1", False, 1),
        ("404", "404/?$rid=1", False, 1),
        ("500, no retry-after", "500/?$rid=1", False, 1),
        ("429 with an empty body", "429/?$rid=1&retry-after=3", True, 1),
        ("the wrong rid", "202/?$rid=1-of-another&retry-after=1", False, 1),
        ("an empty body", "202/?$rid=1&retry-after=1", True, 1),
        ("no retry-after", "202/?$rid=1", False, 1),
        ("QoS 0", "202/?$rid=1&retry-after=1", False, 0),
    ],
)
def test_an_answer_is_not_what_it_should_be(bench, gets, tail, empty, qos):
    bench.rules(f"every board, when it registers, gets {gets}")
    with Device(bench) as device:
        device.at_dps()
        puback, answer = device.ask(register(), count=2)
    assert puback == Puback(1)
    assert answer.topic == f"$dps/registrations/res/{tail}"
    assert (answer.payload == b"", answer.qos) == (empty, qos)


def test_a_late_answer(at_hub, bench):
    bench.rules("dev-1, when it asks for its twin, gets its answer 500 ms late")
    begun = time.monotonic()
    assert at_hub.ask(GET, Pingreq(), count=2) == [Puback(7), Pingresp()]
    (answer,) = at_hub.hear()
    assert time.monotonic() - begun >= 0.5
    assert answer.topic == "$iothub/twin/res/200/?$rid=9"


def test_no_answer(at_hub, bench):
    bench.rules("dev-1, when it asks for its twin, gets no answer, once")
    assert at_hub.ask(GET, Pingreq(), count=2) == [Puback(7), Pingresp()]
    assert at_hub.is_quiet()
    assert at_hub.ask(GET, count=2)[1].topic == "$iothub/twin/res/200/?$rid=9"


def test_an_ignored_question(at_hub, bench):
    bench.rules("dev-1, when it asks for its twin, gets ignored")
    assert at_hub.ask(GET, Pingreq()) == [Pingresp()]
    assert at_hub.is_quiet()


def test_a_puback_is_lost_or_late(at_hub, bench):
    bench.rules(
        "dev-1, when it sends telemetry, gets no answer, once",
        "dev-1, when it sends telemetry, gets its answer 500 ms late, once",
    )
    assert at_hub.ask(TELEMETRY, Pingreq()) == [Pingresp()]
    begun = time.monotonic()
    assert at_hub.ask(TELEMETRY, Pingreq(), count=2) == [Puback(9), Pingresp()]
    assert time.monotonic() - begun >= 0.5


def test_a_board_is_moved_to_another_hub_between_two_registrations(bench):
    assert provision(bench, "mover") == HUB
    bench.rules(f"mover, when it registers, gets assigned to {OTHER_HUB}, once")
    assert provision(bench, "mover") == OTHER_HUB
    bench.event(Assigned, registration_id="mover", hub=OTHER_HUB, substatus="deviceDataMigrated")
    with Device(bench, "mover") as device:
        assert device.ask(connect_to_hub("mover")) == [Connack(5)]
    with Device(bench, "mover") as device:
        assert device.ask(connect_to_hub("mover", OTHER_HUB)) == [Connack(0)]
    assert provision(bench, "mover") == HUB


# ---- what is sent unasked


def called(bench: Bench) -> list:
    """Call a method on dev-1; return the list that its end will be in."""
    ends: list = []
    call = MethodCall("reboot", {"delay": 1}, response_timeout=300)
    bench.do(
        lambda cloud: cloud.hubs.hub(HUB).invoke("dev-1", call, time.monotonic(), ends.append)
    )
    return ends


def test_a_method_is_lost_late_or_asked_with_the_wrong_rid(bench):
    bench.rules(
        "dev-1, when a method is called, gets no answer, once",
        "dev-1, when a method is called, gets its answer 500 ms late, once",
        "dev-1, when a method is called, gets the wrong rid, once",
    )
    with Device(bench) as device:
        assert device.at_hub("$iothub/methods/POST/#") == WELCOME
        called(bench)
        assert device.is_quiet()
        begun = time.monotonic()
        called(bench)
        (asked,) = device.hear()
        assert time.monotonic() - begun >= 0.25  # the clock is looked at four times a second
        assert asked.topic.startswith("$iothub/methods/POST/reboot/?$rid=")
        ends = called(bench)
        (asked,) = device.hear()
        assert asked.topic.endswith("-of-another")
        # the hub knows no such request, and goes on waiting
        rid = asked.topic.partition("$rid=")[2]
        device.say(Publish(f"$iothub/methods/res/200/?$rid={rid}", b"{}"), Pingreq())
        assert device.hear() == [Pingresp()]
        assert ends == []


def test_a_message_that_was_cut_is_delivered_again(bench):
    bench.rules("dev-1, when a message is sent to it, gets half a packet, once")
    devicebound = "devices/dev-1/messages/devicebound/#"
    stays = replace(connect_to_hub("dev-1"), clean=False)
    with Device(bench) as device:
        assert device.ask(stays, Subscribe(1, ((devicebound, 1),)), count=2) == WELCOME
        bench.do(
            lambda cloud: cloud.hubs.hub(HUB).send("dev-1", CloudMessage(b"x" * 99), time.time())
        )
        assert device.raw(4)[0] == 0x32
        assert device.end() == "in order"
    with Device(bench) as device:
        connack, message = device.ask(stays, count=2)
        assert connack == Connack(0, True)
        assert message.payload == b"x" * 99
        device.ask(Puback(message.packet_id), Pingreq())


def test_a_desired_property_arrives_without_its_body(bench):
    bench.rules("dev-1, when its twin is changed, gets an empty body")
    patch = {"properties": {"desired": {"interval": 5}}}
    with Device(bench) as device:
        assert device.at_hub("$iothub/twin/PATCH/properties/desired/#") == WELCOME
        bench.do(lambda cloud: cloud.hubs.hub(HUB).patch_twin("dev-1", patch, time.time()))
        (message,) = device.hear()
    assert message.topic.startswith("$iothub/twin/PATCH/properties/desired/?$version=")
    assert message.payload == b""


# ---- CONNECT and what follows


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5])
def test_connack(bench, code):
    bench.rules(f"dev-1, when it connects to its hub, gets CONNACK {code}")
    with Device(bench) as device:
        assert device.ask(connect_to_hub("dev-1")) == [Connack(code)]
        assert device.end() == "in order"
    with Device(bench) as device:
        assert device.ask(connect_to_dps("dev-1")) == [Connack(0)]


def test_who_is_refused_disturbs_nobody(at_hub, bench):
    bench.rules("dev-1, when it connects, gets 503")
    with Device(bench) as device:
        assert device.ask(connect_to_hub("dev-1")) == [Connack(3)]
    assert at_hub.ask(Pingreq()) == [Pingresp()]


def test_no_connack_session_present_and_suback_128(bench):
    bench.rules(
        "dev-1, when it connects, gets no answer, once",
        "dev-1, when it connects, gets session present, once",
        "dev-1, when it subscribes, gets SUBACK 128, once",
    )
    with Device(bench) as device:
        assert device.ask(connect_to_hub("dev-1"), Pingreq()) == [Pingresp()]
    with Device(bench) as device:
        assert device.ask(connect_to_hub("dev-1")) == [Connack(0, True)]
        device.say(Subscribe(4, ((TWIN, 1),)))
        assert device.raw(5) == b"\x90\x03\x00\x04\x80"


@pytest.mark.parametrize("service", ["DPS", "its hub"])
def test_a_clock_that_is_wrong_makes_a_good_token_expire(bench, service):
    bench.rules(f"every board, when it connects to {service}, gets a clock 2 h ahead")
    with Device(bench) as device:
        if service == "DPS":
            device.at_dps()
            _, answer = device.ask(register(), count=2)
            assert answer.topic == "$dps/registrations/res/401/?$rid=1"
        else:
            assert device.ask(connect_to_hub("dev-1")) == [Connack(5)]
    bench.event(Refused, reason=Reason.EXPIRED, device_id="dev-1")


# ---- the connection


@pytest.mark.parametrize(
    ("gets", "end", "why"),
    [
        ("a dropped socket", "dropped", "its socket was dropped, as a rule wants"),
        ("a closed connection", "in order", "its connection was closed, as a rule wants"),
        ("an expired token", "in order", "its token expired, as a rule wants"),
    ],
)
def test_a_connection_ends(at_hub, bench, gets, end, why):
    bench.rules(f"dev-1, when it sends telemetry, gets {gets}")
    at_hub.say(TELEMETRY)
    assert at_hub.end() == end
    bench.event(Disconnected, device_id="dev-1", why=why)


@pytest.mark.parametrize(
    ("when", "heard"),
    [("it sends its 4th packet", 3), ("it is sent its 3rd packet", 2)],
)
def test_the_socket_is_dropped_at_packet_n(bench, when, heard):
    bench.rules(f"dev-1, when {when}, gets a dropped socket")
    with Device(bench) as device:
        assert device.at_hub() == WELCOME
        device.say(Pingreq())
        if heard == 3:
            assert device.hear() == [Pingresp()]
            device.say(Pingreq())
        assert device.end() == "dropped"


def test_a_half_open_connection_stays_and_nothing_is_said(at_hub, bench):
    bench.rules("dev-1, when it pings, gets a half-open connection")
    at_hub.say(Pingreq())
    assert at_hub.is_quiet()
    at_hub.say(GET, TELEMETRY)
    assert at_hub.is_quiet()
    with Device(bench) as other:  # a newer client takes over: the old one hears nothing of it
        bench.rules()
        assert other.at_hub() == WELCOME
        bench.event(Disconnected, why="the same device connected again")
        assert at_hub.is_quiet()


def test_a_connection_is_dropped_at_a_certain_age(bench):
    bench.rules("dev-1, when it has been connected for 1 s, gets a dropped socket")
    begun = time.monotonic()
    with Device(bench) as device:
        assert device.at_hub() == WELCOME
        assert device.end() == "dropped"
    assert time.monotonic() - begun >= 1


def test_a_slow_line(at_hub, bench):
    bench.rules("dev-1, when it asks for its twin, gets 100 bytes a second")
    begun = time.monotonic()
    at_hub.say(GET)
    size, framer, packets = 0, Framer(), []
    while len(packets) < 2:
        part = at_hub.socket.recv(65536)
        packets += list(framer.feed(part))
        size += len(part)
        # of each part: where the machine stood still, many come in one
        assert time.monotonic() - begun >= (size - 1) / 100
    assert [packet[0] for packet in packets] == [0x40, 0x32]
    assert size > 50


# ---- packets that no decent server sends


def test_half_a_packet(at_hub, bench):
    bench.rules("dev-1, when it asks for its twin, gets half a packet")
    assert at_hub.ask(GET) == [Puback(7)]
    head = at_hub.raw(4)
    assert head[0] == 0x32
    assert at_hub.end() == "in order"


def test_an_oversized_packet(at_hub, bench):
    bench.rules("dev-1, when it asks for its twin, gets a packet of 1000000 bytes")
    _, answer = at_hub.ask(GET, count=2)
    assert 999_000 < len(answer.encode()) <= 1_000_000
    assert "reported" in json.loads(answer.payload)


def test_a_packet_that_claims_too_much(at_hub, bench):
    bench.rules("dev-1, when it pings, gets a packet that claims 256 MB")
    at_hub.say(Pingreq())
    assert at_hub.raw(5) == b"\xd0\xff\xff\xff\x7f"


def test_a_malformed_packet(at_hub, bench):
    bench.rules("dev-1, when it pings, gets a malformed packet")
    for _ in range(20):
        at_hub.say(Pingreq())
        with pytest.raises(ProtocolError):
            for packet in Framer().feed(at_hub.socket.recv(65536)):
                parse(*packet)


def test_others_are_not_disturbed(bench):
    bench.rules("dev-1, when it does anything, gets a malformed packet")
    provision(bench, "dev-2")
    with Device(bench, "dev-2") as device:
        assert device.at_hub() == WELCOME
        assert device.ask(GET, count=2)[0] == Puback(7)


# ---- TLS


@pytest.mark.parametrize(
    ("gets", "complaint"),
    [
        ("a certificate for another name", "Hostname mismatch"),
        ("an expired certificate", "certificate has expired"),
        ("a certificate that is not valid yet", "certificate is not yet valid"),
        ("a certificate of an unknown CA", "unable to get local issuer certificate"),
    ],
)
def test_a_certificate_with_one_thing_wrong(bench, gets, complaint):
    bench.rules(f"every board gets {gets}, once")
    with pytest.raises(ssl.SSLCertVerificationError, match=complaint):
        Device(bench)
    bench.event(Dropped)
    with Device(bench) as device:
        assert device.at_dps() == WELCOME


def test_tls_1_3_only(bench):
    bench.rules("every board gets TLS 1.3 only")
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
        Device(bench, version=ssl.TLSVersion.TLSv1_2)
    with Device(bench) as device:
        assert device.socket.version() == "TLSv1.3"
        assert device.at_dps() == WELCOME


def test_only_who_dials_the_hub_is_struck(bench):
    bench.rules("every board, when it shakes hands with *.azure-devices.net, gets an expired"
                " certificate")  # fmt: skip
    with Device(bench, dial="global.azure-devices-provisioning.net") as device:
        assert device.at_dps() == WELCOME
    with pytest.raises(ssl.SSLCertVerificationError, match="has expired"):
        Device(bench, dial=HUB)


def test_the_3rd_that_shakes_hands_is_the_third_address(bench):
    bench.rules("127.0.0.1, when it shakes hands, gets TLS 1.3 only", "198.51.100.7 gets TLS 1.3"
                " only")  # fmt: skip
    with pytest.raises(ssl.SSLError):
        Device(bench, version=ssl.TLSVersion.TLSv1_2)


def test_a_hand_shake_that_hangs(bench):
    bench.rules("every board gets a hand-shake that hangs, once")
    context = ssl.create_default_context(cadata=bench.cloud.ca_der)
    with (
        socket.create_connection(("127.0.0.1", bench.port), timeout=QUIET) as raw,
        pytest.raises(TimeoutError),
    ):
        context.wrap_socket(raw, server_hostname="localhost")
    with Device(bench) as device:
        assert device.at_dps() == WELCOME


def test_a_hello_in_pieces_and_noise_are_served_as_ever(bench):
    bench.rules("every board, when it shakes hands with example.org, gets a hand-shake that hangs")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cadata=bench.cloud.ca_der)
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read()
    with socket.create_connection(("127.0.0.1", bench.port), timeout=LIMIT) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in range(len(hello)):
            raw.sendall(hello[byte : byte + 1])
        assert raw.recv(1) == b"\x16"
    with socket.create_connection(("127.0.0.1", bench.port), timeout=LIMIT) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\n\r\n")
        while raw.recv(100):
            pass
    bench.event(Dropped, why="TLS: http request")


# ---- DNS and NTP


def told_the_time(port: int, limit: float) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(limit)
        client.sendto(b"\x1b" + bytes(47), ("127.0.0.1", port))
        return struct.unpack("!I", client.recv(100)[40:44])[0] - 2_208_988_800


@awaited
async def test_dns_over_udp():
    import asyncio

    faults = Faults()
    names = Names({"*.azure-devices.net": "192.0.2.1"}, faults)
    async with serve_datagrams(names.answer, "127.0.0.1", 0, "DNS") as port:

        async def ask(limit=LIMIT):
            query = dns.message.make_query("hub.azure-devices.net", "A")
            answer = await asyncio.to_thread(
                dns.query.udp, query, "127.0.0.1", timeout=limit, port=port
            )
            return dns.rcode.to_text(answer.rcode()), [str(one[0]) for one in answer.answer]

        def rule(sentence):
            faults.clear()
            faults.add(Rule.from_json(sentence), time.time())

        assert await ask() == ("NOERROR", ["192.0.2.1"])
        rule("127.0.0.1 gets NXDOMAIN")
        assert await ask() == ("NXDOMAIN", [])
        rule("every board gets SERVFAIL, once")
        assert await ask() == ("SERVFAIL", [])
        assert await ask() == ("NOERROR", ["192.0.2.1"])
        rule("the first board gets the address 203.0.113.9")
        assert await ask() == ("NOERROR", ["203.0.113.9"])
        rule("every board, when it looks up hub.*, gets no answer, once")
        with pytest.raises(dns.exception.Timeout):
            await ask(QUIET)
        rule("every board, when it looks up hub.*, gets its answer 200 ms late")
        begun = time.monotonic()
        assert await ask() == ("NOERROR", ["192.0.2.1"])
        assert time.monotonic() - begun >= 0.2


@awaited
async def test_ntp_over_udp():
    import asyncio

    faults = Faults()
    async with serve_datagrams(Clock(faults).answer, "127.0.0.1", 0, "NTP") as port:

        async def off(limit=LIMIT):
            return await asyncio.to_thread(told_the_time, port, limit) - time.time()

        def rule(sentence):
            faults.clear()
            faults.add(Rule.from_json(sentence), time.time())

        assert abs(await off()) < LIMIT
        rule("every board, when it asks for the time, gets a clock 100 h behind")
        assert abs(await off() + 360_000) < LIMIT
        rule("every board gets a bogus packet")
        assert await off() < -2_000_000_000
        rule("every board, when it asks for the time, gets no answer")
        with pytest.raises(TimeoutError):
            await off(QUIET)


@awaited
async def test_a_udp_port_in_use_is_named():
    async with serve_datagrams(Clock(Faults()).answer, "127.0.0.1", 0, "NTP") as port:
        with pytest.raises(CommandError, match=f"UDP port {port} on 127.0.0.1 is in use"):
            async with serve_datagrams(Clock(Faults()).answer, "127.0.0.1", port, "NTP"):
                pass
