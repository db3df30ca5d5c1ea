"""The journal on files: what append() promised outlives power cuts, kills and full flash."""

import os
import random
import subprocess
from pathlib import Path

import pytest

from host_tools.toolchain import micropython

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
KILLS = 12


def command(bits: int, script: str, *words: str) -> list[str]:
    return [*micropython.interpreter(bits), "-X", "heapsize=16m", str(HERE / script), *words]


def environment() -> dict[str, str]:
    path = [str(ROOT / "firmware"), str(ROOT / "bench" / "on_board"), ".frozen"]
    return {**os.environ, "MICROPYPATH": ":".join(path)}


def said(bits: int, script: str, *words: str, cwd: Path = ROOT) -> list[str]:
    """Run a script to its end; return its lines."""
    result = subprocess.run(
        command(bits, script, *words),
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, ""), result.stdout
    return result.stdout.splitlines()


# what comes, goes and is dropped differs with the steps: 130 end with a journal nearly empty, 60
# with one that dropped what it had half sent before it was opened anew
USES = [(32, 130), (64, 60)]
LONG_USES = [(64, 130), *((32, steps) for steps in range(25, 250, 32))]


@pytest.mark.parametrize(
    ("bits", "steps"), USES + [pytest.param(*use, marks=pytest.mark.soak) for use in LONG_USES]
)
def test_a_power_cut_at_any_write_loses_nothing_that_was_promised(bits: int, steps: int) -> None:
    messages, again, cuts = said(bits, "journal_cuts.py", str(steps))
    known = {60: "messages: 35 dropped: 12 sent: 20", 130: "messages: 78 dropped: 26 sent: 49"}
    assert messages == known.get(steps, messages)
    assert int(again.split()[-1]) < 16
    assert int(cuts.split()[-1]) > 3 * steps


@pytest.mark.parametrize("bits", [64, 32])
def test_a_full_file_system_and_a_failing_chip_are_failures_that_pass(bits: int) -> None:
    expected = (HERE / "journal_errors.txt").read_text().splitlines()
    assert said(bits, "journal_errors.py") == expected


def killed(bits: int, folder: Path, seed: int, lines: int) -> list[str]:
    """Start a board, kill it some lines later; return what it had said by then."""
    with subprocess.Popen(
        command(bits, "journal_kill.py", str(seed)),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as board:
        assert board.stdout is not None
        heard = [board.stdout.readline() for _ in range(lines)]
        board.kill()
        heard += board.stdout.readlines()
    whole = [line.split() for line in heard if line.endswith("\n")]
    assert {words[0] for words in whole} <= {"kept", "sent"}, heard
    return [" ".join(words) for words in whole]


def numbers(lines: list[str], word: str) -> list[int]:
    return [int(line.split()[1]) for line in lines if line.startswith(word)]


@pytest.mark.parametrize("bits", [64, 32])
def test_kill_9_at_any_moment_loses_nothing_that_was_promised(bits: int, tmp_path: Path) -> None:
    chance = random.Random(bits)
    kept: set[int] = set()
    sent: set[int] = set()
    for seed in range(KILLS):
        lines = killed(bits, tmp_path, seed, chance.randrange(1, 400))
        assert not kept & set(numbers(lines, "kept"))  # no number is given twice
        kept.update(numbers(lines, "kept"))
        now = numbers(lines, "sent")
        assert now == [number + now[0] for number in range(len(now))]  # in order, none left out
        sent.update(now)
    lines = said(bits, "journal_kill.py", "drain", cwd=tmp_path)
    sent.update(numbers(lines, "sent"))
    assert lines[-1] == "dropped 0"
    assert kept - sent == set()
    assert len(sent - kept) <= KILLS  # kept, and killed before it could be said
