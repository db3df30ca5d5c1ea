"""A device registers again: which hub, which twin, and how that is called."""

from dataclasses import replace

import pytest

from host_tools.emulator.config import LinkedHub
from host_tools.emulator.dps.enrollment import EnrollmentGroup, IndividualEnrollment, Webhook
from host_tools.emulator.dps.webhook import Allocation
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Assigned, Failed
from tests.dps_bench import (
    AT_ONCE,
    GROUP,
    HUB,
    INDIVIDUAL,
    KEYS,
    NOW,
    OTHER,
    POLL,
    REGISTER,
    Bench,
    ask,
)

CONFIG = replace(AT_ONCE, links=(LinkedHub(HUB), LinkedHub(OTHER)))
MOVED = replace(GROUP, hub=OTHER)
TWIN = {"tags": {"site": "lab"}, "properties": {"desired": {"interval": 60}}}
OLD, NEW = "2019-03-31", "2019-04-15"
AGAIN = "reprovisionedToInitialAssignment"
BAD_TWIN = {"properties": {"desired": {"a.b": 1}}}


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path, CONFIG)
    yield bench
    bench.close()


def change(bench, group):
    bench.dps.put_group(group, NOW, "*")


def twin(bench, hub=HUB, device_id="dev-1"):
    twin = bench.hubs.hub(hub).twin(device_id)
    return twin.tags, twin.desired


def test_the_first_assignment_gets_the_initial_twin(bench):
    change(bench, replace(GROUP, initial_twin=TWIN))
    assert bench.state()["substatus"] == "initialAssignment"
    assert twin(bench) == (TWIN["tags"], TWIN["properties"]["desired"])


@pytest.mark.parametrize(("version", "substatus"), [(OLD, "initialAssignment"), (NEW, AGAIN)])
def test_the_same_hub_again_is_called_so_to_newer_clients_only(bench, version, substatus):
    assert bench.state(version=version)["substatus"] == "initialAssignment"
    change(bench, replace(GROUP, initial_twin=TWIN))
    assert bench.state(version=version)["substatus"] == substatus
    assert twin(bench) == ({}, {}), "the twin stays as it is"
    assert bench.dps.registration("dev-1").substatus == AGAIN


def test_a_new_hub_takes_over_device_and_twin(bench):
    bench.state()
    bench.hubs.hub(HUB).patch_twin("dev-1", {"tags": {"a": 1}}, NOW)
    change(bench, replace(MOVED, initial_twin=TWIN))
    state = bench.state()
    assert (state["assignedHub"], state["substatus"]) == (OTHER, "deviceDataMigrated")
    assert bench.where("dev-1") == [OTHER]
    assert twin(bench, OTHER) == ({"a": 1}, {})
    assert bench.events[-1].substatus == "deviceDataMigrated"


def test_a_new_hub_begins_anew_if_the_enrollment_says_reset(bench):
    bench.state()
    bench.hubs.hub(HUB).patch_twin("dev-1", {"tags": {"a": 1}}, NOW)
    change(bench, replace(MOVED, migrate_data=False, initial_twin=TWIN))
    state = bench.state()
    assert (state["assignedHub"], state["substatus"]) == (OTHER, "deviceDataReset")
    assert bench.where("dev-1") == [OTHER]
    assert twin(bench, OTHER) == (TWIN["tags"], TWIN["properties"]["desired"])


def test_a_device_stays_where_it_is_if_the_enrollment_says_never(bench):
    bench.state()
    change(bench, replace(MOVED, update_hub=False, migrate_data=False))
    state = bench.state()
    assert (state["assignedHub"], state["substatus"]) == (HUB, "initialAssignment")
    assert bench.where("dev-1") == [HUB]
    assert bench.state("dev-2")["assignedHub"] == OTHER, "a first assignment goes anywhere"


def test_there_and_back_again(bench):
    bench.state()
    for group, hub in ((MOVED, OTHER), (GROUP, HUB), (MOVED, OTHER)):
        change(bench, group)
        assert bench.state()["assignedHub"] == hub
        assert bench.where("dev-1") == [hub]


def test_the_keys_are_the_enrollments_newest_ones(bench):
    bench.state()
    device = bench.hubs.hub(HUB).device("dev-1")
    assert device.keys == KEYS.derived_for("dev-1")
    group = replace(GROUP, keys=replace(KEYS, secondary=b"n" * 64))
    change(bench, group)
    bench.state()
    assert bench.hubs.hub(HUB).device("dev-1").keys == group.keys.derived_for("dev-1")


def test_a_deleted_record_makes_the_next_assignment_a_first_one(bench):
    bench.state()
    record = bench.dps.registration("dev-1")
    with pytest.raises(ServiceError) as error:
        bench.dps.delete_registration("dev-1", "b2xk")
    assert error.value.code == 412001
    bench.dps.delete_registration("DEV-1", record.etag)
    assert bench.dps.registrations() == []
    state = bench.state(now=NOW + 60)
    assert state["substatus"] == "initialAssignment"
    assert state["createdDateTimeUtc"] == "2022-08-31T22:03:50.5163350Z"


def test_to_a_newer_client_the_hub_that_knew_it_all_along_is_no_first_one(bench):
    bench.state()
    bench.dps.delete_registration("dev-1")
    assert bench.state(version=NEW)["substatus"] == AGAIN
    bench.dps.delete_registration("dev-1")
    bench.hubs.hub(HUB).delete("dev-1", NOW)
    assert bench.state(version=NEW)["substatus"] == "initialAssignment"


def test_an_identity_that_was_deleted_at_the_hub_is_made_again(bench):
    bench.state()
    bench.hubs.hub(HUB).delete("dev-1", NOW)
    assert bench.state()["substatus"] == "initialAssignment"
    assert bench.where("dev-1") == [HUB]


