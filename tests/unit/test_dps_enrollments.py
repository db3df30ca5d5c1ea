"""Enrollments made, changed and deleted while DPS runs, and what becomes of the config's."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from host_tools.emulator.config import Config
from host_tools.emulator.dps.enrollment import EnrollmentGroup, IndividualEnrollment, Webhook
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.store import schema
from host_tools.emulator.store.database import FILE
from host_tools.keys import derive_device_key
from tests.dps_bench import AT_ONCE, CONFIG, GROUP, HUB, INDIVIDUAL, KEYS, NOW, OTHER, Bench

LATER = NOW + 60
EVERYTHING = IndividualEnrollment(
    "Pump-8",
    keys=KeyPair(b"a" * 16, b"b" * 64),
    device_id="pump-8",
    enabled=False,
    allocation="custom",
    hubs=(HUB, OTHER),
    webhook=Webhook("http://localhost:7071/api/x?code=1", "2019-03-31"),
    update_hub=True,
    migrate_data=False,
    initial_twin={"tags": {"a": 1}, "properties": {"desired": {"b": [2, None, "ü"]}}},
    edge=True,
    information={"customer": "x"},
)


@pytest.fixture
def start(tmp_path):
    """Start a DPS on the same state again and again."""
    benches = []

    def start(config=CONFIG, now=NOW):
        for bench in benches:
            bench.close()
        benches[:] = [Bench(tmp_path, config, now=now)]
        return benches[0]

    yield start
    for bench in benches:
        bench.close()


def code(call, *arguments):
    with pytest.raises(ServiceError) as error:
        call(*arguments)
    return error.value.code


def test_what_is_put_comes_back_whole_also_after_a_restart(start):
    dps = start().dps
    kept = dps.put_individual(EVERYTHING, LATER)
    assert kept == replace(EVERYTHING, etag=kept.etag, created=LATER, updated=LATER)
    assert dps.individual("PUMP-8") == kept
    assert start().dps.individual("pump-8") == kept


def test_keys_that_are_left_out_are_generated_once(start):
    dps = start().dps
    kept = dps.put_group(EnrollmentGroup("new"), NOW)
    assert {len(key) for key in kept.keys} == {64}
    changed = dps.put_group(EnrollmentGroup("new", enabled=False), LATER, kept.etag)
    assert changed.keys == kept.keys
    assert (changed.created, changed.updated) == (NOW, LATER)
    assert changed.etag != kept.etag


def test_what_is_there_is_changed_only_by_who_knows_it(start):
    dps = start().dps
    kept = dps.put_group(EnrollmentGroup("New"), NOW)
    assert code(dps.put_group, EnrollmentGroup("new"), NOW) == 409202
    assert code(dps.put_individual, INDIVIDUAL, NOW) == 409201
    assert code(dps.put_group, EnrollmentGroup("new"), NOW, "b2xk") == 412001
    for spelling in ("{}", '"{}"', 'W/"{}"', "*", "b2xk, {}"):
        kept = dps.put_group(EnrollmentGroup("new"), NOW, spelling.format(kept.etag))
    assert code(dps.delete_group, "new", "b2xk") == 412001
    dps.delete_group("NEW")
    assert code(dps.group, "new") == 404201


def test_what_is_not_there_can_not_be_changed(start):
    dps = start().dps
    assert code(dps.put_group, EnrollmentGroup("new"), NOW, "*") == 404201
    assert code(dps.delete_individual, "nobody") == 404201
    assert code(dps.delete_registration, "nobody") == 404202


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "a b"},
        {"name": ""},
        {"keys": KeyPair(b"short")},
        {"allocation": "random"},
        {"hubs": ("hub.elsewhere.example",)},
        {"allocation": "static", "hubs": (HUB, OTHER)},
        {"initial_twin": {"tags": []}},
        {"initial_twin": {"tags": {"a.b": 1}}},
        {"initial_twin": {"properties": {"desired": {"a": {"b": 2**53}}}}},
        {"allocation": "custom"},
        {"allocation": "custom", "webhook": Webhook("ftp://localhost/")},
        {"allocation": "custom", "webhook": Webhook("http://local host/")},
        {"allocation": "custom", "webhook": Webhook("http://[::1/")},
        {"allocation": "custom", "webhook": Webhook("http://localhost:99999/")},
    ],
)
def test_an_enrollment_that_dps_could_not_work_with_is_refused(start, wrong):
    dps = start().dps
    assert code(dps.put_group, EnrollmentGroup(**{"name": "new", **wrong}), NOW) == 400004
    assert [one.name for one in dps.groups()] == [GROUP.name]


def test_a_device_id_that_would_end_up_in_topics_is_refused(start):
    one = IndividualEnrollment("new", device_id="a/b")
    assert code(start().dps.put_individual, one, NOW) == 400004


def test_lists_are_sorted_by_name_whatever_its_case(start):
    dps = start().dps
    for name in ("b", "A", "C"):
        dps.put_group(EnrollmentGroup(name), NOW)
    assert [one.name for one in dps.groups()] == ["A", "b", "C", "mylegacydevices"]
    assert [one.name for one in dps.enrollments.page(EnrollmentGroup, "a", 2)] == ["b", "C"]


def test_a_new_enrollment_admits_at_once(start):
    bench = start(AT_ONCE)
    peer = bench.connect("stranger", b"k" * 32, subscribed=False)
    assert peer.caller.refusal
    bench.dps.put_individual(IndividualEnrollment("stranger", HUB, KeyPair(b"k" * 32)), NOW)
    assert bench.state("stranger", b"k" * 32)["status"] == "assigned"


def test_disabling_an_individual_blocks_one_member_and_deleting_it_lets_the_group_apply(start):
    bench = start(AT_ONCE)
    keys = KEYS.derived_for("dev-1")
    assert bench.state()["status"] == "assigned"
    bench.dps.put_individual(IndividualEnrollment("dev-1", HUB, keys, enabled=False), NOW)
    assert bench.state()["status"] == "disabled"
    assert bench.state("dev-2")["status"] == "assigned"
    bench.dps.delete_individual("dev-1")
    assert bench.state()["status"] == "assigned"


def test_a_disabled_or_deleted_group_refuses_its_members_and_keeps_their_records(start):
    bench = start(AT_ONCE)
    bench.state()
    bench.dps.put_group(replace(GROUP, enabled=False), NOW, "*")
    assert bench.state()["status"] == "disabled"
    assert bench.dps.registration("dev-1").status == "disabled"
    bench.dps.put_group(GROUP, NOW, "*")
    assert bench.state()["status"] == "assigned"
    bench.dps.delete_group(GROUP.name)
    assert bench.connect().caller.refusal
    assert [one.registration_id for one in bench.dps.registrations(GROUP.name)] == ["dev-1"]


def test_new_keys_hold_for_who_is_connected_already(start):
    bench = start(AT_ONCE)
    peer = bench.connect()
    bench.dps.put_group(replace(GROUP, keys=KeyPair(b"x" * 64, b"y" * 64)), NOW, "*")
    answer = bench.dps.registrar.register(peer.caller, b"", NOW)
    assert answer.status == 401
    key = derive_device_key(b"y" * 64, "dev-1")
    assert bench.state(key=key)["status"] == "assigned"


# the config's enrollments


def test_a_seed_is_applied_once_and_left_as_it_was_changed(start):
    dps = start().dps
    dps.put_group(replace(GROUP, enabled=False, keys=KeyPair(b"x" * 64)), LATER, "*")
    dps.delete_individual(INDIVIDUAL.name)
    again = start(now=LATER).dps
    group = again.group(GROUP.name)
    assert (group.enabled, group.keys.primary) == (False, b"x" * 64)
    assert again.individuals() == []


def test_a_seed_that_is_written_otherwise_is_applied_again(start):
    dps = start().dps
    dps.put_group(replace(GROUP, enabled=False), LATER, "*")
    dps.delete_individual(INDIVIDUAL.name)
    group, one = replace(GROUP, update_hub=False), replace(INDIVIDUAL, device_id="pump-9")
    again = start(replace(CONFIG, groups=(group,), individuals=(one,)), LATER).dps
    assert again.group(GROUP.name).enabled
    assert not again.group(GROUP.name).update_hub
    assert again.group(GROUP.name).created == NOW
    assert again.individual(INDIVIDUAL.name).device_id == "pump-9"


def test_a_key_that_a_seed_leaves_out_is_the_same_after_it_was_written_otherwise(start):
    seed = EnrollmentGroup("g", HUB)
    keys = start(Config(groups=(seed,))).dps.group("g").keys
    again = start(Config(groups=(replace(seed, enabled=False),))).dps.group("g")
    assert (again.keys, again.enabled) == (keys, False)


def test_a_seed_that_is_no_longer_written_goes_and_one_made_by_hand_stays(start):
    dps = start().dps
    dps.put_group(EnrollmentGroup("by-hand"), NOW)
    dps.delete_individual(INDIVIDUAL.name)
    dps.put_individual(IndividualEnrollment(INDIVIDUAL.name), NOW)  # by hand, under a seed's name
    again = start(Config(groups=(EnrollmentGroup("other", HUB),))).dps
    assert [one.name for one in again.groups()] == ["by-hand", "other"]
    assert [one.name for one in again.individuals()] == [INDIVIDUAL.name]


def test_a_seed_that_comes_back_is_applied(start):
    start()
    start(Config(groups=()))
    assert [one.name for one in start().dps.groups()] == [GROUP.name]


# a file of version 1, as its own script made it


def version_1(directory, keys=KEYS):
    directory.mkdir(exist_ok=True)
    with closing(sqlite3.connect(directory / FILE)) as old:
        old.executescript(schema.STEPS[0] + "PRAGMA user_version = 1;")
        old.execute(
            "INSERT INTO enrollment_key VALUES ('group', 'mylegacydevices', ?, ?)", tuple(keys)
        )
        old.execute(
            "INSERT INTO registration VALUES"
            " ('Dev-1', 'Dev-1', ?, 'mylegacydevices', 'initialAssignment', 'ZXRhZw==', 1.0, 2.0)",
            (HUB,),
        )
        old.execute(
            "INSERT INTO identity VALUES (?, 'Dev-1', ?, ?, 1, 2.0)",
            (HUB, *keys.derived_for("Dev-1")),
        )
        old.commit()


def test_generated_keys_registrations_and_identities_survive_the_upgrade(tmp_path, start):
    version_1(tmp_path)
    without_keys = EnrollmentGroup("MyLegacyDevices", HUB)
    bench = start(replace(AT_ONCE, groups=(without_keys,)))
    assert bench.dps.group("mylegacydevices").keys == KEYS
    record = bench.dps.registration("dev-1")
    assert (record.device_id, record.hub, record.status) == ("Dev-1", HUB, "assigned")
    assert (record.error_code, record.error_message, record.payload) == (None, "", None)
    assert bench.where("Dev-1") == [HUB]
    state = bench.state("Dev-1", version="2021-06-01")
    assert state["substatus"] == "reprovisionedToInitialAssignment"
    assert state["createdDateTimeUtc"] == "1970-01-01T00:00:01.0000000Z"


def test_keys_of_version_1_wait_until_the_config_asks_for_them(tmp_path, start):
    version_1(tmp_path)
    assert start(Config(groups=())).dps.groups() == []
    bench = start(Config(groups=(EnrollmentGroup("mylegacydevices", HUB),)))
    assert bench.dps.group("mylegacydevices").keys == KEYS
    assert bench.database.execute("SELECT count(*) FROM enrollment_key").fetchone() == (0,)


def test_a_given_key_goes_before_one_of_version_1(tmp_path, start):
    version_1(tmp_path)
    group = EnrollmentGroup("mylegacydevices", HUB, KeyPair(b"given" * 10))
    assert start(Config(groups=(group,))).dps.groups()[0].keys == KeyPair(
        b"given" * 10, KEYS.secondary
    )
