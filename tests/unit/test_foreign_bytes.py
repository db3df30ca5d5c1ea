"""Parsers of the firmware and foreign bytes: whatever comes, they answer or name a failure."""

import json
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keystead import dps, hub, percent
from keystead.catalogue import entry
from keystead.failure import Failure
from keystead.record import FactoryRecord, unpack
from keystead.registration_id import InvalidRegistrationID, check, parse_mac

MAC = b"\xa1\xb2\xc3\xd4\xe5\xf6"
names = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=128)
keys = st.binary(min_size=16, max_size=64)
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["operationId", "status", "registrationState", "assignedHub", "deviceId", "errorCode",
             "errorMessage", "message", "payload", "substatus", "x"]
        )
        | st.text(max_size=3),
        inner,
        max_size=6,
    ),
    max_leaves=12,
)  # fmt: skip


@given(st.binary(max_size=700))
def test_any_bytes_are_a_record_or_a_named_failure(blob: bytes) -> None:
    try:
        unpack(blob, MAC)
    except Failure as failure:
        assert entry(failure.reason)[0] // 10 == 2


@given(names, names, keys, st.just(b"") | keys, names)
def test_a_record_comes_back_as_it_was_packed(
    id_scope: str, name: str, primary: bytes, secondary: bytes, endpoint: str
) -> None:
    blob = FactoryRecord(MAC, id_scope, name, primary, secondary, endpoint).pack()
    back = unpack(blob, MAC)
    assert (back.id_scope, back.registration_id, back.endpoint) == (id_scope, name, endpoint)
    assert back.pack() == blob
    assert back.keys() == [primary, secondary]


@given(names, keys, st.data())
def test_no_damage_of_a_record_goes_unseen(name: str, key: bytes, data: Any) -> None:
    blob = bytearray(FactoryRecord(MAC, "0ne1", name, key).pack())
    place = data.draw(st.integers(0, len(blob) - 1))
    blob[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Failure):
        unpack(bytes(blob), MAC)


def story(topic: str, body: bytes, chance: float) -> None:
    registration = dps.Registration("sn-1")
    registration.request()
    try:
        wait = registration.receive(topic, body, chance)
    except Failure as failure:
        assert entry(failure.reason)
        return
    assert wait is None or 0 <= wait <= 7200
    if registration.assignment:
        assert registration.assignment.hub
        assert registration.assignment.device_id


@given(st.text(max_size=80), st.binary(max_size=200), st.floats(0, 1, exclude_max=True))
def test_any_message_is_an_answer_or_a_named_failure(
    topic: str, body: bytes, chance: float
) -> None:
    story(topic, body, chance)


@given(st.integers(0, 999), st.text(max_size=12), documents)
@example(200, "3", {"registrationState": {"status": "assigned", "assignedHub": "", "deviceId": 1}})
@example(202, "\u00b2", {"operationId": "o", "status": "assigning"})
@example(401, "", {"errorCode": True, "message": []})
def test_any_document_is_an_answer_or_a_named_failure(
    status: int, retry_after: str, document: Any
) -> None:
    topic = f"$dps/registrations/res/{status}/?$rid=1&retry-after={retry_after}"
    story(topic, json.dumps(document).encode(), 0.5)


@given(st.text())
def test_any_text_is_quoted_as_rfc_3986_asks(text: str) -> None:
    assert percent.quote(text) == quote(text, safe="")


@given(st.dictionaries(st.text(min_size=1), st.none() | st.text(), max_size=5))
def test_a_property_bag_can_be_taken_apart_again(properties: dict[str, str | None]) -> None:
    names = hub.SYSTEM_PROPERTIES
    back = {}
    for pair in hub.property_bag(properties).split("&") if properties else []:
        name, equals, value = pair.partition("=")
        back[unquote(name)] = unquote(value) if equals else None
    assert back == {names.get(name, name): value for name, value in properties.items()}


@given(st.text(max_size=140), st.booleans())
def test_any_text_is_a_registration_id_or_refused_with_a_reason(text: str, wide: bool) -> None:
    try:
        assert check(text, wide) == text
        assert 0 < len(text) <= 128
        assert text.isascii()
    except InvalidRegistrationID as error:
        assert "registration ID" in str(error)


@given(st.text(max_size=20))
def test_any_text_is_a_mac_or_refused(text: str) -> None:
    try:
        assert len(parse_mac(text)) == 6
    except ValueError as error:
        assert "six bytes in hex" in str(error)


@given(st.integers(1, 200), st.floats(0, 1, exclude_max=True))
def test_a_back_off_stays_under_its_ceiling(attempt: int, chance: float) -> None:
    from keystead.backoff import backoff

    assert 0 <= backoff(attempt, chance) < 300
    assert backoff(attempt, chance) <= backoff(attempt + 1, chance)
