"""Folders in memory go with their processes, and nothing else goes with them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from host_tools.virtual_board import held_folder
from host_tools.virtual_board.held_folder import HeldFolder

CROWD = 4
# makes and sweeps, with others that do; one folder in eight is left locked until the process ends
AT_WORK = """
import os, sys
from pathlib import Path
from host_tools.virtual_board import held_folder
place = Path(sys.argv[1])
left = []
for number in range(200):
    folder = held_folder.HeldFolder(place)
    (folder.path / "key").write_text("secret")
    held_folder.sweep(place)
    assert (folder.path / "key").read_text() == "secret"
    if number % 8:
        folder.release()
        assert not folder.path.exists()
    else:
        left.append(folder)
assert all((folder.path / "key").exists() for folder in left)
os.kill(os.getpid(), 9)
"""


def test_those_who_start_at_once_take_nothing_from_each_other(tmp_path: Path) -> None:
    command = [sys.executable, "-c", AT_WORK, str(tmp_path)]
    crowd = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(CROWD)]
    said = [process.communicate(timeout=100)[1] for process in crowd]
    assert said == [""] * CROWD
    assert [process.returncode for process in crowd] == [-9] * CROWD
    held_folder.sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_ours_to_sweep_stays(tmp_path: Path) -> None:
    (tmp_path / "keystead-other1").mkdir()
    (tmp_path / "keystead-held-a_file00").write_text("a file")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("kept")
    (tmp_path / "keystead-held-pointer0").symlink_to(elsewhere)
    (tmp_path / "keystead-held-left0000" / "nvs").mkdir(parents=True)
    held = HeldFolder(tmp_path)
    there = {path.name for path in tmp_path.iterdir()}
    assert there - {held.path.name} == {
        "keystead-other1", "keystead-held-a_file00", "elsewhere", "keystead-held-pointer0",
    }  # fmt: skip
    assert (elsewhere / "file").read_text() == "kept"
    held.release()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_somebody_elses_folder_stays(tmp_path: Path) -> None:
    theirs = tmp_path / "keystead-held-theirs00"
    theirs.mkdir()
    os.chown(theirs, 12345, 12345)
    held_folder.sweep(tmp_path)
    assert theirs.exists()
