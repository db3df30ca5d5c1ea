"""What an AMQP message says in IoT Hub's terms, and what feedback says in AMQP's."""

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from amqp_line import NOW, Line, hello
from hypothesis import given
from hypothesis import strategies as st

from host_tools.emulator.amqp import feedback, message
from host_tools.emulator.amqp.devicebound import cloud_message
from host_tools.emulator.amqp.errors import INVALID_FIELD, NOT_IMPLEMENTED, MessageRefused
from host_tools.emulator.amqp.message import Message, Properties
from host_tools.emulator.amqp.messaging import Accepted, Rejected
from host_tools.emulator.amqp.refusals import ARGUMENT_ERROR
from host_tools.emulator.amqp.values import Described, Symbol, Timestamp
from host_tools.emulator.hub.messages import CloudMessage, Feedback, Outcome


def test_every_property_has_its_place() -> None:
    sent = Message(
        Properties(
            message_id="m1",
            user_id=b"me",
            correlation_id=UUID(int=1),
            content_type="application/json",
            content_encoding="utf-8",
            absolute_expiry_time=Timestamp(1_700_000_060_500),
        ),
        {"iothub-ack": "full", "alarm": "high", "empty": "", "none": None},
        body=b"{}",
    )
    assert cloud_message(sent) == CloudMessage(
        b"{}",
        message_id="m1",
        correlation_id="00000000-0000-0000-0000-000000000001",
        user_id="me",
        content_type="application/json",
        content_encoding="utf-8",
        ack="full",
        expires=1_700_000_060.5,
        properties={"alarm": "high", "empty": "", "none": None},
    )


def test_what_is_not_said_has_its_default() -> None:
    assert cloud_message(Message()) == CloudMessage(b"")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        (Symbol("sym"), "sym"),
        (b"bytes", "bytes"),
        (Timestamp(0), "1970-01-01T00:00:00.000+00:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_properties_of_other_types_become_texts(value: Any, text: str) -> None:
    assert cloud_message(Message(application={"p": value})).properties == {"p": text}


@pytest.mark.parametrize(("body", "data"), [(b"\xff", b"\xff"), ("ü", b"\xc3\xbc"), (None, b"")])
def test_a_body_is_data_or_a_string_or_nothing(body: Any, data: bytes) -> None:
    assert cloud_message(message.parse(Message(body=body).encode())).body == data


@pytest.mark.parametrize(
    ("sent", "condition"),
    [
        (Message(body={"a": 1}), NOT_IMPLEMENTED),
        (Message(body=5), NOT_IMPLEMENTED),
        (Message(application={"p": b"\xff"}), ARGUMENT_ERROR),
        (Message(application={"p": [1]}), ARGUMENT_ERROR),
        (Message(application={"p": Described(1, 2)}), ARGUMENT_ERROR),
        (Message(application={"p": Timestamp(1 << 62)}), ARGUMENT_ERROR),
        (Message(application={"iothub-ack": "sometimes"}), ARGUMENT_ERROR),
        (Message(Properties(absolute_expiry_time=Timestamp(1 << 62))), ARGUMENT_ERROR),
        (Message(Properties(absolute_expiry_time=Timestamp(-(1 << 62)))), ARGUMENT_ERROR),
        (Message(Properties(user_id=b"\xff")), ARGUMENT_ERROR),
        (Message(Properties(message_id=b"\xff")), ARGUMENT_ERROR),
    ],
)
def test_what_no_device_could_hear_is_refused(sent: Message, condition: str) -> None:
    with pytest.raises(MessageRefused) as caught:
        cloud_message(sent)
    assert caught.value.condition == condition


@pytest.mark.parametrize(
    ("to", "device_id"),
    [
        ("/devices/dev-1/messages/devicebound", "dev-1"),
        ("/devices/dev-1/messages/deviceBound", "dev-1"),
        ("devices/dev-1/messages/deviceBound", "dev-1"),
        ("amqps://hub.azure-devices.net/devices/dev-1/messages/devicebound", "dev-1"),
        ("/devices/a%2Bb%23c%25/messages/devicebound", "a+b#c%"),
        ("/devices/a+b#c%/messages/devicebound", "a+b#c%"),
        ("/devices/Dev-1/messages/devicebound", "Dev-1"),
    ],
)
def test_to_names_the_device_encoded_or_not(to: str, device_id: str) -> None:
    line = Line().sender()
    (settled,) = line.say(line.transfer(Message(Properties(to=to), body=b"x")))
    assert settled.state == Accepted()
    assert line.door.sent == [(device_id, CloudMessage(b"x"))]


@pytest.mark.parametrize(
    "to",
    [
        None,
        5,
        "",
        "dev-1",
        "/devices//messages/devicebound",
        "/devices/dev-1/modules/m/messages/devicebound",
        "/devices/dev-1/messages/devicebound/",
        "/devices/dev-1/messages/events",
    ],
)
def test_to_anywhere_else_is_refused(to: Any) -> None:
    line = Line().sender()
    (settled,) = line.say(line.transfer(replace(hello(), properties=Properties(to=to))))
    assert isinstance(settled.state, Rejected)
    assert settled.state.error is not None
    assert settled.state.error.condition == INVALID_FIELD


@given(
    st.dictionaries(
        st.text(), st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    ),
    st.none() | st.text() | st.binary(),
    st.none() | st.text() | st.binary() | st.integers() | st.lists(st.integers()),
)
def test_any_message_is_one_of_the_hubs_or_refused(
    application: dict[str, Any], user_id: Any, body: Any
) -> None:
    try:
        taken = cloud_message(Message(Properties(user_id=user_id), application, body=body))
    except MessageRefused as refused:
        assert refused.condition in (ARGUMENT_ERROR, NOT_IMPLEMENTED)
        return
    assert all(isinstance(value, str | None) for value in taken.properties.values())
    assert "iothub-ack" not in taken.properties


def test_feedback_is_what_sdks_read() -> None:
    records = [
        Feedback(NOW, "m1", "dev-1", "g1", Outcome.SUCCESS),
        Feedback(NOW + 1.5, "m2", "dev-2", "g2", Outcome.EXPIRED),
    ]
    batch = message.parse(feedback.batch("hub.azure-devices.net", records).encode())
    assert batch.properties.content_type == "application/vnd.microsoft.iothub.feedback.json"
    assert batch.properties.user_id == b"hub.azure-devices.net"
    assert batch.annotations == {"iothub-enqueuedtime": Timestamp((NOW + 1.5) * 1000)}
    assert json.loads(batch.body) == [
        {
            "originalMessageId": "m1",
            "deviceId": "dev-1",
            "deviceGenerationId": "g1",
            "enqueuedTimeUtc": "2023-11-14T22:13:20.0000000Z",
            "statusCode": "Success",
            "description": "Success",
        },
        {
            "originalMessageId": "m2",
            "deviceId": "dev-2",
            "deviceGenerationId": "g2",
            "enqueuedTimeUtc": "2023-11-14T22:13:21.5000000Z",
            "statusCode": "Expired",
            "description": "Expired",
        },
    ]
