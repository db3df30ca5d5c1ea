"""The report of a soak: figures for a person, and each finding with what happened before it."""

import argparse
from collections import deque
from typing import TextIO

from tests.soak.incidents import DAY
from tests.soak.script import stamp
from tests.soak.soak import Soak

_KEPT = 60  # lines of the story, for who wants to know how it came to an end


class Story:
    """What happens, line by line: told as it happens, or the last of it kept."""

    def __init__(self, out: TextIO | None) -> None:
        self._out = out
        self._last: deque[str] = deque(maxlen=_KEPT)

    def tell(self, now: int, text: str) -> None:
        """Take a line; now: milliseconds since the beginning."""
        line = f"{stamp(now / 1000)}.{now % 1000:03} {text}"
        self._last.append(line)
        if self._out:
            print(line, file=self._out)

    def end(self) -> str:
        """Return the last lines."""
        return "\n".join(self._last)


def text(soak: Soak, args: argparse.Namespace) -> str:
    """Return the report."""
    oracle = soak.oracle
    days = soak.timeline.now / 1000 / DAY
    heap = oracle.heap_by_day()
    delays = sorted(
        (one.arrived - one.sent) / 1000 for one in oracle.messages.values() if one.arrived
    )
    lines = [
        "",
        f"{days:g} days, seed {args.seed}, {args.bits}-bit build: {soak.seconds:.0f} s,"
        f" {60 * days / soak.seconds:.1f} days a minute, {soak.world.turns} turns",
        *(f"{count:8} {name}" for name, count in sorted(oracle.counts.items())),
        "failures told: "
        + ", ".join(f"{name} {count}" for name, count in oracle.failures.most_common()),
        "heap, the median of each day: " + " ".join(map(str, heap.values())),
        "heap over {:.1f} days with power: {} B, then {} B".format(
            oracle.longest[0] / 1000 / DAY, *oracle.longest[1:]
        ),
        "writes to flash by day: " + " ".join(str(oracle.wear[day]) for day in heap),
        "writes to NVS by name: "
        + ", ".join(f"{name} {count}" for name, count in soak.nvs.most_common()),
    ]
    if delays:
        lines.append(
            f"from sent to arrived: half within {delays[len(delays) // 2]:.0f} s,"
            f" the latest {delays[-1]:.0f} s"
        )
    lines += ["", *(oracle.findings or ["nothing found"])]
    return "\n".join(lines)
