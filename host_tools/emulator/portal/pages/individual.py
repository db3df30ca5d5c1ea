"""One individual enrollment: the policies of a single device with its own keys; and a new one."""

from contextlib import suppress
from dataclasses import replace

from host_tools.emulator.dps.enrollment import IndividualEnrollment
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.portal.desk import Desk, Facts, Outcome, Page, Query, url
from host_tools.emulator.portal.forms import Form, FormError
from host_tools.emulator.portal.pages import policies
from host_tools.emulator.portal.pages.group import checked_name
from host_tools.emulator.portal.pages.one_enrollment import OneEnrollment
from host_tools.emulator.records import Registration

_INDIVIDUAL = OneEnrollment(
    "/individual",
    "id",
    IndividualEnrollment,
    enabled="Enabled: the device may register again.",
    disabled="Disabled: the device is refused when it registers next, also by its group.",
    renewed="give it to the device",
)


def _facts(desk: Desk, query: Query) -> Facts:
    one = _INDIVIDUAL.of(desk, query)
    return {
        "individual": one,
        "record": record_of(desk, one.registration_id),
        **policies.policy_facts(desk, one),
    }


def record_of(desk: Desk, registration_id: str) -> Registration | None:
    """Return a device's registration record, if it has one."""
    with suppress(ServiceError):
        return desk.cloud.dps.registration(registration_id)
    return None


def _save(desk: Desk, query: Query, form: Form) -> Outcome:
    before = _INDIVIDUAL.of(desk, query)
    fields = policies.policy_fields(desk, form, before)
    one = replace(before, device_id=form.text("device_id"), **fields)
    _INDIVIDUAL.keep(desk, one, form.text("etag", "*"))
    return _INDIVIDUAL.saved(one)


def _delete(desk: Desk, query: Query, form: Form) -> Outcome:
    name = _INDIVIDUAL.of(desk, query).registration_id
    desk.cloud.dps.delete_individual(name)
    return Outcome(
        url("/enrollments", "individuals"),
        f"The individual enrollment {name} is deleted: from now on a group may admit the device.",
    )


def _new_facts(desk: Desk, query: Query) -> Facts:
    return policies.policy_facts(desk, None)


def _create(desk: Desk, query: Query, form: Form) -> Outcome:
    name = checked_name(form, "registration_id", "The registration ID")
    if any(one.registration_id.lower() == name.lower() for one in desk.cloud.dps.individuals()):
        raise FormError("registration_id", "There is an enrollment for this device.", 409)
    one = IndividualEnrollment(
        registration_id=name,
        device_id=form.text("device_id"),
        keys=policies.own_keys(form),
        **policies.policy_fields(desk, form),
    )
    desk.cloud.dps.put_individual(one, desk.clock())
    return Outcome(_INDIVIDUAL.address(name), f"The individual enrollment {name} is made.")


PAGE = _INDIVIDUAL.page(_facts, _save, _delete)
NEW = Page("/individual/new", "individual_new.html", _new_facts, actions={"create": _create})
