"""The bench's sections of the factory line run, with tiny sizes; no time is asserted."""

import base64
import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as bench
from bench import batch, derive, histories, nvs
from bench.command import Ran
from host_tools.ledger import open_ledger

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="what is read of a process")
ENVIRON = {"KEYSTEAD_GROUP_KEY": base64.b64encode(bytes(range(64))).decode()}


class Workshop:
    """As much of one as these sections use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder


@pytest.mark.parametrize("name", bench.SECTIONS)
def test_every_section_has_a_title_and_rows(name: str) -> None:
    section = importlib.import_module(f"bench.{name}")
    assert section.TITLE
    assert callable(section.rows)


@on_linux
def test_a_batch_is_made_from_its_list_to_its_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledgers, usual = [], batch.Batch._look

    def look(one: batch.Batch) -> None:
        usual(one)
        with open_ledger(str(one.folder / "ledger.db")) as ledger:
            ledgers.append((ledger.count("bench").states, sum(1 for _ in ledger.events())))

    monkeypatch.setattr(batch, "_ROUNDS", 1)
    monkeypatch.setattr(batch.Batch, "_look", look)
    parts = batch.quickest(tmp_path / "batch", 2, ENVIRON)
    assert ledgers == [({"good": 2}, 2 + 2 * histories.EVENTS)]  # created, planned
    assert list(parts) == list(batch._PARTS)
    assert min(min(ran.seconds, ran.cpu, ran.memory) for ran in parts.values()) > 0
    assert not (tmp_path / "batch").exists()


def test_growth_is_that_of_the_last_two_sizes_without_what_one_board_takes() -> None:
    assert batch.exponent({1: 1.0, 10: 9.0, 100: 2.0, 1000: 101.0}) == pytest.approx(2)


def test_every_part_of_a_batch_has_its_row_and_what_is_too_short_no_growth() -> None:
    taken = {
        size: dict.fromkeys(batch._PARTS, Ran(size / 5, size / 10, 50.0))
        for size in (1, 100, 1000)
    }
    taken[10_000] = {
        what: Ran(9.0, 0.15 if what == "plan" else 8.0, 60.0) for what in batch._PARTS
    }
    rows = list(batch._parts(taken))
    assert sum(row.what.startswith("10 000 boards") for row in rows) == len(batch._PARTS)
    assert sum("growth" in row.what for row in rows) == len(batch._PARTS) - 1


@on_linux
@pytest.mark.parametrize(
    ("section", "sizes", "rows"),
    [
        (derive, {"_SIZES": (1, 2, 3), "_ROUNDS": 1, "_LOOPED": 10, "_CALLED": 1}, 4),
        (nvs, {"_ROUNDS": 1, "_RECORDS": nvs._RECORDS[:2], "_KEYS": nvs._KEYS[:2]}, 4),
    ],
    ids=["derive", "nvs"],
)
def test_a_section_measures_what_it_says(
    section: Any,
    sizes: dict[str, object],
    rows: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in sizes.items():
        monkeypatch.setattr(section, name, value)
    found = section.rows(Workshop(tmp_path))
    assert len(found) >= rows
    assert min(row.ours.number for row in found) > 0
