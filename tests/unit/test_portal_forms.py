"""What a form says, and what is said about a form that can not be taken."""

import json
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from host_tools.emulator.portal.forms import Form, FormError, parse, parse_json
from host_tools.emulator.portal.guard import Turned


def form(**fields: str) -> Form:
    return parse(urlencode(fields).encode())


def complaint(ask) -> tuple[str, str]:
    with pytest.raises(FormError) as caught:
        ask()
    return caught.value.field, str(caught.value)


def test_fields_come_as_they_were_typed():
    assert form(name="  a b+c%\u00e4 ").raw("name") == "  a b+c%\u00e4 "
    assert form(name="  a b ").text("name") == "a b"


def test_line_ends_are_one_character_as_devices_expect():
    assert form(body="one\r\ntwo\r\n").raw("body") == "one\ntwo\n"


def test_a_field_that_was_left_out_is_empty():
    assert form().raw("name") == ""
    assert form().text("name", "default") == "default"
    assert not form().ticked("name")


def test_a_field_may_be_needed():
    said = complaint(lambda: form(name=" ").needed("name", "The name"))
    assert said == ("name", "The name is missing.")


def test_a_choice_is_one_of_the_page():
    assert form(way="group").choice("way", ("device", "group")) == "group"
    field, _ = complaint(lambda: form(way="other").choice("way", ("device", "group")))
    assert field == "way"


def test_several_are_in_the_order_of_the_page():
    ticked = parse(b"hubs=b&hubs=a&hubs=x")
    assert ticked.several("hubs", ("a", "b", "c")) == ("a", "b")


@pytest.mark.parametrize("text", ["4", "301", "-5", "5.5", "0x10", "\u0665", "9" * 30, "five"])
def test_a_number_outside_of_its_range_is_told_the_range(text):
    said = complaint(lambda: form(wait=text).number("wait", 5, 300, 30))
    assert said == ("wait", "Give a whole number from 5 to 300.")


def test_a_number_has_a_default():
    assert form(wait="").number("wait", 5, 300, 30) == 30
    assert form(wait="300").number("wait", 5, 300, 30) == 300


def test_json_that_is_none_is_shown_its_line_and_column():
    field, said = complaint(lambda: form(tags='{\n  "a": 1,\n}').json("tags"))
    assert field == "tags"
    assert "line 3, column 1" in said or "line 2" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1, "a": 2}', '"a" is there twice in one object.'),
        ('{"a": NaN}', "NaN is not JSON."),
        ('{"a": -Infinity}', "-Infinity is not JSON."),
        ('{"a": 1e999}', "A number in it is too large."),
        ('{"a": ' + "9" * 5000 + "}", "A number in it is too long."),
        ("[" * 100_000, "This is nested too deep."),
    ],
)
def test_json_beyond_the_standard_is_told_why(text, said):
    assert complaint(lambda: parse_json("x", text)) == ("x", said)


def test_an_object_is_no_list():
    assert form(tags="").json_object("tags") == {}
    _, said = complaint(lambda: form(tags="[1]").json_object("tags"))
    assert "must be a JSON object" in said


@given(st.binary())
@example(b"a=%ff")
@example(b"&".join([b"a=1"] * 200))
def test_whatever_comes_is_a_form_or_turned_away(body):
    try:
        parsed = parse(body)
    except Turned as turned:
        assert turned.status == 400
        return
    assert isinstance(parsed.raw("a"), str)


@given(st.text())
@example("[" * 5000)
@example('"\\ud800"')
def test_whatever_is_typed_is_json_or_told_why(text):
    try:
        value = parse_json("x", text)
    except FormError as error:
        assert str(error).endswith(".")
        return
    assert json.loads(json.dumps(value)) == value


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.text(st.characters(exclude_categories=["Cs"])),
    )
)
def test_what_was_encoded_is_read(fields):
    parsed = parse(urlencode(dict(list(fields.items())[:50])).encode())
    for name, value in list(fields.items())[:50]:
        assert parsed.raw(name) == value.replace("\r\n", "\n")
