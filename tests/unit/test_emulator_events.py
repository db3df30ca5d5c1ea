"""What the cloud tells: for people in a line, for scripts in JSON, and never a secret."""

import json

import pytest

from host_tools.emulator.access import Reason
from host_tools.emulator.events import (
    Assigned,
    Connected,
    Disconnected,
    Dropped,
    Failed,
    Refused,
    Registering,
    Telemetry,
)

AT = 1_700_000_000.25
HUB = "test-docs-hub.azure-devices.net"
LINES = {
    Connected(AT, "DPS", "dev-1", "2019-03-31"): "dev-1 connected to DPS",
    Disconnected(AT, HUB, "dev-1", "it said goodbye"): (
        f"dev-1 disconnected from {HUB}: it said goodbye"
    ),
    Dropped(AT, "127.0.0.1:5", "TLS: unknown ca"): (
        "connection from 127.0.0.1:5 dropped: TLS: unknown ca"
    ),
    Registering(AT, "dev-1", "enrollment group g"): "dev-1 registers under enrollment group g",
    Assigned(AT, "dev-1", "dev-1", HUB, HUB, "enrollment group g", "initialAssignment"): (
        f"dev-1 assigned to {HUB} (initialAssignment)"
    ),
    Assigned(AT, "dev-1", "pump-7", HUB, "localhost", "its own", "initialAssignment"): (
        f"dev-1 assigned to {HUB}, told localhost, as pump-7 (initialAssignment)"
    ),
    Refused(AT, "DPS", "dev-1", Reason.GROUP_KEY, "error 401002"): (
        "dev-1 refused by DPS (error 401002): the token is signed with the group key itself:"
        " derive the device key from it"
    ),
    Telemetry(AT, HUB, "dev-1", b'{"t":1}', "%24.ct=application%2Fjson&a&b="): (
        'dev-1 sent telemetry: {"t":1} [$.ct=application/json, a, b=]'
    ),
    Telemetry(AT, HUB, "dev-1", b"\x1b[31m\n\xff", ""): "dev-1 sent telemetry: .[31m.\ufffd",
    Telemetry(AT, HUB, "dev-1", '{"t":"21 °C\u202e"}'.encode(), "ort=K%C3%B6ln"): (
        'dev-1 sent telemetry: {"t":"21 °C."} [ort=Köln]'
    ),
    Telemetry(AT, HUB, "dev-1", b"x" * 1000, ""): "dev-1 sent telemetry: " + "x" * 160,
    Failed(AT, "DPS", "dev-1", "its assignment can not be kept: disk is full", "error 500001"): (
        "dev-1 could not be served by DPS (error 500001): its assignment can not be kept:"
        " disk is full"
    ),
    Refused(AT, "DPS", "\x1b[31m\n", Reason.BAD_USERNAME, "CONNACK 4"): (
        ".[31m. refused by DPS (CONNACK 4): the user name is neither DPS's nor an IoT Hub's"
    ),
}


@pytest.mark.parametrize(("event", "line"), list(LINES.items()), ids=range(len(LINES)))
def test_an_event_is_a_line_that_a_terminal_can_show(event, line):
    assert event.line() == line


@pytest.mark.parametrize("event", list(LINES), ids=range(len(LINES)))
def test_an_event_is_a_line_of_json(event):
    text = event.json()
    document = json.loads(text)
    assert "\n" not in text
    assert document["event"] == type(event).__name__.lower()
    assert document["time"] == "2023-11-14T22:13:20.250+00:00"


def test_telemetry_in_json_has_body_and_properties():
    event = Telemetry(AT, HUB, "dev-1", b'{"t":1}', "a=b%20c&d")
    assert event.fields() == {
        "hub": HUB,
        "device_id": "dev-1",
        "body": '{"t":1}',
        "properties": {"a": "b c", "d": None},
    }


def test_a_body_that_is_not_text_is_base64():
    assert Telemetry(AT, HUB, "dev-1", b"\xff\x00", "").fields()["body_base64"] == "/wA="


def test_a_refusal_in_json_has_a_reason_for_scripts_and_words_for_people():
    fields = Refused(AT, "DPS", "dev-1", Reason.WRONG_KEY, "CONNACK 5").fields()
    assert fields["reason"] == "wrong-key"
    assert fields["detail"] == "the token is signed with a wrong key"


def test_a_key_that_is_shown_as_a_name_is_masked():
    key = "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc="
    refused = Refused(0, "DPS", key, Reason.BAD_USERNAME, "CONNACK 4")
    failed = Failed(0, "DPS", key, "no reason", "CONNACK 3")
    for event in (refused, failed):
        assert key not in event.line() + event.json()
