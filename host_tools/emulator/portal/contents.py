"""Contents: all pages of the portal."""

from host_tools.emulator.portal.desk import Page
from host_tools.emulator.portal.pages import (
    access,
    devices,
    enrollments,
    faults,
    group,
    individual,
    messages,
    methods,
    overview,
    registrations,
    telemetry,
    trace,
    twin,
)

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    enrollments.PAGE,
    group.NEW,
    group.PAGE,
    individual.NEW,
    individual.PAGE,
    registrations.PAGE,
    devices.PAGE,
    devices.NEW,
    telemetry.PAGE,
    twin.PAGE,
    messages.PAGE,
    methods.PAGE,
    access.PAGE,
    trace.PAGE,
    faults.PAGE,
)
