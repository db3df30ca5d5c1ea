"""Tokens: how long one SAS token takes, and the garbage it leaves."""

from bench.figures import Bar, Figure, Row, quickest
from bench.workshop import Workshop

TITLE = "one SAS token"

_ROUNDS, _EACH = 12, 500
_USUAL = "usual way"


def rows(workshop: Workshop) -> list[Row]:
    """Measure on each build; the anchor is of a 64-bit one."""
    found = []
    for bits in workshop.builds:
        said = workshop.run(bits, "tokens", {"rounds": _ROUNDS, "each": _EACH}, heap="32m")
        here = bits == 64
        found += [
            Row(f"time, {bits}-bit", quickest(said["us"], 1 / _EACH, "us"),
                quickest(said["usual_us"], 1 / _EACH, "us"), against=_USUAL,
                anchor="12 us" if here else "", bar=Bar(12) if here else None, note=_TIME),
            Row(f"garbage, {bits}-bit", Figure(said["garbage"], "B"),
                Figure(said["usual_garbage"], "B"), against=_USUAL,
                anchor="1 792 B" if here else "", bar=Bar(1792) if here else None, note=_GARBAGE),
        ]  # fmt: skip
    return found


_TIME = (
    f"best of {_ROUNDS} rounds of {_EACH} (.. the slowest), collections apart; the anchor's time"
    " is of another machine, its bytes are not; the stock client signs nothing, so beside stands"
    " the usual way: pads by generator expressions, quoting by str.replace(), in the bench itself"
)
_GARBAGE = "growth of gc.mem_alloc() by one token with collections off, the token itself in it"
