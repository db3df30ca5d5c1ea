"""The page on features: each is shown by a test that there is."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "features.md").read_text()
# | 5 | feature | yes | how | tests |; what has no number has no first column
ROW = r"^\| (?:(\d+) \| )?([^|]+?) \| (yes|partly|no) \| ([^|]+?) \|(.*)\|$"
ROWS = re.findall(ROW, PAGE, re.MULTILINE)
SHOWN = re.findall(r"`(tests/[a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`", PAGE)


def test_every_row_that_concerns_a_device_is_there() -> None:
    numbers = [int(number) for number, *_ in ROWS if number]
    assert numbers == [*range(5, 23), 28, 32, 33, 34, 44]
    tables = 2
    assert len(ROWS) == sum(line.startswith("| ") for line in PAGE.splitlines()) - 2 * tables


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1])
def test_what_is_there_is_shown_by_a_test(row: tuple[str, ...]) -> None:
    assert ("::" in row[4]) == (row[2] != "no")


@pytest.mark.parametrize(("path", "name"), SHOWN)
def test_the_test_exists(path: str, name: str) -> None:
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE)


def test_no_test_is_named_in_another_way() -> None:
    assert len(SHOWN) == PAGE.count("::") > 30
