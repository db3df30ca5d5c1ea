"""Rules: which event may follow which, and what a board is called afterwards.

Owns the kinds of events, the states and the rules of attempts. Doesn't own the tables, nor who
may have which registration ID.

An attempt is one try to make a board: it begins with `flashing` or `retrofitting`, has steps, and
ends with `good` or `failed`; a board has one at a time, and a new one overtakes what was left of
an interrupted one. Every event of an attempt carries its number as the fact `attempt`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from host_tools.ledger.errors import BadEvent, Scrapped, Unproven, WrongAttempt

ISSUES = ("reserved", "imported")  # a registration ID is given away; imported: made elsewhere
BEGINNINGS = ("flashing", "retrofitting")
STEPS = ("flashed", "retrofitted", "verified", "booted", "proven", "registered")
ENDS = ("good", "failed")
# turned away before anything was written to it; the only one that a board without identity has
REFUSED = "refused"
# at any time, and the board stays what it is
NOTES = ("checked", "noted", REFUSED)
KINDS = (*BEGINNINGS, *STEPS, *ENDS, "scrapped", "restored", *NOTES)
STATES = (*ISSUES, *BEGINNINGS, *STEPS, *ENDS, "scrapped")


@dataclass(frozen=True)
class Standing:
    """What the rules know of one board.

    attempt: its last one's number, 0 before the first; running: it has not ended; proven: the
    board proved its key in it.
    """

    state: str = "reserved"
    reason: str = ""
    attempt: int = 0
    running: bool = False
    proven: bool = False


def after(standing: Standing, name: str, kind: str, facts: Mapping[str, Any]) -> Standing:
    """Return how a board stands after an event, or refuse it.

    Raises BadEvent, Scrapped, WrongAttempt, Unproven; name: its registration ID, for the message.
    """
    if kind not in KINDS:
        raise BadEvent(f"{kind[:40]!r} is no event of a board: one of {', '.join(KINDS)}")
    if kind in NOTES:
        return standing
    reason = str(facts.get("reason", ""))
    if kind == "restored":
        return _restored(standing, name)
    if standing.state == "scrapped":
        raise Scrapped(f"{name} was scrapped{_because(standing)}: take another board")
    if kind == "scrapped":
        return replace(standing, state=kind, reason=reason, running=False)
    if kind in BEGINNINGS:
        return Standing(kind, "", _number(facts, standing.attempt + 1, name), running=True)
    return _within(standing, name, kind, facts, reason)


def _within(
    standing: Standing, name: str, kind: str, facts: Mapping[str, Any], reason: str
) -> Standing:
    _number(facts, standing.attempt, name)
    if not standing.running:
        raise WrongAttempt(
            f"{name}: attempt {standing.attempt} is over, the board is {standing.state}:"
            " begin another"
        )
    if kind == "good" and not standing.proven:
        raise Unproven(f"{name} has not proven its key in this attempt: it can not be good")
    return replace(
        standing,
        state=kind,
        reason=reason if kind == "failed" else "",
        running=kind not in ENDS,
        proven=standing.proven or kind == "proven",
    )


def _restored(standing: Standing, name: str) -> Standing:
    if standing.state != "scrapped":
        raise BadEvent(f"{name} was not scrapped: it is {standing.state}")
    return replace(standing, state="reserved", reason="", running=False, proven=False)


def _number(facts: Mapping[str, Any], wanted: int, name: str) -> int:
    found = facts.get("attempt")
    if found is None:
        raise WrongAttempt(f"{name}: the event names no attempt: begin one first")
    if found != wanted or isinstance(found, bool) or not wanted:
        raise WrongAttempt(
            f"{name}: the event is of attempt {found!r}, the board is at {wanted}:"
            " does another station work on it?"
        )
    return wanted


def _because(standing: Standing) -> str:
    return f" ({standing.reason})" if standing.reason else ""
