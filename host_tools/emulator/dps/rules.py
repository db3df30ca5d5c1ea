"""Rules: what an enrollment may say, whoever says it: the REST API, the portal, cloud.toml.

Owns the rules that the service has too. Doesn't own the form: documents.py, config_file.py.
Sources: "How to use allocation policies"; "DPS terminology"; error texts of the service.
"""

import re
from collections.abc import Container
from typing import Any
from urllib.parse import urlsplit

from host_tools.emulator.dps.enrollment import (
    ALLOCATIONS,
    CUSTOM,
    STATIC,
    Enrollment,
    IndividualEnrollment,
    Webhook,
)
from host_tools.emulator.dps.json_fields import mistake
from host_tools.emulator.host_names import is_host_name
from host_tools.emulator.hub import twin_rules
from host_tools.keys import SIZES
from keystead import registration_id as registration_ids

# a hub allows + # / % as well, but they would end up in topics as they are
DEVICE_ID = re.compile(r"[0-9A-Za-z:._*?!(),=@;$'-]{1,128}")
DEVICE_ID_RULE = "at most 128 letters, digits and - : . _ * ? ! ( ) , = @ ; $ '"
WEBHOOK_RULE = "an address that begins with http:// or https://"
_LONGEST_URL = 2048  # characters


def check(one: Enrollment, linked: Container[str]) -> None:
    """Raise ServiceError unless DPS can work with an enrollment; linked: hubs in lower case."""
    check_name(one.name)
    if isinstance(one, IndividualEnrollment):
        _check_device_id(one.device_id)
    for key in one.keys:
        if key and len(key) not in SIZES:
            raise mistake(f"a key has {len(key)} bytes, DPS takes 16 to 64")
    _check_allocation(one, linked)
    if one.initial_twin:
        check_section("tags", one.initial_twin.get("tags", {}))
        check_section("desired", one.initial_twin.get("properties", {}).get("desired", {}))


def check_section(name: str, section: dict[str, Any]) -> None:
    """Raise ServiceError unless hubs take these tags or desired properties."""
    largest = twin_rules.LARGEST_TAGS if name == "tags" else twin_rules.LARGEST
    twin_rules.check(section)
    twin_rules.check_size(name, section, largest)


def _check_device_id(device_id: str) -> None:
    if device_id and not DEVICE_ID.fullmatch(device_id):
        raise mistake(f"deviceId {device_id[:140]!r} can not be one: {DEVICE_ID_RULE}")


def check_name(name: str) -> None:
    """Raise ServiceError unless name can be a registration ID or a group's name."""
    try:
        registration_ids.check(name, wide=True)
    except registration_ids.InvalidRegistrationID as error:
        raise mistake(str(error)) from None


def _check_allocation(one: Enrollment, linked: Container[str]) -> None:
    if one.allocation not in ALLOCATIONS:
        raise mistake(f"allocationPolicy is none of {', '.join(ALLOCATIONS)}")
    for hub in one.hubs:
        if hub.lower() not in linked:
            raise mistake(f"IoT hub {hub[:140]!r} is not linked to this DPS")
    if one.allocation == STATIC and len(one.hubs) > 1:
        raise mistake("a static allocation takes one IoT hub")
    if one.allocation == CUSTOM and not one.webhook:
        raise mistake(
            "A CustomAllocationDefinition is required"
            " when the allocation policy is set to 'Custom'"
        )
    if one.webhook and not can_be_called(one.webhook):
        raise mistake(f"webhookUrl can not be one: {WEBHOOK_RULE}")


def can_be_called(webhook: Webhook) -> bool:
    """Tell whether a web-hook's address is one."""
    url = webhook.url
    if len(url) > _LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    known = is_host_name(host) or ":" in host  # the latter an IPv6 address in its brackets
    return parts.scheme in ("http", "https") and known and port != 0
