"""A hub's registry: devices made, changed and deleted, who is there, and DPS's part in it."""

import sqlite3
from dataclasses import replace

import pytest
from emulator_hub_bench import DESIRED, HUB, KEYS, MESSAGES, OTHER, Bench

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.hub.device import Device, Presence
from host_tools.emulator.hub.events import (
    DeviceCreated,
    DeviceDeleted,
    DeviceDisabled,
    DeviceEnabled,
)
from host_tools.emulator.hub.messages import CloudMessage
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.store import schema
from host_tools.emulator.store.database import FILE
from host_tools.emulator.store.devices import DeviceTable

OTHER_KEYS = KeyPair(b"P" * 32, b"S" * 32)
INITIAL = {"tags": {"line": 7}, "properties": {"desired": {"rate": 5}}}


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def code(action, *arguments, **named):
    with pytest.raises(ServiceError) as error:
        action(*arguments, **named)
    return error.value.code


def test_a_device_has_keys_etag_and_generation_made_for_it(bench):
    device = bench.hub.create("dev-2", bench.now)
    assert device == bench.hub.device("dev-2")
    assert (device.enabled, device.edge, device.status_reason) == (True, False, "")
    assert device.created == device.updated == bench.now
    assert [len(key) for key in device.keys] == [32, 32]
    assert len(set(device.keys)) == 2
    assert len(device.generation_id) == 18
    assert device.generation_id.isdigit()
    assert device.etag
    assert bench.told(DeviceCreated) == [DeviceCreated(bench.now, HUB, "dev-2")]


def test_a_key_that_is_given_is_taken(bench):
    device = bench.hub.create("dev-2", bench.now, KeyPair(b"x" * 16))
    assert device.keys.primary == b"x" * 16
    assert len(device.keys.secondary) == 32


def test_a_key_never_shows(bench):
    device = bench.hub.device("dev-1")
    assert "pppp" not in repr(device)


@pytest.mark.parametrize("size", [1, 15, 65])
def test_a_key_of_another_size_is_refused(bench, size):
    keys = KeyPair(b"x" * size, b"y" * 32)
    assert code(bench.hub.create, "dev-2", bench.now, keys) == 400004
    assert code(bench.hub.update, "dev-1", bench.now, keys=keys) == 400004
    assert bench.hub.device("dev-1").keys == KEYS


@pytest.mark.parametrize("name", ["a", "A" * 128, "-:._%*?!(),=@;$'0z"])
def test_what_can_be_a_device_id(bench, name):
    assert bench.hub.create(name, bench.now).device_id == name


@pytest.mark.parametrize("name", ["", "a" * 129, "a b", "a/b", "a+b", "a#b", "ü", "a\n", None])
def test_what_can_not_be_a_device_id(bench, name):
    assert code(bench.hub.create, name, bench.now) == 400004


def test_a_device_id_is_there_once_and_its_case_counts(bench):
    assert code(bench.hub.create, "dev-1", bench.now) == 409001
    assert bench.hub.create("DEV-1", bench.now)
    assert bench.other.create("dev-1", bench.now)


def test_a_device_that_is_not_there_is_unknown_to_all(bench):
    for action in (bench.hub.device, bench.hub.twin, bench.hub.twin_document):
        assert code(action, "dev-2") == 404001
    assert code(bench.hub.update, "dev-2", bench.now, enabled=False) == 404001
    assert code(bench.hub.delete, "dev-2", bench.now) == 404001
    assert bench.hub.find("dev-2") is None
    assert bench.hub.presence("dev-2") == Presence(False, 0, 0)
    assert bench.hub.pending("dev-2") == 0


def test_devices_are_listed_by_name_and_counted(bench):
    for name in ("b", "a", "c"):
        bench.hub.create(name, bench.now, enabled=name != "b")
    bench.device()
    assert [one.device_id for one in bench.hub.devices()] == ["a", "b", "c", "dev-1"]
    assert bench.hub.statistics() == {
        "totalDeviceCount": 4,
        "enabledDeviceCount": 3,
        "disabledDeviceCount": 1,
        "connectedDeviceCount": 1,
    }
    assert bench.other.devices() == []
    assert bench.other.statistics()["enabledDeviceCount"] == 0


