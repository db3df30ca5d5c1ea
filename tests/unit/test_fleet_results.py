"""What a fleet's figures say: counted, ordered and worded; no figure is measured here."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from host_tools.fleet import report
from host_tools.fleet.plan import Member
from host_tools.fleet.results import Outcome, Spell, Summary, percentile
from keystead.failure import Failure


def outcome(number, **fields):
    return Outcome(Member(f"fleet-{number}", bytes(32)), **fields)


def good(number, assigned, connected):
    return outcome(number, connections=2, assigned=assigned, connected=connected)


THROTTLED = Failure("dps-throttled", code=429)
MIXED = Summary(
    [
        good(1, 1.0, 2.0),
        good(2, 3.0, 4.0),
        outcome(3, failure=THROTTLED),
        outcome(4, failure=Failure("hub-refused", "CONNACK 5", 5), assigned=1.5, connections=1),
        outcome(5, failure=THROTTLED),
    ],
    boot=4.0,
)


def shown(summary, **console):
    out = io.StringIO()
    report.show(Console(file=out, highlight=False, **console), summary.document())
    return out.getvalue()


def test_devices_are_counted_by_how_far_they_came():
    document = MIXED.document()
    counts = [document[name] for name in ("devices", "assigned", "connected", "failed")]
    assert counts == [5, 3, 2, 3]
    assert document["connections"] == 5
    assert document["connections_per_second"] == 1.2


def test_failures_are_counted_by_reason_the_most_frequent_first():
    first, second = MIXED.failures()
    assert (first["reason"], first["count"], first["example"]) == ("dps-throttled", 2, "fleet-3")
    assert (second["code"], second["detail"]) == (5, "CONNACK 5")
    assert first["happened"] == "DPS is overloaded and asks to wait"


def test_a_device_that_began_later_is_not_slower():
    late = outcome(1, began=10.0, assigned=12.0, connected=13.0)
    document = Summary([late], boot=13.0).document()
    assert document["seconds_to_assigned"]["median"] == 2
    assert document["seconds_to_connected"]["longest"] == 3


def test_a_fleet_that_got_nowhere_has_no_times():
    document = Summary([outcome(1, failure=THROTTLED)], boot=0.0).document()
    assert document["seconds_to_assigned"] is None
    assert document["connections_per_second"] == 0


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_percentiles_are_numbers_that_were_there(numbers):
    ordered = sorted(numbers)
    found = [percentile(ordered, percent) for percent in (50, 90, 99, 100)]
    assert set(found) <= set(numbers)
    assert found == sorted(found)
    assert found[-1] == max(numbers)


@pytest.mark.parametrize(("percent", "number"), [(50, 50), (90, 90), (99, 99), (100, 100)])
def test_a_percentile_is_the_nearest_rank(percent, number):
    assert percentile(range(1, 101), percent) == number


def test_messages_have_a_rate():
    talk = Spell(2.0)
    talk.times.extend([0.25, 0.5, 0.125, 0.5])
    messages = Summary([], 1.0, talk=talk).document()["messages"]
    assert (messages["acknowledged"], messages["per_second"]) == (4, 2)
    assert messages["seconds_to_acknowledged"]["longest"] == 0.5


def test_people_see_counts_times_and_reasons():
    text = shown(MIXED)
    assert "5 devices: 3 assigned, 2 connected in 4.0 s" in text
    assert "3 failed" in text
    assert "2 x dps-throttled (429)" in text
    assert "fleet-4: CONNACK 5" in text
    assert "connected after" in text


def test_a_fleet_that_asked_no_dps_is_not_said_to_be_assigned():
    assert "assigned" not in shown(Summary([good(1, None, 1.0)], 1.0, asked_dps=False))


def test_a_pipe_gets_no_colours_and_a_terminal_does():
    assert "\x1b" not in shown(MIXED)
    assert "\x1b" in shown(MIXED, force_terminal=True)


def test_the_document_is_json_without_a_key():
    text = json.dumps(MIXED.document())
    assert "key" not in text
