"""The config file's enrollments: two kinds of tables with much in common.

Owns their keys and rules; config_file.py has the list. A mistake is a CommandError that names its
place and never shows a key, nor a web-hook's address, which may hold one.
"""

import json
import re
from typing import Any

from host_tools.emulator.dps import rules
from host_tools.emulator.dps.enrollment import (
    ALLOCATIONS,
    CUSTOM,
    HASHED,
    REPROVISIONING,
    STATIC,
    WEBHOOK_API_VERSION,
    EnrollmentGroup,
    IndividualEnrollment,
    Webhook,
    fold,
)
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.host_names import is_host_name
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.mqtt.peer import API_VERSION
from host_tools.emulator.toml_table import TomlTable
from host_tools.errors import CommandError
from host_tools.keys import decode_key
from keystead.registration_id import InvalidRegistrationID, check

HOST_RULE = "a host name, without a port"
_VERSION = re.compile(API_VERSION)
_VERSION_RULE = "a date, as 2021-10-01"


def groups(tables: list[TomlTable], linked: bool) -> tuple[EnrollmentGroup, ...]:
    """Return the enrollment groups; linked: whether there is a [[hub]] for who names none."""
    seen: set[str] = set()
    found = []
    for table in tables:
        name = _name(table, "name", seen)
        found.append(EnrollmentGroup(name, keys=_keys(table), **_terms(table, linked)))
        table.end()
    return tuple(found)


def individuals(tables: list[TomlTable], linked: bool) -> tuple[IndividualEnrollment, ...]:
    """Return the individual enrollments; linked: as for groups()."""
    seen: set[str] = set()
    identities: dict[tuple[str, str], str] = {}
    return tuple(_individual(table, linked, seen, identities) for table in tables)


def _individual(
    table: TomlTable, linked: bool, seen: set[str], identities: dict[tuple[str, str], str]
) -> IndividualEnrollment:
    name, terms = _name(table, "registration_id", seen), _terms(table, linked)
    key = "device_id" if table.has("device_id") else "registration_id"
    device_id = table.checked("device_id", rules.DEVICE_ID.fullmatch, rules.DEVICE_ID_RULE, "")
    for hub in terms["hubs"] or ("",):
        owner = identities.setdefault((hub.lower(), device_id or name), name)
        if owner != name:
            why = f"{owner!r} has the device ID {device_id or name!r} at this hub"
            raise table.error(key, why)
    one = IndividualEnrollment(name, keys=_keys(table), device_id=device_id, **terms)
    table.end()
    return one


def _terms(table: TomlTable, linked: bool) -> dict[str, Any]:
    usual = STATIC if table.has("hub") else HASHED
    hubs = _hubs(table, linked)
    allocation = table.choice("allocation", ALLOCATIONS, usual)
    if allocation == STATIC and len(hubs) != 1:
        raise table.error("allocation", 'is "static": name one hub, as hub = "..."')
    again = table.choice("reprovision", tuple(REPROVISIONING), "migrate")
    update_hub, migrate_data = REPROVISIONING[again]
    return {
        "hubs": hubs,
        "allocation": allocation,
        "webhook": _webhook(table, allocation),
        "update_hub": update_hub,
        "migrate_data": migrate_data,
        "initial_twin": _initial_twin(table),
        "edge": table.flag("edge", False),
        "enabled": table.flag("enabled", True),
    }


def _hubs(table: TomlTable, linked: bool) -> tuple[str, ...]:
    if table.has("hubs"):
        if table.has("hub"):
            raise table.error("hub", "is here besides hubs: write one of them")
        return _several(table)
    if linked and not table.has("hub"):
        return ()
    return (table.checked("hub", is_host_name, HOST_RULE),)


def _several(table: TomlTable) -> tuple[str, ...]:
    hubs = table.texts("hubs")
    for hub in hubs:
        if not is_host_name(hub):
            raise table.error("hubs", f"{hub!r} can not be one: {HOST_RULE}")
    if not hubs or len({hub.lower() for hub in hubs}) < len(hubs):
        raise table.error("hubs", "must name at least one hub, and each once")
    return hubs


def _webhook(table: TomlTable, allocation: str) -> Webhook | None:
    if allocation != CUSTOM:
        for key in ("webhook", "webhook_api_version"):
            if table.has(key):
                raise table.error(key, 'is for allocation = "custom" only')
        return None
    url = table.text("webhook")
    version = table.checked(
        "webhook_api_version", _VERSION.fullmatch, _VERSION_RULE, WEBHOOK_API_VERSION
    )
    webhook = Webhook(url, version)
    if not rules.can_be_called(webhook):
        raise table.error("webhook", f"can not be one: {rules.WEBHOOK_RULE}")
    return webhook


# [....initial_twin] tags = {...} desired = {...}
def _initial_twin(table: TomlTable) -> dict[str, Any] | None:
    inner = table.inner("initial_twin")
    tags, desired = _section(inner, "tags"), _section(inner, "desired")
    inner.end()
    twin: dict[str, Any] = {"tags": tags} if tags else {}
    if desired:
        twin["properties"] = {"desired": desired}
    return twin or None


def _section(table: TomlTable, key: str) -> dict[str, Any]:
    value = table.value(key, {})
    try:
        section = dict(json.loads(json.dumps(value, allow_nan=False)))
        rules.check_section(key, section)
    except (TypeError, ValueError, RecursionError):
        why = "must be a table of what JSON has: no dates, no inf, no nan"
        raise table.error(key, why) from None
    except ServiceError as error:
        raise table.error(key, str(error)) from None
    return section


def _name(table: TomlTable, key: str, seen: set[str]) -> str:
    name = table.text(key)
    try:
        check(name, wide=True)
    except InvalidRegistrationID as error:
        raise table.error(key, str(error).replace("registration ID", "the name", 1)) from None
    if fold(name) in seen:
        raise table.error(key, f"{name!r} is here twice")
    seen.add(fold(name))
    return name


def _keys(table: TomlTable) -> KeyPair:
    return KeyPair(_key(table, "primary_key"), _key(table, "secondary_key"))


def _key(table: TomlTable, key: str) -> bytes:
    if not table.has(key):
        return b""
    text = table.text(key)
    try:
        return decode_key(text, "it")
    except CommandError as error:
        raise table.error(key, str(error)) from None
