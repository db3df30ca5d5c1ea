"""The image: it says when it was built, and the same sources make the same bytes."""

import subprocess
import time
from pathlib import Path

import pytest

from host_tools import firmware
from host_tools.errors import CommandError
from host_tools.toolchain import micropython

DAY = 86_400


def built(folder: Path) -> int:
    """What the board will read."""
    command = [*micropython.interpreter(32), "-c", "import rim.built; print(rim.built.TIME)"]
    path = {"MICROPYPATH": str(folder / "lib")}
    run = subprocess.run(command, env=path, capture_output=True, check=True)
    return int(run.stdout)


def test_the_image_takes_a_day_before_the_day_it_was_built_for_possible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    firmware.build(tmp_path, {})
    assert DAY - 60 <= time.time() - built(tmp_path) <= 2 * DAY + 60
    assert built(tmp_path) % DAY == 0


def test_source_date_epoch_makes_the_same_image_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1790000000")
    images = []
    for name in ("one", "two"):
        firmware.build(tmp_path / name, {"r": b"root"})
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        images.append([(path.name, path.read_bytes()) for path in files])
    assert images[0] == images[1]
    assert built(tmp_path / "one") == 1_790_000_000 - DAY


@pytest.mark.parametrize("said", ["yesterday", "-1", "1.5", "\u00b2"])
def test_a_source_date_epoch_that_is_no_time_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", said)
    with pytest.raises(CommandError, match="SOURCE_DATE_EPOCH"):
        firmware.build(tmp_path, {})
