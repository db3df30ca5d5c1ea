"""The bench runs against the firmware as it is now; no figure of time is looked at."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_sizes_and_bytes_on_the_wire_are_measured_and_meet_their_bars() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "bench", "sizes", "wire", "--json"],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    sections = json.loads(result.stdout)["sections"]
    sizes, wire = sections.values()
    assert sizes[0]["ours"] > 1000
    records = [row for row in wire if "records" in row["what"]]
    assert [row["ours"] for row in records] == [1] * len(records)
    assert [row["what"] for row in wire if row["met"] is False] == []
