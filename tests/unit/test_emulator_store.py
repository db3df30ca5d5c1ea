"""What survives a restart, and who can read it."""

import os
import stat
from dataclasses import replace

import pytest

from host_tools.emulator.cloud import Cloud
from host_tools.emulator.config import Config
from host_tools.emulator.dps.enrollment import EnrollmentGroup, KeyPair, generate_keys
from host_tools.emulator.records import Identity, Registration
from host_tools.emulator.store.database import FILE
from host_tools.emulator.store.store import Store
from host_tools.errors import CommandError

HUB = "test-docs-hub.azure-devices.net"
REGISTRATION = Registration("Dev-1", "dev-1", HUB, "group", "initialAssignment", "etag", 1.0, 2.0)
IDENTITY = Identity(HUB, "dev-1", generate_keys())


def reopen(store, directory):
    store.close()
    return Store(directory)


def test_generated_keys_are_the_same_after_a_restart(tmp_path):
    store = Store(tmp_path)
    keys = store.enrollment_keys("group", "a", os.urandom)
    store = reopen(store, tmp_path)
    assert store.enrollment_keys("group", "a", os.urandom) == keys
    assert store.enrollment_keys("group", "b", os.urandom) != keys
    assert store.enrollment_keys("individual", "a", os.urandom) != keys
    store.close()


def test_registrations_and_identities_are_there_after_a_restart(tmp_path):
    store = Store(tmp_path)
    store.assign(REGISTRATION, IDENTITY)
    store = reopen(store, tmp_path)
    assert store.registration("DEV-1") == REGISTRATION
    assert store.identities("dev-1", HUB.upper()) == [IDENTITY]
    assert store.identities("DEV-1") == []
    assert store.identities("dev-1", "other") == []
    store.close()


def test_an_identity_moves_with_its_registration(tmp_path):
    store = Store(tmp_path)
    store.assign(REGISTRATION, IDENTITY)
    there = replace(IDENTITY, hub="other")
    store.assign(replace(REGISTRATION, hub="other"), there)
    assert store.identities("dev-1") == [there]
    store.close()


def test_of_identities_on_several_hubs_the_youngest_is_first(tmp_path):
    store = Store(tmp_path)
    store.assign(REGISTRATION, IDENTITY)
    there = replace(IDENTITY, hub="other")
    store.assign(replace(REGISTRATION, registration_id="dev-2", hub="other", updated=3.0), there)
    assert store.identities("dev-1") == [there, IDENTITY]
    store.close()


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
    store = Store(tmp_path)
    with pytest.raises(CommandError, match="another keystead cloud uses"):
        Store(tmp_path)
    assert store.enrollment_keys("group", "a", os.urandom)
    store.close()


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / FILE).write_text("not a database" * 100)
    with pytest.raises(CommandError, match="move it away"):
        Store(tmp_path)


def test_a_database_of_another_version_is_left_alone(tmp_path):
    store = Store(tmp_path)
    store.database.execute("PRAGMA user_version = 99")
    store.close()
    with pytest.raises(CommandError, match="newer version of keystead, 99"):
        Store(tmp_path)


def test_a_directory_that_can_not_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="can not keep state in"):
        Store(tmp_path / "file")