def test_a_registry_survives_a_killed_process(bench):
    bench.hub.create("dev-2", bench.now, edge=True, status_reason="new")
    before = bench.hub.devices()
    bench.kill()
    assert bench.hub.devices() == before


def test_an_update_changes_what_it_names_and_the_etag(bench):
    before = bench.hub.device("dev-1")
    later = bench.now + 5
    after = bench.hub.update("dev-1", later, status_reason="lent", edge=True)
    assert after == bench.hub.device("dev-1")
    assert after == replace(before, status_reason="lent", edge=True, etag=after.etag)
    assert after.etag != before.etag
    disabled = bench.hub.update("dev-1", later, enabled=False)
    assert (disabled.enabled, disabled.updated, disabled.status_reason) == (False, later, "lent")


def test_an_update_may_change_one_key(bench):
    changed = bench.hub.update("dev-1", bench.now, keys=KeyPair(b"new" * 10))
    assert changed.keys == KeyPair(b"new" * 10, KEYS.secondary)


@pytest.mark.parametrize("form", ["{}", '"{}"'])
def test_an_etag_guards_a_change(bench, form):
    hub, stale = bench.hub, form.format(bench.hub.device("dev-1").etag)
    hub.update("dev-1", bench.now, enabled=True, if_match=stale)
    assert code(hub.update, "dev-1", bench.now, enabled=False, if_match=stale) == 412001
    assert code(hub.delete, "dev-1", bench.now, if_match=stale) == 412001
    assert hub.device("dev-1").enabled
    hub.delete("dev-1", bench.now, if_match=form.format(hub.device("dev-1").etag))
    assert hub.devices() == []


def test_a_disabled_device_loses_its_connection_and_is_refused_until_enabled(bench):
    device = bench.device()
    bench.hub.update("dev-1", bench.now, enabled=False)
    assert device.closed
    assert bench.device().connack.code == 5
    bench.hub.update("dev-1", bench.now, enabled=True)
    assert bench.device().connack.code == 0
    assert len(bench.told(DeviceDisabled)) == len(bench.told(DeviceEnabled)) == 1


def test_a_change_of_something_else_costs_no_connection(bench):
    device = bench.device()
    bench.hub.update("dev-1", bench.now, status_reason="ok", enabled=True)
    assert not device.closed
    assert bench.told(DeviceEnabled) == []


def test_a_deleted_device_loses_all_it_had(bench):
    device = bench.device(filters=[MESSAGES])
    bench.hub.send("dev-1", CloudMessage(b"x"), bench.now)
    bench.hub.patch_twin("dev-1", {"tags": {"a": 1}}, bench.now)
    bench.hub.delete("dev-1", bench.now)
    assert device.closed
    assert bench.device().connack.code == 5
    before = bench.told(DeviceDeleted)
    assert len(before) == 1
    bench.hub.create("dev-1", bench.now, KEYS)
    assert bench.hub.pending("dev-1") == 0
    assert bench.hub.twin("dev-1").tags == {}
    assert bench.hub.twin("dev-1").version == 2
    assert not bench.device().connack.session_present


def test_a_device_made_anew_is_of_another_generation(bench):
    first = bench.hub.device("dev-1").generation_id
    bench.hub.delete("dev-1", bench.now)
    assert bench.hub.create("dev-1", bench.now).generation_id != first


def test_presence_follows_the_connection(bench):
    assert bench.hub.presence("dev-1") == Presence(False, 0, 0)
    came = bench.now
    device = bench.device()
    assert bench.hub.presence("dev-1") == Presence(True, came, came)
    bench.wait(5)
    device.publish("devices/dev-1/messages/events/", b"x")
    assert bench.hub.presence("dev-1") == Presence(True, came, bench.now)
    active = bench.now
    bench.wait(5)
    device.leave()
    assert bench.hub.presence("dev-1") == Presence(False, bench.now, active)


def test_a_full_disk_is_an_error_and_the_device_stays_as_it_was(bench):
    before = bench.hub.device("dev-1")
    device = bench.device()
    bench.database.execute("PRAGMA query_only = 1")
    assert code(bench.hub.update, "dev-1", bench.now, enabled=False) == 500001
    assert code(bench.hub.delete, "dev-1", bench.now) == 500001
    assert code(bench.hub.create, "dev-2", bench.now) == 500001
    assert not device.closed
    assert bench.hub.device("dev-1") == before


