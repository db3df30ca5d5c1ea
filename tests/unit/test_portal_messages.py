"""What the portal has a device told: its twin, messages and methods, without a browser."""

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.emulator.hub.merge import merged
from host_tools.emulator.portal.forms import FormError
from host_tools.emulator.portal.pages.messages import properties
from host_tools.emulator.portal.pages.twin import difference
from tests.unit.portal_bench import NOW, OF, text_of


def test_the_twin_is_edited_by_differences(visitor):
    visitor.hub.patch_twin("sn-1", {"properties": {"desired": {"a": 1, "b": {"c": 2}}}}, NOW)
    etag = visitor.hub.twin("sn-1").etag
    desired = '{"b": {"c": 2, "d": 3}}'
    said = visitor.done(f"/device/twin/save{OF}", desired=desired, tags="{}", etag=etag)
    assert "The device reads it when it is back" in said
    twin = visitor.hub.twin("sn-1")
    assert twin.desired == {"b": {"c": 2, "d": 3}}
    assert (twin.desired_section.version, twin.tags) == (3, {})
    said = visitor.done(f"/device/twin/save{OF}", desired=desired, tags="", etag=twin.etag)
    assert "Nothing was changed" in said
    said = visitor.done(f"/device/twin/save{OF}", desired=desired, tags='{"x": 1}', etag=twin.etag)
    assert "the device hears nothing" in said


@pytest.mark.parametrize("text", ['{"a b": 1}', '{"$x": 1}', '{"a": "%s"}' % ("x" * 5000)])
def test_what_the_service_refuses_is_told_in_its_words(text, visitor):
    etag = visitor.hub.twin("sn-1").etag
    page = visitor.refused(f"/device/twin/save{OF}", 400, desired=text, tags="", etag=etag)
    assert 'role="alert"' in page


def test_an_edit_of_what_changed_meanwhile_is_told_and_kept(visitor):
    etag = visitor.hub.twin("sn-1").etag
    visitor.hub.patch_twin("sn-1", {"tags": {"site": "Ulm"}}, NOW)
    page = visitor.refused(
        f"/device/twin/save{OF}", 412, desired='{"mine": 1}', tags="", etag=etag
    )
    assert "Somebody changed the twin while you edited it" in page
    assert "{&#34;mine&#34;: 1}</textarea>" in page
    assert visitor.hub.twin("sn-1").etag in html.unescape(page)


JSON = st.recursive(
    st.integers() | st.booleans() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=2), JSON, max_size=4)


@given(OBJECTS, OBJECTS)
def test_a_difference_makes_the_new_of_the_old(old, new):
    assert merged(old, difference(old, new)) == new
    assert difference(new, new) == {}


def test_a_message_is_queued_and_purged(visitor):
    said = visitor.done(
        f"/device/messages/send{OF}", body="a\r\nb", ack="full", properties="x=1", expires="60"
    )
    assert "Kept until the device is back. 1 message" in said
    assert visitor.hub.pending("sn-1") == 1
    assert "1 message deleted" in visitor.done(f"/device/messages/purge{OF}")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"expires": "0"}, 422),
        ({"ack": "maybe"}, 422),
        ({"properties": "=x"}, 422),
        ({"properties": "a=1\na=2"}, 422),
        ({"body": "x" * 70_000}, 413),
    ],
)
def test_a_message_that_can_not_be_sent_is_told_why(fields, status, visitor):
    visitor.refused(f"/device/messages/send{OF}", status, **{"ack": "none", "body": "x", **fields})


def test_properties_are_typed_a_line_each():
    assert properties("a = 1\n\nb=\nc\nd==\n") == {"a": "1", "b": "", "c": None, "d": "="}
    for text in ("=1", "  =", "a\na=1"):
        with pytest.raises(FormError, match=r"Line \d"):
            properties(text)


def test_a_method_on_a_device_that_is_away_fails_with_its_code(visitor):
    said = text_of(visitor.done(f"/device/methods/invoke{OF}", method="reboot"))
    assert "reboot" in said
    assert "404103" in said
    for fields in ({"method": ""}, {"response_timeout": "4"}, {"payload": "{"}):
        visitor.refused(f"/device/methods/invoke{OF}", 422, **{"method": "reboot", **fields})
