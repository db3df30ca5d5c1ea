"""Registration records: which device registered, and which hub it was given."""

from collections.abc import Iterable

from host_tools.emulator.portal.desk import Desk, Facts, Outcome, Page, Query, part_of, url
from host_tools.emulator.portal.forms import Form
from host_tools.emulator.records import Registration


def _facts(desk: Desk, query: Query) -> Facts:
    records = desk.cloud.dps.registrations()
    wanted = query.get("q", "").strip().lower()
    found = [
        one
        for one in records
        if wanted in one.registration_id.lower() or wanted in one.device_id.lower()
    ]
    return {
        "wanted": query.get("q", ""),
        "records": part_of(sorted_by_time(found), "/registrations", query),
        "has_records": bool(records),
    }


def sorted_by_time(records: Iterable[Registration]) -> list[Registration]:
    """Return records, the latest registration first."""
    return sorted(records, key=lambda one: (-one.updated, one.registration_id))


def delete(desk: Desk, query: Query, form: Form) -> Outcome:
    """Forget that a device registered; it goes back to the list it was deleted from."""
    name = form.text("record")
    desk.cloud.dps.delete_registration(name)
    said = f"The record of {name} is deleted: its next registration is a first one."
    if group := query.get("name"):
        return Outcome(url("/group", "records", name=group), said)
    if individual := query.get("id"):
        return Outcome(url("/individual", "record", id=individual), said)
    return Outcome(url("/registrations", q=query.get("q", "")), said)


PAGE = Page("/registrations", "registrations.html", _facts, actions={"delete": delete})
