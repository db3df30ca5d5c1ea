"""The overview: what a device needs to know of this cloud, and what happened last."""

import hashlib
from typing import Any

from host_tools.emulator.portal.desk import Desk, Facts, Page, Query

_MOMENTS = 15


def _facts(desk: Desk, query: Query) -> Facts:
    cloud = desk.cloud
    return {
        "fingerprint": _fingerprint(cloud.ca_der),
        "advertised": cloud.advertise,
        "groups": len(cloud.dps.groups()),
        "individuals": len(cloud.dps.individuals()),
        "linked": [_counts(hub) for hub in sorted(cloud.hubs.all(), key=lambda hub: hub.name)],
        "moments": desk.memory.moments(most=_MOMENTS),
    }


def _counts(hub: Any) -> Facts:
    counts = hub.statistics()
    return {
        "name": hub.name,
        "devices": counts["totalDeviceCount"],
        "enabled": counts["enabledDeviceCount"],
        "connected": counts["connectedDeviceCount"],
    }


# AB:CD:...
def _fingerprint(der: bytes) -> str:
    return hashlib.sha256(der).digest().hex(":").upper()


PAGE = Page("/", "overview.html", _facts)
