"""Words: what people are told of steps and outcomes, in a row, in a line, and at the end.

Doesn't own where they stand (rows.py), nor a number.
"""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from host_tools.flash.station import Outcome

DOING = {
    "connect": "looking who is there",
    "reserve": "finding its identity",
    "write": "writing",
    "verify": "reading back",
    "boot": "booting",
    "prove": "proving its key",
    "register": "registering at DPS",
    "record": "recording",
    "release": "letting it go",
    "wait": "waiting for a board",
    "again": "same board",
}


def state(outcome: Outcome) -> Text:
    """Return how a board ended in a word or two: GOOD, FAILED and why."""
    if outcome.result == "failed":
        return Text(f"FAILED {outcome.reason}", style="bold red")
    return Text(outcome.result.upper(), style="bold green")


def said(outcome: Outcome) -> Text:
    """Return an outcome in one line for people."""
    text = Text(f"{outcome.port}: ")
    text.append_text(state(outcome))
    if outcome.result == "failed":
        return text.append(f" at step {outcome.step}: {outcome.message}")
    mac = outcome.mac.hex(":") if outcome.mac else ""
    if outcome.result == "would":
        return text.append(f" make {mac} into {outcome.registration_id}")
    line = outcome.traffic
    return text.append(
        f" {outcome.registration_id}, MAC {mac}, {outcome.seconds:.1f} s,"
        f" {line.sent + line.received} bytes on the line"
    )


def summed(console: Console, outcomes: Sequence[Outcome]) -> None:
    """Print how many of each there are, and the failures by reason."""
    text = counted(outcomes)
    failed = [outcome for outcome in outcomes if outcome.result == "failed"]
    for reason in sorted({outcome.reason for outcome in failed}):
        text.append(f"\n  {sum(o.reason == reason for o in failed)} x {reason}")
    console.print(text)


def counted(outcomes: Sequence[Outcome]) -> Text:
    """Return how many of each there are, in one line."""
    good, would, failed = (
        sum(outcome.result == result for outcome in outcomes)
        for result in ("good", "would", "failed")
    )
    text = Text(f"{good} good" if not would else f"dry run: {would} would be made")
    return text.append(f", {failed} failed" if failed else "", style="bold red")
