"""What harnesses leave in memory: nothing, however often the same is said to a cloud.

Lists of what happened last fill up in the first rounds; from then on a round must leave the memory
as it was. A request that is never forgotten shows at once: it takes its frames along.
"""

import gc

import pytest

from tests.fuzz.__main__ import HARNESSES, harness

_ROUNDS = 30  # before somebody is said to grow for ever
_NOISE = 64  # objects: caches of Python's own, weak references that SQLite's cursors left


@pytest.mark.parametrize("name", HARNESSES)
def test_no_conversation_leaves_anything_behind(name: str) -> None:
    run, seeds = harness(name).run, harness(name).SEEDS

    def hold() -> int:
        for number in range(max(20, 5 * len(seeds)) // len(seeds) * len(seeds)):
            run(seeds[number % len(seeds)])
        gc.collect()
        return len(gc.get_objects())

    counts = [hold() for _ in range(3)]
    while len(counts) < _ROUNDS and max(counts[-2:]) > counts[-3] + _NOISE:
        counts.append(hold())
    assert len(counts) < _ROUNDS, counts
