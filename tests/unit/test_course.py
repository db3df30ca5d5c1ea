"""What a device does next, after which failure: the table of the service's guidance."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystead import course
from keystead.catalogue import CATALOGUE
from keystead.failure import Failure

REFUSALS = (
    "dps-refused",
    "dps-unauthorized",
    "dps-unknown",
    "dps-rejected",
    "dps-failed",
    "dps-disabled",
    "hub-refused",
)
NETWORK = ("name-unknown", "unreachable", "no-answer", "connection-lost", "network-down")
MOST = 0.999999


def fail(life: dict, reason: str, at: float = 0, chance: float = MOST, **more: int) -> float:
    return course.failed(life, Failure(reason, **more), at, chance)


@pytest.mark.parametrize("reason", REFUSALS)
def test_a_refused_device_slows_down_to_hours(reason: str) -> None:
    life = course.begin()
    waits = [fail(life, reason) for _ in range(12)]
    assert 59 < waits[0] < 60
    assert waits == sorted(waits)
    assert 14_000 < waits[-1] < 14_400


def test_a_refused_device_asks_dps_less_than_twenty_times_in_its_first_day() -> None:
    life, now, asked = course.begin(), 0.0, 0
    while now < 86_400:
        asked += 1
        now += fail(life, "dps-disabled", now, 0.5)
    assert asked < 20


def test_what_was_not_refused_yet_is_tried_soon_but_only_once() -> None:
    life = course.begin()
    for _ in range(2):
        life["quick"] = 1
        assert fail(life, "dps-unauthorized") < 5
    assert 59 < fail(life, "dps-unauthorized") < 60
    # from here on one key after the other has its turn, ever more seldom
    life["quick"] = 1
    assert 119 < fail(life, "dps-unauthorized") < 120


def test_a_hub_that_refuses_is_forgotten() -> None:
    life = course.begin()
    fail(life, "hub-refused")
    assert life["dps"] == 2
    # and stays so until DPS has said where to go, whatever happens on the way there
    fail(life, "no-answer")
    assert life["dps"] == 2


@pytest.mark.parametrize("reason", NETWORK)
def test_a_network_that_fails_leads_to_the_same_hub_for_twenty_minutes(reason: str) -> None:
    life = course.begin()
    fail(life, reason, 1000)
    fail(life, reason, 1000 + course.PATIENCE)
    assert life["dps"] == 0
    fail(life, reason, 1001 + course.PATIENCE)
    assert life["dps"] == 1


def test_dps_out_of_reach_leads_back_to_the_hub_for_another_twenty_minutes() -> None:
    life = course.begin()
    fail(life, "no-answer", 0)
    fail(life, "no-answer", 1201)
    assert life["dps"] == 1
    fail(life, "no-answer", 1300)
    assert life["dps"] == 0
    fail(life, "no-answer", 2400)
    assert life["dps"] == 0
    fail(life, "no-answer", 2501)
    assert life["dps"] == 1


def test_back_off_on_the_network_ends_at_five_minutes() -> None:
    life = course.begin()
    waits = [fail(life, "unreachable") for _ in range(20)]
    assert waits[0] < 2
    assert 299 < max(waits) < 300


@pytest.mark.parametrize("reason", ["dps-throttled", "dps-unavailable", "hub-unavailable"])
def test_an_overloaded_service_gets_what_it_asks_for_and_more(reason: str) -> None:
    life = course.begin()
    assert fail(life, reason, retry_after=120, chance=0) == 120
    assert 120 < fail(life, reason, retry_after=120) < 130


def test_a_storm_of_429_for_ten_minutes_costs_few_registrations() -> None:
    life, now, asked = course.begin(), 0.0, 0
    while now < 600:
        asked += 1
        now += fail(life, "dps-throttled", now, 0.5, retry_after=5)
    assert asked < 12


@pytest.mark.parametrize(
    "reason", ["dps-unauthorized", "dps-refused", "hub-refused", "tls-expired"]
)
def test_a_refusal_puts_the_clock_in_doubt(reason: str) -> None:
    life = course.begin()
    fail(life, reason)
    assert life["doubt"]
    fail(life, "network-down")  # before anybody could be asked for the time
    assert life["doubt"]
    course.connected(life)
    assert not life["doubt"]


def test_a_connection_that_lasts_makes_all_of_it_history() -> None:
    life = course.begin()
    for _ in range(9):
        fail(life, "dps-unknown")
    course.connected(life)
    assert life["attempt"] == 9  # a hub that lets in and throws out must not be hammered
    course.settled(life)
    assert fail(life, "dps-unknown") < 60


def test_three_short_connections_in_a_row_are_a_habit() -> None:
    life = course.begin()
    assert [course.lost(life, seconds) for seconds in (5, 5, 5, 70, 5, 5, 5)] == [
        False, False, True, False, False, False, True,
    ]  # fmt: skip


@given(name=st.text(max_size=128), seconds=st.integers(0, 86_400))
def test_a_device_has_its_place_in_the_first_rush(name: str, seconds: int) -> None:
    place = course.spread(name, seconds)
    assert 0 <= place <= seconds
    assert place == course.spread(name, seconds)


def test_places_in_the_first_rush_are_spread_evenly() -> None:
    places = [course.spread(f"sn-{n:05}-mac-a1", 100) for n in range(5000)]
    tenths = [sum(10 * n <= place < 10 * n + 10 for place in places) for n in range(10)]
    assert min(tenths) > 400
    assert max(tenths) < 600


@given(
    reasons=st.lists(st.sampled_from([row[1] for row in CATALOGUE]), min_size=1, max_size=40),
    chance=st.floats(0, MOST),
)
def test_no_failure_stops_a_device_for_longer_than_four_hours(
    reasons: list[str], chance: float
) -> None:
    life = course.begin()
    for number, reason in enumerate(reasons):
        assert 0 <= fail(life, reason, number * 60, chance) <= 14_400
