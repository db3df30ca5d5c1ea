"""Replay: a chain of events that somebody wrote anew, every hash of it right, is found out."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from host_tools.batch import Batch, Unit
from host_tools.ledger import Event, Tampered, chain, open_ledger
from host_tools.ledger.replay import Replay

ONE, TWO = bytes((2, 0, 0, 0, 0, 1)), bytes((2, 0, 0, 0, 0, 2))


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    """Created, two batches, two boards; the first of them is made."""
    place = str(tmp_path_factory.mktemp("ledger") / "factory.db")
    with open_ledger(place, "line-1", create=True) as ledger:
        for name in ("A", "B"):
            units = [Unit(f"{name.lower()}{number}", line=number + 1) for number in (1, 2)]
            ledger.create_batch(Batch(name, "ESP32_GENERIC_C3", "0ne00002193"), units)
        first = ledger.reserve("A", ONE, "esp32c3")
        ledger.reserve("A", TWO, "esp32c3")
        attempt = ledger.begin_attempt(first.registration_id)
        for kind in ("flashed", "proven", "good"):
            ledger.append(first.registration_id, kind, attempt=attempt)
        return list(ledger.events())


def anew(events: Iterable[Event]) -> list[Event]:
    """The same events as a chain of their own."""
    made, last = [], (0, chain.START)
    for event in events:
        one = chain.follow(
            last, event.at, event.station, event.kind, event.registration_id, event.facts
        )
        made.append(one)
        last = one.number, one.hash
    return made


def fed(events: Iterable[Event]) -> Replay:
    replay = Replay()
    for event in events:
        replay.feed(event, chain.canonical(event.facts))
    return replay


def like(event: Event, name: str | None = None, **facts: Any) -> Event:
    """An event with some facts changed."""
    named = event.registration_id if name is None else name
    return replace(event, registration_id=named, facts={**event.facts, **facts})


def test_what_a_ledger_wrote_is_in_order_and_so_is_the_same_chain_made_anew(
    events: list[Event],
) -> None:
    assert anew(events) == events
    assert fed(events).number == len(events) == 9
    [first, second] = fed(events).identities.values()
    assert (first["state"], second["state"]) == ("good", "reserved")


def test_an_event_that_got_a_new_hash_of_its_own_does_not_lead_to_the_next(
    events: list[Event],
) -> None:
    at = 6  # flashed
    other = anew([*events[:at], like(events[at], bytes=7)])
    with pytest.raises(Tampered, match=f"event {at + 2}: does not follow"):
        fed([*other, *events[at + 1 :]])


GIVEN = "its MAC or its serial was given away before"
OTHER = {"mac": "02:00:00:00:00:09", "batch": "B", "place": 1, "serial": "b1"}
OLD_MAC, OLD_PLACE = {"mac": "02:00:00:00:00:01"}, {"batch": "A", "place": 1, "serial": "a1"}
Forge = Callable[[list[Event]], Event]
FORGERIES: dict[str, tuple[Forge, str]] = {
    "an ID twice": (lambda events: like(events[3], **OTHER), GIVEN),
    "an ID in capitals": (
        lambda events: like(events[3], str(events[3].registration_id).upper(), **OTHER),
        GIVEN,
    ),
    "a MAC twice": (lambda events: like(events[3], "sn-x", **{**OTHER, **OLD_MAC}), GIVEN),
    "a serial twice": (lambda events: like(events[3], "sn-x", **{**OTHER, **OLD_PLACE}), GIVEN),
    "of no batch": (
        lambda events: like(events[3], "sn-x", **{**OTHER, "batch": "C"}),
        "there was no batch C",
    ),
    "a batch twice": (lambda events: events[2], "batch B was planned before"),
    "two beginnings": (lambda events: events[0], "the first is created"),
    "of no board": (lambda events: replace(events[6], registration_id=None), "is of no board"),
    "of an attempt that is over": (lambda events: events[7], "attempt 1 is over"),
    "good without an attempt": (
        lambda events: like(events[8], events[4].registration_id),
        "the event is of attempt 1, the board is at 0",
    ),
}


@pytest.mark.parametrize(("forge", "why"), FORGERIES.values(), ids=FORGERIES)
def test_a_forged_event_at_the_end_of_a_right_chain_is_found(
    events: list[Event], forge: Forge, why: str
) -> None:
    forged = anew([*events, forge(events)])
    with pytest.raises(Tampered, match=rf"event 10: was not written by keystead \(.*{why}"):
        fed(forged)


def test_another_board_at_the_end_of_a_right_chain_is_none(events: list[Event]) -> None:
    assert len(fed(anew([*events, like(events[3], "sn-x", **OTHER)])).identities) == 3


def test_a_board_that_is_good_without_its_proof_is_found(events: list[Event]) -> None:
    forged = anew([event for event in events if event.kind != "proven"])
    with pytest.raises(Tampered, match=r"event 8: .*has not proven its key"):
        fed(forged)
