"""The portal's words: counts, addresses, times, names, bodies."""

from hypothesis import given
from hypothesis import strategies as st

from host_tools.emulator.portal.desk import count_of, part_of, url
from host_tools.emulator.portal.render import body_text, pretty, short_host, when, without
from tests.unit.portal_bench import HUB, NOW, text_of


def test_counts_have_their_noun():
    assert count_of(1, "device") == "1 device"
    assert count_of(5000, "device") == "5\u202f000 devices"


def test_addresses_hold_any_name():
    assert url("/device", id="a&b #?") == "/portal/device?id=a%26b+%23%3F"
    assert url("/group", "keys", name="") == "/portal/group#keys"


@given(st.integers(0, 500), st.text())
def test_any_leaf_of_any_list_is_one(count, page):
    part = part_of(range(count), "/x", {"page": page})
    assert len(part["rows"]) <= 50
    assert bool(part["rows"]) == bool(count)


def test_times_are_of_the_day_or_of_the_year():
    assert 'datetime="2023-11-14T22:13:20.000Z"' in when(NOW, NOW)
    assert len(text_of(when(NOW, NOW))) == len("22:13:20")
    assert len(text_of(when(NOW, NOW + 90_000))) == len("2023-11-14 22:13")
    assert when(0, NOW) == "\u2013"


def test_hosts_are_short_in_a_list():
    assert short_host(HUB) == "test-docs-hub"


def test_whose_page_it_is_need_not_be_said():
    assert without("sn-1 connected to x", "sn-1") == "connected to x"
    assert without("sn-1: method m called", "sn-1") == "method m called"
    assert without("sn-10 connected", "sn-1") == "sn-10 connected"
    assert without("sn-1 connected", "") == "sn-1 connected"


def test_bodies_are_shown_as_far_as_they_are_text():
    assert body_text(b"a\xff\x00\nb") == "a\ufffd\ufffd\nb"
    assert body_text(b"x" * 50, longest=3) == "xxx\u2026"


@given(st.text() | st.just("\ud800"))
def test_json_is_always_utf_8(text):
    pretty({text: [text]}).encode()
