"""The backup of a board's files: whole, where it was meant to be, and never over another."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from host_tools.errors import CommandError
from host_tools.repl import Entry, Repl
from host_tools.retrofit import backup
from host_tools.retrofit.failure import RetrofitFailure
from tests.board.retrofit_bench import MAC


class Files(Repl):
    """A board with files that are all the same."""

    def __init__(self) -> None:
        pass

    def get(self, path: str, moved: Any = None, size: int | None = None) -> bytes:
        return b"data"


@pytest.mark.parametrize("name", ["folder", "file.tar"])
@pytest.mark.parametrize("path", ["/../out", "/a/./b", "/a\\b", "/a\0b"])
def test_no_file_of_a_board_leads_out_of_its_backup(tmp_path: Path, name: str, path: str) -> None:
    place = tmp_path / "inner" / name
    place.parent.mkdir()
    with pytest.raises(RetrofitFailure, match="rename it"):
        backup.take(Files(), [Entry(path, False, 4)], place, lambda size: None)
    assert [file for file in tmp_path.rglob("*") if file.is_file() and file != place] == []


def test_a_backup_never_overwrites_one(tmp_path: Path) -> None:
    pattern = str(tmp_path / "{mac}.tar")
    for name in ("a0b1c2d3e4f5.tar", "a0b1c2d3e4f5-2.tar", "a0b1c2d3e4f5-3.tar"):
        place = backup.free(pattern, MAC)
        assert place.name == name
        backup.take(Files(), [Entry("/a", False, 4)], place, lambda size: None)


def test_a_backup_that_can_not_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RetrofitFailure, match=r"can not write .*: (File exists|Not a directory)"):
        backup.take(Files(), [], tmp_path / "file" / "file.tar", lambda size: None)


def test_a_backup_may_lie_in_a_folder_named_for_its_board(tmp_path: Path) -> None:
    pattern = tmp_path / "{mac}" / "files.tar"
    backup.check(pattern)
    backup.take(
        Files(), [Entry("/a", False, 4)], backup.free(str(pattern), MAC), lambda size: None
    )
    assert (tmp_path / MAC.hex() / "files.tar").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from host_tools.repl import Entry
from host_tools.retrofit import backup
class Board:
    def get(self, path, moved, size):
        if path == "/b":
            os.kill(os.getpid(), signal.SIGKILL)
        return b"password"
entries = [Entry("/a", False, 8), Entry("/b", False, 8)]
backup.take(Board(), entries, Path(sys.argv[1]), lambda size: None)
"""


@pytest.mark.parametrize("name", ["old.tar", "old"])
def test_what_a_killed_program_left_is_no_backup_and_goes_with_the_next(
    tmp_path: Path, name: str
) -> None:
    place = tmp_path / name
    done = subprocess.run([sys.executable, "-c", KILLED, str(place)], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.suffix == ".part"
    assert stat.S_IMODE(left.stat().st_mode) & 0o077 == 0
    (tmp_path / f"{name}.{os.getpid()}.part.txt").touch()  # somebody's own
    (tmp_path / f"{name}.{os.getpid()}.part").touch()  # of who had our number before
    assert backup.free(str(place), MAC) == place
    alive = tmp_path / f"{name}.{os.getppid()}.part"
    alive.touch()
    backup.take(Files(), [Entry("/a", False, 4)], place, lambda size: None)
    assert not left.exists()
    assert len(list(tmp_path.iterdir())) == 3
    assert alive.exists()


@pytest.mark.parametrize("name", ["old.tar", "old"])
def test_a_backup_that_another_program_made_meanwhile_stays(tmp_path: Path, name: str) -> None:
    place = tmp_path / name

    def moved(size: int) -> None:
        place.mkdir()

    class Slow(Files):
        def get(self, path: str, moved: Any = None, size: int | None = None) -> bytes:
            moved(4)
            return b"data"

    with pytest.raises(RetrofitFailure, match=r"can not write .*: File exists"):
        backup.take(Slow(), [Entry("/a", False, 4)], place, moved)
    assert list(tmp_path.rglob("*")) == [place]


@pytest.mark.parametrize("name", ["old.tar", "old"])
def test_a_link_that_looks_like_the_left_of_a_killed_program_goes_and_its_target_stays(
    tmp_path: Path, name: str
) -> None:
    target = tmp_path / "theirs"
    target.mkdir()
    (tmp_path / f"{name}.999999999.part").symlink_to(target)
    backup.take(Files(), [Entry("/a", False, 4)], tmp_path / name, lambda size: None)
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / name, target])


def test_a_link_to_nowhere_is_no_free_place(tmp_path: Path) -> None:
    (tmp_path / "old.tar").symlink_to("nowhere")
    assert backup.free(str(tmp_path / "old.tar"), MAC).name == "old-2.tar"


def test_a_place_where_another_program_makes_a_backup_is_not_free(tmp_path: Path) -> None:
    (tmp_path / f"old.tar.{os.getppid()}.part").touch()
    assert backup.free(str(tmp_path / "old.tar"), MAC).name == "old-2.tar"


def test_a_name_that_is_too_long_until_it_is_whole_is_refused_beforehand(tmp_path: Path) -> None:
    backup.check(tmp_path / ("a" * 200 + ".tar"))
    with pytest.raises(CommandError, match="File name too long"):
        backup.check(tmp_path / ("a" * 250 + ".tar"))
