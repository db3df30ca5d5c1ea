"""May this device come in, at its hub and at DPS, and which hub does it get next?

Owns the words for what will happen, and the individual enrollment that is made for one member of
a group: it has the member's own derived keys, so that the device itself need not change.
Source: "How to disenroll a device from Azure IoT Hub Device Provisioning Service".
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from host_tools.emulator.dps.enrollment import STATIC, EnrollmentGroup, IndividualEnrollment
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.hub.device import Device
from host_tools.emulator.hub.hub import Hub
from host_tools.emulator.portal.desk import Desk, Facts, Outcome, Page, Query, Secret, url
from host_tools.emulator.portal.forms import Form, FormError
from host_tools.emulator.portal.pages import policies
from host_tools.emulator.portal.pages.telemetry import device_of, head
from host_tools.emulator.records import Registration
from host_tools.keys import encode_key

WAYS = ("device", "group")

Kind = TypeVar("Kind", EnrollmentGroup, IndividualEnrollment)


@dataclass(frozen=True)
class Standing:
    """How a device stands with DPS; a device that was made by hand has no record."""

    record: Registration | None
    individual: IndividualEnrollment | None
    group: EnrollmentGroup | None

    @property
    def made_for_member(self) -> bool:
        """Tell whether the individual enrollment stands before a group that has the device."""
        return self.individual is not None and self.group is not None


def standing(desk: Desk, hub: Hub, device: Device) -> Standing:
    """Return how a device stands with DPS."""
    record = _record(desk, hub, device)
    name = record.registration_id if record else device.device_id
    individual = group = None
    with suppress(ServiceError):
        individual = desk.cloud.dps.individual(name)
    group = _group(desk, record, device, name)
    return Standing(record, individual, group)


def _record(desk: Desk, hub: Hub, device: Device) -> Registration | None:
    here = (device.device_id, hub.name.lower())
    with suppress(ServiceError):  # nearly always they have one name
        record = desk.cloud.dps.registration(device.device_id)
        if (record.device_id, record.hub.lower()) == here:
            return record
    records = desk.cloud.dps.registrations()
    return next((one for one in records if (one.device_id, one.hub.lower()) == here), None)


# a group has a device whose keys are derived from its own
def _group(
    desk: Desk, record: Registration | None, device: Device, name: str
) -> EnrollmentGroup | None:
    if record and record.enrollment_group:
        with suppress(ServiceError):
            return desk.cloud.dps.group(record.enrollment_group)
    for group in desk.cloud.dps.groups():
        if set(group.keys.derived_for(name)) & set(device.keys):
            return group
    return None


def _facts(desk: Desk, query: Query) -> Facts:
    hub, device = device_of(desk, query)
    stands = standing(desk, hub, device)
    linked = sorted(desk.cloud.dps.linked_hubs)
    enrollment = stands.individual or stands.group
    return {
        **head(hub, device),
        "stands": stands,
        "others": [name for name in linked if name.lower() != hub.name.lower()],
        "next": policies.reprovisioning(enrollment) if enrollment else "",
        "next_hubs": enrollment.hubs if enrollment else (),
    }


def _identity(desk: Desk, query: Query, form: Form) -> Outcome:
    hub, device = device_of(desk, query)
    enabled = form.text("enabled") == "yes"
    reason = "" if enabled else form.text("reason")
    hub.update(device.device_id, desk.clock(), enabled=enabled, status_reason=reason)
    said = (
        "Enabled: the hub lets the device in again."
        if enabled
        else "Disabled: the hub dropped the device's connection and refuses the next one."
    )
    return Outcome(_page(query), said)


def _block(desk: Desk, query: Query, form: Form) -> Outcome:
    stands = standing(desk, *device_of(desk, query))
    if stands.individual:
        one = replace(stands.individual, enabled=False)
    else:
        one = _for_member(stands, enabled=False)
    desk.cloud.dps.put_individual(one, desk.clock(), "*" if stands.individual else None)
    return Outcome(
        _page(query, "provisioning"),
        "Blocked at DPS: the next registration is refused. The identity at the hub is another"
        " matter: disable it too if the device is to go now.",
    )


def _unblock(desk: Desk, query: Query, form: Form) -> Outcome:
    stands = standing(desk, *device_of(desk, query))
    if not stands.individual:
        raise FormError("", "No individual enrollment blocks this device.")
    name = stands.individual.registration_id
    if stands.made_for_member:
        desk.cloud.dps.delete_individual(name)
        said = "Unblocked: the individual enrollment is deleted, so the group applies again."
    else:
        enabled = replace(stands.individual, enabled=True)
        desk.cloud.dps.put_individual(enabled, desk.clock(), "*")
        said = "Unblocked: the individual enrollment is enabled."
    return Outcome(_page(query, "provisioning"), said)


def _for_member(stands: Standing, enabled: bool = True) -> IndividualEnrollment:
    group, record = stands.group, stands.record
    if not group or not record:
        raise FormError("", "DPS does not know this device: it was made at the hub by hand.")
    return IndividualEnrollment(
        registration_id=record.registration_id,
        device_id=record.device_id,
        keys=group.keys.derived_for(record.registration_id),
        enabled=enabled,
        allocation=group.allocation,
        hubs=group.hubs,
        webhook=group.webhook,
        update_hub=group.update_hub,
        migrate_data=group.migrate_data,
        initial_twin=group.initial_twin,
        edge=group.edge,
    )


def _move(desk: Desk, query: Query, form: Form) -> Outcome:
    target = form.choice("target", sorted(desk.cloud.dps.linked_hubs))
    stands = standing(desk, *device_of(desk, query))
    now, dps = desk.clock(), desk.cloud.dps
    if stands.individual:
        dps.put_individual(_leading_to(target, stands.individual), now, "*")
    elif stands.group and form.choice("way", WAYS) == "group":
        dps.put_group(_leading_to(target, stands.group), now, "*")
    else:
        dps.put_individual(_leading_to(target, _for_member(stands)), now)
    return Outcome(
        _page(query, "move"),
        f"Arranged: the next registration leads to {target}. Until then nothing changes.",
    )


def _leading_to(hub: str, enrollment: Kind) -> Kind:
    return replace(
        enrollment,
        allocation=STATIC,
        hubs=(hub,),
        webhook=None,
        update_hub=True,
        migrate_data=enrollment.migrate_data or not enrollment.update_hub,
    )


def _delete(desk: Desk, query: Query, form: Form) -> Outcome:
    hub, device = device_of(desk, query)
    hub.delete(device.device_id, desk.clock())
    return Outcome(
        url("/devices", hub=hub.name),
        f"The identity {device.device_id} is deleted. If the device registers, DPS makes it anew.",
    )


def _keys(desk: Desk, query: Query) -> list[Secret]:
    hub, device = device_of(desk, query)
    key = encode_key(device.keys.primary)
    text = f"HostName={hub.name};DeviceId={device.device_id};SharedAccessKey={key}"
    return [*policies.shown(device.keys), Secret("Primary connection string", text)]


def _page(query: Query, anchor: str = "") -> str:
    return url("/device/access", anchor, hub=query.get("hub"), id=query.get("id"))


PAGE = Page(
    "/device/access",
    "access.html",
    _facts,
    actions={
        "identity": _identity,
        "block": _block,
        "unblock": _unblock,
        "move": _move,
        "delete": _delete,
    },
    reveals={"keys": _keys},
)
