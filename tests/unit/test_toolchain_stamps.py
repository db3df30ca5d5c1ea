"""What is taken for done, and what is not."""

import pytest

from host_tools.toolchain.stamps import Stamp, key_of, whole


def test_a_stamp_is_fresh_for_the_inputs_it_was_finished_with(tmp_path):
    stamp = Stamp(tmp_path / "stamps" / "step")
    assert not stamp.exists()
    stamp.finish(key_of("1.0"))
    assert stamp.fresh(key_of("1.0"))
    assert not stamp.fresh(key_of("1.1"))


def test_a_step_that_was_begun_and_not_finished_is_not_done(tmp_path):
    stamp = Stamp(tmp_path / "step")
    stamp.finish(key_of("1.0"))
    stamp.begin()
    assert stamp.unfinished()
    assert not stamp.fresh(key_of("1.0"))


def test_a_folder_appears_when_it_is_whole(tmp_path):
    target = tmp_path / "product"
    with whole(target) as folder:
        (folder / "file").write_text("new")
        assert not target.exists()
    assert (target / "file").read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_fails_half_way_leaves_nothing(tmp_path):
    def fill():
        with whole(tmp_path / "product") as folder:
            (folder / "file").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_set_up_left_behind_is_swept_away(tmp_path):
    for name in ("product.partial", "product.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "stale").write_text("")
    with whole(tmp_path / "product") as folder:
        assert list(folder.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["product"]


def test_a_new_folder_takes_the_old_ones_place(tmp_path):
    target = tmp_path / "product"
    for text in ("old", "new"):
        with whole(target) as folder:
            (folder / text).write_text(text)
    assert [path.name for path in target.iterdir()] == ["new"]
