"""What fuzzing found once is never found again, and every harness still runs."""

from pathlib import Path

import pytest

from tests.fuzz.__main__ import HARNESSES, harness

CORPUS = Path(__file__).with_name("corpus")
FOUND = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_is_mended(path: Path) -> None:
    harness(path.parent.name).run(path.read_bytes())


@pytest.mark.parametrize("name", HARNESSES)
def test_a_harness_runs_on_its_seeds_and_on_their_parts(name: str) -> None:
    run = harness(name).run
    for seed in harness(name).SEEDS:
        run(seed)
        for at in range(0, len(seed), 7):
            run(seed[:at])
            run(seed[:at] + bytes((seed[at] ^ 0x55,)) + seed[at + 1 :])
    for token in harness(name).TOKENS:
        run(token)