def test_a_disabled_identity_stays_disabled(bench):
    bench.state()
    bench.hubs.hub(HUB).update("dev-1", NOW, enabled=False)
    bench.state()
    assert not bench.hubs.hub(HUB).device("dev-1").enabled


def test_another_device_id_is_the_same_device(bench):
    bench.state("bench-1", KEYS.primary)
    bench.hubs.hub(OTHER).patch_twin("pump-7", {"tags": {"a": 1}}, NOW)
    bench.dps.put_individual(replace(INDIVIDUAL, device_id="pump-9"), NOW, "*")
    state = bench.state("bench-1", KEYS.primary)
    assert (state["deviceId"], state["substatus"]) == ("pump-9", "initialAssignment")
    assert (bench.where("pump-7"), bench.where("pump-9")) == ([], [OTHER])
    assert twin(bench, OTHER, "pump-9") == ({"a": 1}, {})


def test_the_callers_spelling_names_the_device_and_the_record_ignores_case(bench):
    assert bench.state("Dev-1")["deviceId"] == "Dev-1"
    assert bench.state("DEV-1")["deviceId"] == "DEV-1"
    assert (bench.where("Dev-1"), bench.where("DEV-1")) == ([], [HUB])
    assert [one.registration_id for one in bench.dps.registrations()] == ["DEV-1"]


def test_a_disabled_device_is_still_where_it_was(bench):
    bench.state()
    change(bench, replace(GROUP, enabled=False))
    bench.state()
    record = bench.dps.registration("dev-1")
    assert (record.status, record.hub) == ("disabled", HUB)
    change(bench, MOVED)
    assert bench.state()["substatus"] == "deviceDataMigrated"


def answered(bench, outcome):
    """Register under a web-hook that says outcome; return the answer's registrationState."""
    webhook = Webhook("http://localhost/")
    change(bench, replace(GROUP, allocation="custom", hubs=(HUB, OTHER), webhook=webhook))
    peer = bench.connect()
    operation = ask(peer, REGISTER + "1")[1]["operationId"]
    bench.hook.answer(outcome)
    return ask(peer, POLL.format(2, operation))[1]["registrationState"]


def test_an_initial_twin_that_the_hub_does_not_take_fails_the_registration(bench):
    state = answered(bench, Allocation(HUB, BAD_TWIN))
    assert (state["status"], state["errorCode"] // 1000) == ("failed", 400)
    assert state["errorMessage"]
    assert "assignedHub" not in state
    assert isinstance(bench.events[-1], Failed)
    record = bench.dps.registration("dev-1")
    assert (record.status, record.error_code) == ("failed", state["errorCode"])
    assert bench.where("dev-1") == []
    state = answered(bench, Allocation(HUB))
    assert state["status"] == "assigned"
    assert "errorCode" not in state


def test_a_move_that_fails_leaves_the_device_where_it_is(bench):
    bench.state()
    assert answered(bench, Allocation(OTHER, BAD_TWIN))["status"] == "failed"
    assert bench.where("dev-1") == [HUB]
    assert bench.dps.registration("dev-1").hub == HUB
    change(bench, MOVED)
    assert bench.state()["substatus"] == "deviceDataMigrated"


def test_a_move_that_can_not_be_kept_is_undone_and_made_another_time(bench):
    bench.state()
    bench.hubs.hub(HUB).patch_twin("dev-1", {"tags": {"a": 1}}, NOW)
    change(bench, MOVED)
    bench.database.execute(
        "CREATE TRIGGER full BEFORE INSERT ON registration"
        " BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
    )
    topic, error = ask(bench.connect(), REGISTER + "1")
    assert (topic.partition("/?")[0], error["errorCode"]) == (
        "$dps/registrations/res/500",
        500001,
    )
    assert isinstance(bench.events[-1], Failed)
    assert bench.where("dev-1") == [HUB]
    assert twin(bench) == ({"a": 1}, {})
    bench.database.execute("DROP TRIGGER full")
    assert bench.state()["substatus"] == "deviceDataMigrated"
    assert bench.where("dev-1") == [OTHER]
    assert twin(bench, OTHER) == ({"a": 1}, {})


def test_a_hub_that_is_no_longer_linked_fails_the_registration(tmp_path):
    one = IndividualEnrollment("by-hand", OTHER, KEYS)
    before = Bench(tmp_path, CONFIG)
    before.dps.put_individual(one, NOW)
    before.close()
    after = Bench(tmp_path, replace(CONFIG, links=(), individuals=()))
    state = after.state("by-hand", KEYS.primary)
    assert (state["status"], state["errorCode"]) == ("failed", 400209)
    after.close()


def test_a_hub_that_goes_before_the_enrollments_is_obeyed_even_by_never(tmp_path):
    moves = {"dev-1": ""}
    bench = Bench(tmp_path, CONFIG, hub_for=lambda name, now: moves.get(name))
    bench.state()
    change(bench, replace(GROUP, update_hub=False, migrate_data=False))
    moves["dev-1"] = OTHER.upper()
    state = bench.state()
    assert (state["assignedHub"], state["substatus"]) == (OTHER, "deviceDataReset")
    assert isinstance(bench.events[-1], Assigned)
    bench.close()


def test_records_are_listed_by_group(bench):
    bench.dps.put_group(EnrollmentGroup("empty"), NOW)
    for name in ("dev-2", "Dev-1"):
        bench.state(name)
    bench.state("bench-1", KEYS.primary)
    names = [one.registration_id for one in bench.dps.registrations("MyLegacyDevices")]
    assert names == ["Dev-1", "dev-2"]
    assert bench.dps.registrations("empty") == []
    assert len(bench.dps.registrations()) == 3
