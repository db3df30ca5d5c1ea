"""One enrollment group: its policies and registration records; and a new one."""

from dataclasses import replace

from host_tools.emulator.dps.enrollment import EnrollmentGroup
from host_tools.emulator.portal.desk import Desk, Facts, Outcome, Page, Query, part_of, url
from host_tools.emulator.portal.forms import Form, FormError
from host_tools.emulator.portal.pages import policies, registrations
from host_tools.emulator.portal.pages.one_enrollment import OneEnrollment
from keystead.registration_id import InvalidRegistrationID, check

_GROUP = OneEnrollment(
    "/group",
    "name",
    EnrollmentGroup,
    enabled="Enabled: its devices may register again.",
    disabled="Disabled: its devices are refused when they register next. Those at a hub stay.",
    renewed="derive anew",
)


def _facts(desk: Desk, query: Query) -> Facts:
    group = _GROUP.of(desk, query)
    records = desk.cloud.dps.registrations(group.name)
    return {
        "group": group,
        "records": part_of(registrations.sorted_by_time(records), "/group", query),
        **policies.policy_facts(desk, group),
    }


def _save(desk: Desk, query: Query, form: Form) -> Outcome:
    before = _GROUP.of(desk, query)
    group = replace(before, **policies.policy_fields(desk, form, before))
    _GROUP.keep(desk, group, form.text("etag", "*"))
    return _GROUP.saved(group)


def _delete(desk: Desk, query: Query, form: Form) -> Outcome:
    name = _GROUP.of(desk, query).name
    desk.cloud.dps.delete_group(name)
    return Outcome(url("/enrollments"), f"The enrollment group {name} is deleted.")


def _new_facts(desk: Desk, query: Query) -> Facts:
    return policies.policy_facts(desk, None)


def _create(desk: Desk, query: Query, form: Form) -> Outcome:
    name = checked_name(form, "name", "The group's name")
    keys = policies.own_keys(form)
    group = EnrollmentGroup(name=name, keys=keys, **policies.policy_fields(desk, form))
    if any(one.name.lower() == name.lower() for one in desk.cloud.dps.groups()):
        raise FormError("name", "There is a group of this name.", 409)
    desk.cloud.dps.put_group(group, desk.clock())
    return Outcome(_GROUP.address(name), f"The enrollment group {name} is made.")


def checked_name(form: Form, field: str, what: str) -> str:
    """Return a name that DPS takes; raise FormError."""
    name = form.needed(field, what)
    try:
        check(name, wide=True)
    except InvalidRegistrationID as error:
        why = str(error).replace("registration ID", what, 1)
        raise FormError(field, f"{why[:1].upper()}{why[1:]}.") from None
    return name


PAGE = _GROUP.page(_facts, _save, _delete)
NEW = Page("/group/new", "group_new.html", _new_facts, actions={"create": _create})
