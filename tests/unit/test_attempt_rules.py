"""The rules of attempts, event by event, without a database: what a board has to go through."""

import pytest

from host_tools.ledger import BadEvent, LedgerError, Scrapped, Unproven, WrongAttempt
from host_tools.ledger.rules import BEGINNINGS, ENDS, NOTES, STEPS, Standing, after

NAME = "sn-1"


def told(*kinds: str, start: Standing | None = None) -> Standing:
    """How a board stands after these events, each of the attempt that is under way."""
    standing = start or Standing()
    for kind in kinds:
        number = standing.attempt + (kind in BEGINNINGS)
        standing = after(standing, NAME, kind, {"attempt": number})
    return standing


@pytest.mark.parametrize("beginning", BEGINNINGS)
@pytest.mark.parametrize(
    "before",
    [
        ("flashing", "proven"),
        ("flashing", "proven", "good"),
        ("flashing", "proven", "failed"),
        ("retrofitting", "proven", "good", "scrapped", "restored"),
    ],
    ids=" ".join,
)
def test_a_proof_counts_in_its_own_attempt_only(before: tuple[str, ...], beginning: str) -> None:
    again = told(*before, beginning)
    assert not again.proven
    with pytest.raises(Unproven, match="sn-1 has not proven its key in this attempt"):
        told("flashed", "verified", "booted", "registered", "good", start=again)
    assert told("proven", "good", start=again).state == "good"


@pytest.mark.parametrize("kind", [*STEPS, *ENDS])
def test_before_the_first_attempt_and_after_the_last_nothing_happens_to_a_board(kind: str) -> None:
    for standing in (told(), told("flashing", "failed"), told("flashing", "proven", "good")):
        with pytest.raises(WrongAttempt):
            after(standing, NAME, kind, {"attempt": standing.attempt})


@pytest.mark.parametrize("number", [None, 0, 2, -1, 1.5, "1", True, [1]])
def test_an_event_of_another_attempt_or_of_none_is_refused(number: object) -> None:
    facts = {} if number is None else {"attempt": number}
    with pytest.raises(WrongAttempt):
        after(told("flashing"), NAME, "flashed", facts)
    with pytest.raises(WrongAttempt):
        after(Standing(), NAME, "flashing", facts)


@pytest.mark.parametrize("kind", [*BEGINNINGS, *STEPS, *ENDS, "scrapped"])
def test_a_scrapped_board_is_out(kind: str) -> None:
    standing = after(told("flashing"), NAME, "scrapped", {"reason": "cracked"})
    assert (standing.state, standing.reason, standing.running) == ("scrapped", "cracked", False)
    with pytest.raises(Scrapped, match=r"sn-1 was scrapped \(cracked\)"):
        after(standing, NAME, kind, {"attempt": standing.attempt + (kind in BEGINNINGS)})


def test_only_what_was_scrapped_is_restored_and_begins_anew() -> None:
    assert told("flashing", "proven", "scrapped", "restored") == Standing("reserved", attempt=1)
    for kinds in ((), ("flashing",), ("flashing", "proven", "good")):
        with pytest.raises(BadEvent):
            told(*kinds, "restored")


@pytest.mark.parametrize("kind", NOTES)
@pytest.mark.parametrize("kinds", [(), ("flashing", "proven"), ("flashing", "scrapped")])
def test_a_note_changes_nothing(kind: str, kinds: tuple[str, ...]) -> None:
    standing = told(*kinds)
    assert after(standing, NAME, kind, {}) == standing


@pytest.mark.parametrize("kind", ["", "created", "batch", "reserved", "imported", "Good"])
def test_what_is_no_event_of_a_board_is_refused(kind: str) -> None:
    with pytest.raises(LedgerError):
        after(Standing(), NAME, kind, {"attempt": 1})