# --- hubs by name


@pytest.mark.parametrize("name", [HUB, HUB.upper(), f"{HUB}:8443"])
def test_a_hub_is_found_by_its_name(bench, name):
    assert bench.hubs.hub(name) is bench.hub
    assert [hub.name for hub in bench.hubs.all()] == [HUB, OTHER]


@pytest.mark.parametrize("name", ["", "bench.local", "myhub.azure-devices.net", f"{HUB}:x"])
def test_another_name_is_no_hub(bench, name):
    assert code(bench.hubs.hub, name) == 404001


# --- DPS


def test_dps_makes_a_device_with_an_initial_twin(bench):
    bench.hubs.provision(HUB.upper(), "dev-2", KEYS, bench.now, INITIAL)
    assert bench.hub.device("dev-2").keys == KEYS
    twin = bench.hub.twin("dev-2")
    assert (twin.tags, twin.desired, twin.reported) == ({"line": 7}, {"rate": 5}, {})
    assert (twin.version, twin.desired_section.version, twin.etag) == (2, 1, "AAAAAAAAAAE=")
    assert len(bench.told(DeviceCreated)) == 1


@pytest.mark.parametrize("initial", [None, {}, {"tags": {}}, {"properties": {}}])
def test_an_initial_twin_may_have_nothing_in_it(bench, initial):
    bench.hubs.provision(HUB, "dev-2", KEYS, bench.now, initial)
    twin = bench.hub.twin("dev-2")
    assert (twin.tags, twin.desired, twin.desired_section.version) == ({}, {}, 1)


def test_a_bad_initial_twin_makes_no_device(bench):
    assert code(bench.hubs.provision, HUB, "dev-2", KEYS, bench.now, {"tags": 7}) == 400004
    assert bench.hub.find("dev-2") is None
    assert bench.told(DeviceCreated) == []


def test_dps_gives_new_keys_to_a_device_that_keeps_the_rest(bench):
    bench.hub.patch_twin("dev-1", {"tags": {"a": 1}}, bench.now)
    device = bench.device()
    before = bench.hub.device("dev-1")
    bench.hubs.provision(HUB, "dev-1", KEYS, bench.now, INITIAL)
    assert bench.hub.device("dev-1") == before
    bench.hubs.provision(HUB, "dev-1", OTHER_KEYS, bench.now, INITIAL)
    after = bench.hub.device("dev-1")
    assert after == replace(before, keys=OTHER_KEYS, etag=after.etag)
    assert bench.hub.twin("dev-1").tags == {"a": 1}
    assert not device.closed
    assert bench.device(key=OTHER_KEYS.secondary).connack.code == 0


def test_a_device_that_the_hub_disabled_is_not_enabled_by_dps(bench):
    bench.hub.update("dev-1", bench.now, enabled=False)
    bench.hubs.provision(HUB, "dev-1", OTHER_KEYS, bench.now)
    assert not bench.hub.device("dev-1").enabled


def moved(bench, twin, device_id="dev-1", **how):
    bench.hubs.migrate("dev-1", HUB, device_id, OTHER, OTHER_KEYS, bench.now, twin, **how)


def prepared(bench):
    device = bench.device(filters=[DESIRED, MESSAGES])
    bench.hub.patch_twin("dev-1", {"tags": {"a": 1}, "properties": {"desired": {"b": 2}}}, 1.0)
    device.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", b'{"c":3}')
    return device


@pytest.mark.parametrize("device_id", ["dev-1", "pump-7"])
def test_a_device_moves_with_its_twin(bench, device_id):
    device = prepared(bench)
    before = bench.hub.twin("dev-1")
    moved(bench, "migrate", device_id)
    assert device.closed
    assert bench.hub.find("dev-1") is None
    assert bench.other.device(device_id).keys == OTHER_KEYS
    assert bench.other.twin(device_id) == before
    assert len(bench.told(DeviceDeleted)) == len(bench.told(DeviceCreated)) == 1
    bench.kill()
    assert bench.other.twin(device_id) == before


