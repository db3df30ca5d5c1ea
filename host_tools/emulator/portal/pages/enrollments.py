"""All enrollments of the provisioning service."""

from host_tools.emulator.portal.desk import Desk, Facts, Page, Query, part_of


def _facts(desk: Desk, query: Query) -> Facts:
    dps = desk.cloud.dps
    wanted = query.get("q", "").strip().lower()
    individuals = [one for one in dps.individuals() if wanted in one.registration_id.lower()]
    return {
        "wanted": query.get("q", ""),
        "groups": dps.groups(),
        "individuals": part_of(individuals, "/enrollments", query),
        "has_individuals": bool(dps.individuals()),
    }


PAGE = Page("/enrollments", "enrollments.html", _facts)
