"""What a time line says of each packet."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.emulator.mqtt.connect import Connack, Connect, Will
from host_tools.emulator.mqtt.framing import Framer
from host_tools.emulator.mqtt.packets import (
    Disconnect,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Unsuback,
)
from host_tools.emulator.mqtt.subscribe import Suback, Subscribe, Unsubscribe
from host_tools.emulator.trace.trace import Room, Trace
from keystead import dps, hub
from keystead.sas import sas_token

NOW = 1_700_000_000.0
HUB = "test-docs-hub.azure-devices.net"
ASSIGNING = b'{"operationId":"5.3","status":"assigning"}'
DISABLED = b'{"operationId":"5.3","status":"disabled","registrationState":{"status":"disabled"}}'
ASSIGNED = (
    b'{"operationId":"5.3","status":"assigned","registrationState":{"registrationId":"dev-1",'
    b'"assignedHub":"localhost","deviceId":"pump-7","substatus":"initialAssignment"}}'
)
UNAUTHORIZED = b'{"errorCode":401002,"trackingId":"x","message":"Unauthorized","info":{}}'
FAILED = b'{"registrationState":{"status":"failed","errorCode":400207}}'
TO_DPS = "$dps/registrations/"
TO_HUB = "$iothub/"
EVENTS = "devices/dev-1/messages/events"


def a_trace():
    return Trace(1, "127.0.0.1:5", NOW, Room())


def told(packet, sent=False):
    """What the trace says of one packet: name and words."""
    trace = a_trace()
    data = packet if isinstance(packet, bytes) else packet.encode()
    if sent:
        trace.sent(data, NOW)
    else:
        ((first, body),) = Framer().feed(data)
        trace.received(first, body, NOW)
    line = trace.lines()[-1]
    assert json.loads(line.json())["words"] == line.summary.words
    assert line.text().isprintable()
    return f"{line.summary.packet} {line.summary.words}".rstrip()


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        (Pingreq(), "PINGREQ"),
        (Disconnect(), "DISCONNECT"),
        (Puback(7), "PUBACK id 7"),
        (Subscribe(1, ((dps.RESPONSES, 1),)), "SUBSCRIBE DPS's answers (QoS 1), id 1"),
        (
            Subscribe(2, (("$iothub/methods/POST/#", 0), ("a/#", 2))),
            "SUBSCRIBE method calls (QoS 0); 'a/#', no filter of DPS or IoT Hub (QoS 2), id 2",
        ),
        (Subscribe(2, (("a" * 4000, 2),)), "SUBSCRIBE  ..., id 2"),
        (
            Unsubscribe(3, ("devices/+/messages/devicebound/#", "$iothub/twin/res/#")),
            "UNSUBSCRIBE messages for the device; twin answers, id 3",
        ),
        (
            Publish(*dps.Registration("dev-1").request(), 1, 2),
            'PUBLISH registers (rid 1): {"registrationId":"dev-1"} [QoS 1, id 2, 26 bytes]',
        ),
        (
            Publish(f"{TO_DPS}GET/iotdps-get-operationstatus/?$rid=2&operationId=5.3", b" "),
            "PUBLISH asks how its registration goes (rid 2, operation 5.3) [QoS 0, 1 byte]",
        ),
        (
            Publish(f"{EVENTS}/%24.ct=text%2Fplain&a&sas%20key=x", b"21.5", 1, 9, True, True),
            "PUBLISH telemetry with $.ct=text/plain, a, sas key=***: 21.5"
            " [QoS 1, id 9, retain, DUP, 4 bytes]",
        ),
        (Publish(EVENTS, b""), "PUBLISH telemetry [QoS 0, 0 bytes]"),
        (
            Publish(f"{TO_HUB}twin/GET/?$rid=a-b", b" "),
            "PUBLISH asks for its twin (rid a-b) [QoS 0, 1 byte]",
        ),
        (
            Publish(f"{TO_HUB}twin/PATCH/properties/reported/?$rid=4", b'{"t":null}'),
            'PUBLISH reports properties (rid 4): {"t":null} [QoS 0, 10 bytes]',
        ),
        (
            Publish(f"{TO_HUB}methods/res/-5/?$rid=1a", b"null"),
            "PUBLISH method answered -5 (rid 1a): null [QoS 0, 4 bytes]",
        ),
        (
            Publish("nonsense\n/x", b"\xff"),
            "PUBLISH to 'nonsense./x', no topic of DPS or IoT Hub: 0xff [QoS 0, 1 byte]",
        ),
        (
            b"\x32\x03\x00\x01t",
            "PUBLISH to 't', no topic of DPS or IoT Hub [QoS 1, id 0, 0 bytes]",
        ),
        (b"\x30\x00", "PUBLISH malformed: a packet ends too early"),
        (b"\x40\x01\x00", "PUBACK malformed: a packet ends too early"),
        (b"\x10\x04nope", "CONNECT malformed"),
        (b"\x10\x07\x00\x04MQTT\x05", "CONNECT protocol level 5, not 4 (MQTT 3.1.1)"),
    ],
)
def test_what_a_device_says(packet, words):
    assert told(packet) == words


def dps_answer(status, body, tail=""):
    return Publish(f"{TO_DPS}res/{status}/?$rid=1{tail}", body, 1, 3)


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        (Connack(0), "CONNACK 0 accepted"),
        (Connack(0, True), "CONNACK 0 accepted, session present"),
        (Connack(5), "CONNACK 5 refused: not authorized"),
        (Suback(1, (0, 1, 0x80)), "SUBACK granted QoS 0, QoS 1, refused, id 1"),
        (Unsuback(3), "UNSUBACK id 3"),
        (Pingresp(), "PINGRESP"),
        (
            dps_answer(202, ASSIGNING, "&retry-after=3"),
            "PUBLISH 202 assigning, retry after 3 s (rid 1) [QoS 1, id 3, 42 bytes]",
        ),
        (
            dps_answer(200, DISABLED),
            "PUBLISH 200 disabled (rid 1) [QoS 1, id 3, 83 bytes]",
        ),
        (
            dps_answer(401, UNAUTHORIZED),
            "PUBLISH 401 error 401002: Unauthorized (rid 1) [QoS 1, id 3, 72 bytes]",
        ),
        (
            dps_answer(200, FAILED),
            "PUBLISH 200 failed 400207: (rid 1) [QoS 1, id 3, 60 bytes]",
        ),
        (dps_answer(500, b"oops"), "PUBLISH 500 (rid 1): oops [QoS 1, id 3, 4 bytes]"),
        (
            Publish("devices/dev-1/messages/devicebound/%24.mid=m1&iothub-ack=full", b"hi", 1, 4),
            "PUBLISH message for the device with $.mid=m1, iothub-ack=full: hi"
            " [QoS 1, id 4, 2 bytes]",
        ),
        (
            Publish(f"{TO_HUB}methods/POST/reboot/?$rid=1", b'{"in":5,"token":"abc"}'),
            'PUBLISH method reboot called (rid 1): {"in":5,"token":"***"} [QoS 0, 22 bytes]',
        ),
        (
            Publish(f"{TO_HUB}twin/res/200/?$rid=7", b'{"desired":{}}'),
            'PUBLISH 200 twin (rid 7): {"desired":{}} [QoS 0, 14 bytes]',
        ),
        (
            Publish(f"{TO_HUB}twin/res/204/?$rid=7&$version=3", b""),
            "PUBLISH 204 reported properties are version 3 (rid 7) [QoS 0, 0 bytes]",
        ),
        (
            Publish(f"{TO_HUB}twin/res/400/?$rid=7", b'{"errorCode":400004}'),
            'PUBLISH 400 twin request refused (rid 7): {"errorCode":400004} [QoS 0, 20 bytes]',
        ),
        (
            Publish(f"{TO_HUB}twin/PATCH/properties/desired/?$version=8", b'{"$version":8}'),
            'PUBLISH desired properties, version 8: {"$version":8} [QoS 0, 14 bytes]',
        ),
    ],
)
def test_what_a_service_says(packet, words):
    assert told(packet, sent=True) == words


def test_an_assignment_names_the_hub_the_device_and_how_it_came():
    words = told(dps_answer(200, ASSIGNED), sent=True)
    assert words.startswith(
        "PUBLISH 200 assigned to localhost as pump-7 (initialAssignment) (rid 1) [QoS 1, id 3, "
    )


def test_connect_tells_of_its_token_all_but_the_signature():
    token = sas_token(hub.resource(HUB, "dev-1"), b"k" * 32, int(NOW) + 7200, "device")
    signature = token.partition("sig=")[2].partition("&")[0]
    connect = Connect(
        "dev-1", hub.username(HUB, "dev-1"), token.encode(), 0, False, Will("t", b"")
    )
    words = told(connect)
    assert words == (
        f"CONNECT client ID 'dev-1', user '{HUB}/dev-1/?api-version={hub.API_VERSION}',"
        " no keep-alive, keeps its session, will to 't', QoS 0,"
        f" token: sr {hub.resource(HUB, 'dev-1').replace('/', '%2F')}, se {int(NOW) + 7200},"
        " skn device, good for 2 h"
    )
    assert signature not in words


@pytest.mark.parametrize(
    ("password", "words"),
    [
        (None, "no password"),
        (b"s3cret", "its password is not a SAS token"),
        (b"SharedAccessSignature sig=s3cret", "token: "),
        (
            b"SharedAccessSignature sr=a&sig=s3cret&se=1699999990",
            "token: sr a, se 1699999990, expired 10 s ago",
        ),
        (b"SharedAccessSignature se=x&sr=k%3Ds3cret&key=s3cret", "token: sr k%3Ds3cret, se x"),
    ],
)
def test_a_password_that_is_no_good_token(password, words):
    assert told(Connect("d", "u", password)).endswith(f"clean session, {words}".rstrip())


@settings(deadline=None)  # not a matter of time
@given(st.binary(max_size=300), st.binary(min_size=12, max_size=200), st.booleans())
def test_no_password_is_ever_kept(body, password, well_formed):
    trace = a_trace()
    if well_formed:
        body = Connect("dev-1", "u", password).encode()
        ((_, body),) = Framer().feed(body)
    else:
        body += password
    trace.received(0x10, body, NOW)
    kept = trace.lines()[-1].entry.data
    assert not isinstance(kept, bytes | str)
    assert kept is None or kept.connect.password is None
    assert repr(password)[2:-1] not in repr(kept)


@settings(deadline=None)  # not a matter of time
@given(st.integers(0, 255), st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_become_lines(first, body, sent):
    trace = a_trace()
    trace.received(first, body, NOW)
    trace.sent(sent, NOW + 1)
    trace.ended(body.decode("latin-1"), NOW + 2)
    for line in trace.lines():
        assert line.text().isprintable()
        assert line.styled().plain == line.text_among_others()
        assert "\n" not in line.json()
