"""One enrollment group: its status, keys, policies and registration records; and a new one."""

from dataclasses import replace

from host_tools.emulator.dps.enrollment import EnrollmentGroup
from host_tools.emulator.portal.desk import Desk, Facts, Outcome, Page, Query, Secret, part_of, url
from host_tools.emulator.portal.forms import Form, FormError
from host_tools.emulator.portal.pages import policies, registrations
from keystead.registration_id import InvalidRegistrationID, check


def _group(desk: Desk, query: Query) -> EnrollmentGroup:
    return desk.cloud.dps.group(query.get("name", ""))


def _facts(desk: Desk, query: Query) -> Facts:
    group = _group(desk, query)
    records = desk.cloud.dps.registrations(group.name)
    return {
        "group": group,
        "records": part_of(registrations.sorted_by_time(records), "/group", query),
        **policies.policy_facts(desk, group),
    }


def _save(desk: Desk, query: Query, form: Form) -> Outcome:
    before = _group(desk, query)
    group = replace(before, **policies.policy_fields(desk, form, before))
    desk.cloud.dps.put_group(group, desk.clock(), form.text("etag", "*"))
    return Outcome(_page(group.name, "settings"), "Saved. It applies from the next registration.")


def _enable(desk: Desk, query: Query, form: Form) -> Outcome:
    enabled = form.text("enabled") == "yes"
    group = replace(_group(desk, query), enabled=enabled)
    desk.cloud.dps.put_group(group, desk.clock(), "*")
    said = (
        "Enabled: its devices may register again."
        if enabled
        else "Disabled: its devices are refused when they register next. Those at a hub stay."
    )
    return Outcome(_page(group.name), said)


def _delete(desk: Desk, query: Query, form: Form) -> Outcome:
    name = _group(desk, query).name
    desk.cloud.dps.delete_group(name)
    return Outcome(url("/enrollments"), f"The enrollment group {name} is deleted.")


def _keys(desk: Desk, query: Query) -> list[Secret]:
    return policies.shown(_group(desk, query).keys)


def _new_keys(desk: Desk, query: Query, form: Form) -> Outcome:
    group = _group(desk, query)
    keys = policies.regenerated(group.keys, form.choice("which", ("primary", "secondary")))
    desk.cloud.dps.put_group(replace(group, keys=keys), desk.clock(), "*")
    return Outcome(
        _page(group.name, "keys"), f"The {form.text('which')} key is a new one: derive anew."
    )


def _new_facts(desk: Desk, query: Query) -> Facts:
    return policies.policy_facts(desk, None)


def _create(desk: Desk, query: Query, form: Form) -> Outcome:
    name = checked_name(form, "name", "The group's name")
    keys = policies.own_keys(form)
    group = EnrollmentGroup(name=name, keys=keys, **policies.policy_fields(desk, form))
    if any(one.name.lower() == name.lower() for one in desk.cloud.dps.groups()):
        raise FormError("name", "There is a group of this name.", 409)
    desk.cloud.dps.put_group(group, desk.clock())
    return Outcome(_page(name), f"The enrollment group {name} is made.")


def checked_name(form: Form, field: str, what: str) -> str:
    """Return a name that DPS takes; raise FormError."""
    name = form.needed(field, what)
    try:
        check(name, wide=True)
    except InvalidRegistrationID as error:
        why = str(error).replace("registration ID", what, 1)
        raise FormError(field, f"{why[:1].upper()}{why[1:]}.") from None
    return name


def _page(name: str, anchor: str = "") -> str:
    return url("/group", anchor, name=name)


PAGE = Page(
    "/group",
    "group.html",
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
NEW = Page("/group/new", "group_new.html", _new_facts, actions={"create": _create})
