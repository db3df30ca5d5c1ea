"""One individual enrollment: a single device with keys of its own; and a new one."""

from contextlib import suppress
from dataclasses import replace

from host_tools.emulator.dps.enrollment import IndividualEnrollment
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.portal.desk import Desk, Facts, Outcome, Page, Query, Secret, url
from host_tools.emulator.portal.forms import Form, FormError
from host_tools.emulator.portal.pages import policies, registrations
from host_tools.emulator.portal.pages.group import checked_name
from host_tools.emulator.records import Registration


def _individual(desk: Desk, query: Query) -> IndividualEnrollment:
    return desk.cloud.dps.individual(query.get("id", ""))


def _facts(desk: Desk, query: Query) -> Facts:
    one = _individual(desk, query)
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
    before = _individual(desk, query)
    fields = policies.policy_fields(desk, form, before)
    one = replace(before, device_id=form.text("device_id"), **fields)
    desk.cloud.dps.put_individual(one, desk.clock(), form.text("etag", "*"))
    return Outcome(
        _page(one.registration_id, "settings"), "Saved. It applies from the next registration."
    )


def _enable(desk: Desk, query: Query, form: Form) -> Outcome:
    enabled = form.text("enabled") == "yes"
    one = replace(_individual(desk, query), enabled=enabled)
    desk.cloud.dps.put_individual(one, desk.clock(), "*")
    said = (
        "Enabled: the device may register again."
        if enabled
        else "Disabled: the device is refused when it registers next, also by its group."
    )
    return Outcome(_page(one.registration_id), said)


def _delete(desk: Desk, query: Query, form: Form) -> Outcome:
    name = _individual(desk, query).registration_id
    desk.cloud.dps.delete_individual(name)
    return Outcome(
        url("/enrollments", "individuals"),
        f"The individual enrollment {name} is deleted: from now on a group may admit the device.",
    )


def _keys(desk: Desk, query: Query) -> list[Secret]:
    return policies.shown(_individual(desk, query).keys)


def _new_keys(desk: Desk, query: Query, form: Form) -> Outcome:
    one = _individual(desk, query)
    keys = policies.regenerated(one.keys, form.choice("which", ("primary", "secondary")))
    desk.cloud.dps.put_individual(replace(one, keys=keys), desk.clock(), "*")
    return Outcome(
        _page(one.registration_id, "keys"),
        f"The {form.text('which')} key is a new one: give it to the device.",
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
    return Outcome(_page(name), f"The individual enrollment {name} is made.")


def _page(name: str, anchor: str = "") -> str:
    return url("/individual", anchor, id=name)


PAGE = Page(
    "/individual",
    "individual.html",
    _facts,
    actions={
        "save": _save,
        "enable": _enable,
        "delete": _delete,
        "new-key": _new_keys,
        "delete-record": registrations.delete,
    },
    reveals={"keys": _keys},
)
NEW = Page("/individual/new", "individual_new.html", _new_facts, actions={"create": _create})
