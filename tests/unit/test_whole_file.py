"""Whole file: what is written is there whole, in the place that was meant, or not at all."""

from pathlib import Path

import pytest

from host_tools import whole_file
from host_tools.errors import CommandError


def test_a_file_is_replaced_through_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    whole_file.write(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert sorted(tmp_path.iterdir()) == [link, target]


def test_a_link_that_leads_nowhere_gives_way(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(link)
    whole_file.write(link, b"new")
    assert link.read_bytes() == b"new"


def test_what_can_not_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "folder").write_bytes(b"old")
    with pytest.raises(CommandError, match="can not write"):
        whole_file.write(tmp_path / "folder" / "file", b"new")
    assert (tmp_path / "folder").read_bytes() == b"old"
