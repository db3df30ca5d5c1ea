"""The backup of a board's files: whole, where it was meant to be, and never over another."""

from pathlib import Path
from typing import Any

import pytest

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
