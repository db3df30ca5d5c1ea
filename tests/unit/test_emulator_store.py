"""What survives a restart, and who can read it."""

import os
import stat
from contextlib import closing

import pytest

from host_tools.emulator.cloud import Cloud
from host_tools.emulator.config import Config
from host_tools.emulator.dps.enrollment import EnrollmentGroup
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.store.database import FILE, Database, StoreError
from host_tools.errors import CommandError

HUB = "test-docs-hub.azure-devices.net"


def test_only_the_owner_can_read_the_state(tmp_path):
    directory = tmp_path / "new" / "state"
    before = os.umask(0)
    try:
        with Cloud(Config(), on_event=print, state_dir=directory) as cloud:
            cloud.tls_context("127.0.0.1")
            assert stat.S_IMODE(directory.stat().st_mode) == 0o700
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    finally:
        os.umask(before)
    assert modes.pop("ca.pem") & 0o600 == 0o600
    assert {FILE, "ca-key.pem", "server.pem"} <= set(modes)
    assert set(modes.values()) == {0o600}


def test_a_cloud_comes_back_with_its_keys_and_its_ca(tmp_path):
    with Cloud(Config(), on_event=print, state_dir=tmp_path) as cloud:
        keys, ca = cloud.config.groups[0].keys, cloud.ca_pem
        assert all(keys)
    with Cloud(Config(), on_event=print, state_dir=tmp_path) as cloud:
        assert cloud.config.groups[0].keys == keys
        assert cloud.ca_pem == ca


def test_a_given_key_goes_before_a_generated_one(tmp_path):
    with Cloud(Config(), on_event=print, state_dir=tmp_path) as cloud:
        generated = cloud.config.groups[0].keys
    group = EnrollmentGroup("mylegacydevices", HUB, KeyPair(b"given" * 10))
    with Cloud(Config(groups=(group,)), on_event=print, state_dir=tmp_path) as cloud:
        assert cloud.config.groups[0].keys == KeyPair(b"given" * 10, generated.secondary)


def test_without_a_state_directory_nothing_is_left(tmp_path):
    with Cloud(Config(), on_event=print) as cloud:
        directory = cloud.state_dir
        assert directory.is_dir()
    assert not directory.exists()


def test_two_clouds_do_not_share_a_state_directory(tmp_path):
    with closing(Database(tmp_path)) as database:
        with pytest.raises(CommandError, match="another keystead cloud uses"):
            Database(tmp_path)
        assert database.execute("SELECT count(*) FROM enrollment").fetchone() == (0,)


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / FILE).write_text("not a database" * 100)
    with pytest.raises(CommandError, match="move it away"):
        Database(tmp_path)


def test_a_database_of_another_version_is_left_alone(tmp_path):
    with closing(Database(tmp_path)) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(CommandError, match="newer version of keystead, 99"):
        Database(tmp_path)


def test_a_newer_database_is_not_to_be_thrown_away(tmp_path):
    with closing(Database(tmp_path)) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(CommandError) as caught:
        Database(tmp_path)
    assert "move it away" not in str(caught.value)


def test_what_turns_out_damaged_when_it_is_read_is_an_error_of_the_store(tmp_path):
    with closing(Database(tmp_path)) as database:
        query = "SELECT CAST(x'ff' AS TEXT)"
        with pytest.raises(StoreError):
            database.execute(query).fetchone()
        with pytest.raises(StoreError):
            list(database.execute(f"SELECT 1 UNION ALL {query}"))


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path):
    (tmp_path / FILE).touch(0o644)
    with closing(Database(tmp_path)):
        assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_directory_that_can_not_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="can not keep state in"):
        Database(tmp_path / "file")