def test_a_device_moves_without_its_twin(bench):
    prepared(bench)
    moved(bench, "reset", initial_twin=INITIAL)
    twin = bench.other.twin("dev-1")
    assert (twin.tags, twin.desired, twin.reported) == ({"line": 7}, {"rate": 5}, {})
    bench.device(key=OTHER_KEYS.primary, hub=OTHER)
    assert bench.device().connack.code == 5


@pytest.mark.parametrize(("twin", "tags"), [("migrate", {"a": 1}), ("reset", {"line": 7})])
def test_a_device_that_is_there_already_gets_keys_and_twin_of_who_moves_in(bench, twin, tags):
    prepared(bench)
    bench.other.create("dev-1", bench.now, KEYS)
    bench.other.patch_twin("dev-1", {"tags": {"z": 26}}, bench.now)
    moved(bench, twin, initial_twin=INITIAL)
    assert bench.other.twin("dev-1").tags == tags
    assert bench.other.device("dev-1").keys == OTHER_KEYS


def test_a_move_within_a_hub_changes_the_name(bench):
    prepared(bench)
    bench.hubs.migrate("dev-1", HUB, "dev-2", HUB, KEYS, bench.now, "migrate")
    assert [one.device_id for one in bench.hub.devices()] == ["dev-2"]
    assert bench.hub.twin("dev-2").tags == {"a": 1}


@pytest.mark.parametrize("hub", ["gone.azure-devices.net", OTHER])
def test_a_move_from_nowhere_is_a_beginning(bench, hub):
    arguments = ("dev-2", hub, "dev-2", HUB, KEYS, bench.now, "migrate", INITIAL)
    bench.hubs.migrate(*arguments)
    assert bench.hub.twin("dev-2").tags == {"line": 7}


def test_a_move_to_where_it_is_changes_nothing_but_keys(bench):
    device = prepared(bench)
    bench.hubs.migrate("dev-1", HUB, "dev-1", HUB.upper(), OTHER_KEYS, bench.now, "reset")
    assert bench.hub.twin("dev-1").tags == {"a": 1}
    assert not device.closed


def test_a_move_that_fails_changes_nothing(bench):
    device = prepared(bench)
    before = bench.hub.twin("dev-1")
    with pytest.raises(ServiceError):
        moved(bench, "reset", initial_twin={"tags": 7})
    bench.database.execute("PRAGMA query_only = 1")
    with pytest.raises(ServiceError):
        moved(bench, "migrate")
    assert not device.closed
    assert bench.hub.twin("dev-1") == before
    assert bench.other.devices() == []
    assert bench.told(DeviceDeleted) == []


def test_a_move_may_be_part_of_a_transaction_that_fails(bench):
    prepared(bench)
    before = bench.hub.twin("dev-1")
    with pytest.raises(ZeroDivisionError), bench.database.transaction():
        moved(bench, "migrate")
        raise ZeroDivisionError
    assert bench.hub.twin("dev-1") == before
    assert code(bench.other.twin, "dev-1") == 404001


# --- the table


def test_of_devices_on_several_hubs_the_youngest_is_first(bench):
    table = DeviceTable(bench.database)
    first = bench.hub.device("dev-1")
    second = Device(OTHER, "dev-1", OTHER_KEYS, created=first.created + 1, updated=0)
    table.keep(second)
    assert table.find("dev-1") == [second, first]
    assert table.find("dev-1", HUB.upper()) == [first]
    assert table.find("DEV-1") == []


def test_devices_of_an_older_state_are_still_there(tmp_path):
    connection = sqlite3.connect(tmp_path / FILE)
    connection.executescript(f"{schema.STEPS[0]} PRAGMA user_version = 1;")
    connection.execute("INSERT INTO identity VALUES (?, ?, ?, ?, 0, 5)", (HUB, "old-1", *KEYS))
    connection.commit()
    connection.close()
    bench = Bench(tmp_path)
    device = bench.hub.device("old-1")
    assert (device.keys, device.enabled, device.created) == (KEYS, False, 5)
    assert device.etag
    assert device.generation_id
    assert bench.hub.twin("old-1").version == 2
    bench.close()
