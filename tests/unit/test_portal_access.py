"""The portal's page on a device's access: its keys, blocked, moved, without a browser."""

import html

import pytest

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.records import Registration
from host_tools.keys import encode_key
from tests.unit.portal_bench import GROUP, HUB, KEYS, NOW, OF, OTHER_HUB, POLICY, registered


def test_an_identity_is_disabled_with_a_reason_and_enabled(visitor):
    said = visitor.done(f"/device/access/identity{OF}", enabled="no", reason="stolen")
    assert "stolen" in said
    device = visitor.hub.device("sn-1")
    assert (device.enabled, device.status_reason) == (False, "stolen")
    visitor.done(f"/device/access/identity{OF}", enabled="yes")
    device = visitor.hub.device("sn-1")
    assert (device.enabled, device.status_reason) == (True, "")


def test_a_member_is_blocked_by_an_enrollment_with_its_own_keys(visitor):
    registered(visitor)
    assert "under the group" in visitor.read(f"/device/access{OF}")
    assert "It is blocked by" in visitor.done(f"/device/access/block{OF}")
    made = visitor.cloud.dps.individual("sn-1")
    assert (made.enabled, made.keys) == (False, KEYS.derived_for("sn-1"))
    assert "under the group" in visitor.done(f"/device/access/unblock{OF}")
    with pytest.raises(ServiceError):
        visitor.cloud.dps.individual("sn-1")


def test_a_device_with_an_enrollment_of_its_own_is_blocked_by_it(visitor):
    visitor.hub.create("pump-7", NOW)
    visitor.cloud.dps._records.put(
        Registration("bench-1", "pump-7", HUB, "", "initialAssignment", "e", NOW, NOW)
    )
    of = f"?hub={HUB}&id=pump-7"
    visitor.done(f"/device/access/block{of}")
    assert not visitor.cloud.dps.individual("bench-1").enabled
    visitor.done(f"/device/access/unblock{of}")
    assert visitor.cloud.dps.individual("bench-1").enabled


def test_a_device_that_dps_does_not_know_is_not_blocked_there(visitor):
    visitor.hub.create("by-hand", NOW)
    of = f"?hub={HUB}&id=by-hand"
    assert "does not know this device" in visitor.read(f"/device/access{of}")
    visitor.refused(f"/device/access/block{of}", 422)
    visitor.refused(f"/device/access/unblock{of}", 422)


def test_one_member_moves_or_all_do(visitor):
    registered(visitor)
    visitor.done(f"/device/access/move{OF}", target=OTHER_HUB, way="device")
    made = visitor.cloud.dps.individual("sn-1")
    assert (made.allocation, made.hubs, made.enabled) == ("static", (OTHER_HUB,), True)
    assert made.keys == KEYS.derived_for("sn-1")
    assert visitor.cloud.dps.group(GROUP).hubs == (HUB,)
    visitor.cloud.dps.delete_individual("sn-1")
    said = visitor.done(f"/device/access/move{OF}", target=OTHER_HUB, way="group")
    assert f"its next registration leads to {OTHER_HUB}" in said
    assert visitor.cloud.dps.group(GROUP).hubs == (OTHER_HUB,)


def test_a_move_ends_that_a_device_never_moves(visitor):
    registered(visitor)
    never = {**POLICY, "reprovisioning": "never"}
    visitor.done(f"/group/save?name={GROUP}", **never)
    assert "never reprovisions" in visitor.read(f"/device/access{OF}")
    visitor.done(f"/device/access/move{OF}", target=OTHER_HUB, way="device")
    made = visitor.cloud.dps.individual("sn-1")
    assert (made.update_hub, made.migrate_data) == (True, True)


def test_a_device_s_keys_come_with_a_connection_string(visitor):
    answer = visitor.form(f"/device/access/keys{OF}")
    key = encode_key(KEYS.derived_for("sn-1").primary)
    expected = f"HostName={HUB};DeviceId=sn-1;SharedAccessKey={key}"
    assert expected in html.unescape(answer.text)
