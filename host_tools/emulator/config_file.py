"""The config file, cloud.toml: its keys, their types and rules.

Every mistake is one CommandError that names file, line, table and key, and never shows a key.

    [dps]                                   all of it may be left out
    id_scope = "0ne00002193"
    name = "keystead"                       host of its service API, before
                                            .azure-devices-provisioning.net
    assigning_replies = 2                   answers "assigning" before "assigned"
    retry_after = 1                         seconds
    refuse_at = "register"                  or "connect": where a bad token is refused
    throttle = false                        true: 1000 registrations and 1000 status queries a
                                            minute, 5 status queries of a device in 10 s; off, as
                                            a bench boots more at once than Azure allows
    [[hub]]                                 a linked hub; those that enrollments name are linked
    name = "hub-eu.azure-devices.net"       without it, with weight 1
    weight = 1                              1 to 1000, its share of devices
    [[latency]]                             stands in for the network; the first that fits counts
    devices = "eu-*"                        registration IDs, with * and ?; all of them if absent
    hub = "hub-eu.azure-devices.net"        a hub without a row is the farthest, equals share
    milliseconds = 20
    [[enrollment_group]]
    name = "mylegacydevices"
    primary_key = "..."                     Base64, 16 to 64 bytes; generated when absent,
    secondary_key = "..."                   and so is this one
    hub = "test-docs-hub.azure-devices.net" the one hub of a static allocation; or
    hubs = ["a.azure-devices.net", "..."]   the hubs to choose from; without either, all [[hub]]
    allocation = "hashed"                   the default; or "geoLatency", "static", "custom"
    webhook = "http://localhost:7071/api/x" who chooses if "custom"; called for each registration
    webhook_api_version = "2021-10-01"      what the web-hook is told
    reprovision = "migrate"                 or "reset", "never": what another registration may do
    edge = false                            what the service's API says of it, no more
    enabled = true
    [enrollment_group.initial_twin]         of a device that its hub does not know yet
    tags = { site = "lab" }
    desired = { interval = 60 }
    [[individual_enrollment]]
    registration_id = "bench-1"
    device_id = "pump-7"                    the registration ID when absent
    the rest as above

The enrollments are seeds: with a state directory, one that is written here as it was the last
time is left as REST or the portal made it, or deleted. One that is no longer written goes.
"""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from host_tools.emulator.config import REFUSE_AT, Config, LinkedHub
from host_tools.emulator.dps import rules
from host_tools.emulator.dps.allocation import Latency
from host_tools.emulator.dps.enrollment import (
    ALLOCATIONS,
    CUSTOM,
    HASHED,
    REPROVISIONING,
    STATIC,
    WEBHOOK_API_VERSION,
    EnrollmentGroup,
    IndividualEnrollment,
    KeyPair,
    Webhook,
    fold,
)
from host_tools.emulator.host_names import is_host_name
from host_tools.emulator.mqtt.peer import API_VERSION
from host_tools.emulator.toml_table import TomlTable
from host_tools.errors import CommandError
from host_tools.keys import decode_key
from keystead.registration_id import InvalidRegistrationID, check

_ID_SCOPE = re.compile(r"[0-9A-Za-z-]{1,64}")
_NAME = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?")
_PATTERN = re.compile(r"[0-9A-Za-z._:*?-]{1,128}")
_VERSION = re.compile(API_VERSION)


def load(path: Path) -> Config:
    """Return the config in a file; raise CommandError."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # Windows' editors put a BOM before it
        document = tomllib.loads(text)
    except OSError as error:
        raise CommandError(f"can not read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # also of a number with 5 000 digits
        raise CommandError(f"{path} is not TOML: {error}") from None
    return parse(TomlTable(str(path), text, "", document))


def parse(file: TomlTable) -> Config:
    """Return the config in a file's outermost table; raise CommandError."""
    dps = file.table("dps")
    links = _links(file.tables("hub"))
    config = Config(
        id_scope=_matching(_ID_SCOPE, dps, "id_scope", Config.id_scope),
        name=_matching(_NAME, dps, "name", Config.name),
        assigning_replies=dps.number("assigning_replies", range(1001), Config.assigning_replies),
        retry_after=dps.number("retry_after", range(3601), Config.retry_after),
        refuse_at=dps.choice("refuse_at", REFUSE_AT, Config.refuse_at),
        throttle=dps.flag("throttle", Config.throttle),
        links=links,
        latencies=tuple(_latency(table) for table in file.tables("latency")),
        groups=tuple(_groups(file.tables("enrollment_group"), bool(links))),
        individuals=tuple(_individuals(file.tables("individual_enrollment"), bool(links))),
    )
    dps.end()
    file.end()
    return config


def _links(tables: list[TomlTable]) -> tuple[LinkedHub, ...]:
    seen: set[str] = set()
    links = []
    for table in tables:
        name = _host(table, "name")
        if name.lower() in seen:
            raise table.error("name", f"{name!r} is here twice")
        seen.add(name.lower())
        links.append(LinkedHub(name, table.number("weight", range(1, 1001), 1)))
        table.end()
    return tuple(links)


def _latency(table: TomlTable) -> Latency:
    devices = _matching(_PATTERN, table, "devices", "*")
    row = Latency(devices, _host(table, "hub"), table.number("milliseconds", range(60_001)))
    table.end()
    return row


def _groups(tables: list[TomlTable], linked: bool) -> list[EnrollmentGroup]:
    seen: set[str] = set()
    groups = []
    for table in tables:
        name = _name(table, "name", seen)
        groups.append(EnrollmentGroup(name, keys=_keys(table), **_terms(table, linked)))
        table.end()
    return groups


def _individuals(tables: list[TomlTable], linked: bool) -> list[IndividualEnrollment]:
    seen: set[str] = set()
    identities: dict[tuple[str, str], str] = {}
    return [_individual(table, linked, seen, identities) for table in tables]


def _individual(
    table: TomlTable, linked: bool, seen: set[str], identities: dict[tuple[str, str], str]
) -> IndividualEnrollment:
    name, terms = _name(table, "registration_id", seen), _terms(table, linked)
    key = "device_id" if table.has("device_id") else "registration_id"
    device_id = _matching(rules.DEVICE_ID, table, "device_id", "")
    for hub in terms["hubs"] or ("",):
        owner = identities.setdefault((hub.lower(), device_id or name), name)
        if owner != name:
            why = f"{owner!r} has the device ID {device_id or name!r} at this hub"
            raise table.error(key, why)
    one = IndividualEnrollment(name, keys=_keys(table), device_id=device_id, **terms)
    table.end()
    return one


def _terms(table: TomlTable, linked: bool) -> dict[str, Any]:
    hubs = _hubs(table, linked)
    usual = HASHED if table.has("allocation") or len(hubs) != 1 else STATIC
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
        hubs = table.texts("hubs")
        for hub in hubs:
            _check_host(table, "hubs", hub)
        if not hubs or len({hub.lower() for hub in hubs}) < len(hubs):
            raise table.error("hubs", "must name at least one hub, and each once")
        return hubs
    if linked and not table.has("hub"):
        return ()
    return (_host(table, "hub"),)


def _host(table: TomlTable, key: str) -> str:
    host = table.text(key)
    _check_host(table, key, host)
    return host


def _check_host(table: TomlTable, key: str, host: str) -> None:
    if not is_host_name(host):
        raise table.error(key, f"{host!r} can not be one: a host name, without a port")


# its address may hold a key of its own: it does not show
def _webhook(table: TomlTable, allocation: str) -> Webhook | None:
    if allocation != CUSTOM:
        for key in ("webhook", "webhook_api_version"):
            if table.has(key):
                raise table.error(key, 'is for allocation = "custom" only')
        return None
    url = table.text("webhook")
    version = _matching(_VERSION, table, "webhook_api_version", WEBHOOK_API_VERSION)
    webhook = Webhook(url, version)
    if not rules.can_be_called(webhook):
        raise table.error("webhook", f"can not be one: {rules.WEBHOOK_RULE}")
    return webhook


# [....initial_twin] tags = {...} desired = {...}
def _initial_twin(table: TomlTable) -> dict[str, Any] | None:
    if not table.has("initial_twin"):
        return None
    inner = table.inner("initial_twin")
    tags, desired = _json(inner, "tags"), _json(inner, "desired")
    inner.end()
    twin: dict[str, Any] = {"tags": tags} if tags else {}
    if desired:
        twin["properties"] = {"desired": desired}
    return twin or None


def _json(table: TomlTable, key: str) -> dict[str, Any]:
    value = table.value(key, {})
    try:
        return dict(json.loads(json.dumps(value, allow_nan=False)))
    except (TypeError, ValueError, RecursionError):
        raise table.error(
            key, "must be a table of what JSON has: no dates, no inf, no nan"
        ) from None


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


def _matching(
    pattern: re.Pattern[str], table: TomlTable, key: str, default: str | None = None
) -> str:
    text = table.text(key, default)
    if text != default and not pattern.fullmatch(text):
        raise table.error(key, f"{text!r} can not be one: {_RULES[pattern]}")
    return text


_RULES = {
    _ID_SCOPE: "letters, digits and dashes, at most 64",
    _NAME: "letters, digits and dashes between them, at most 63",
    _PATTERN: "a registration ID with * and ? for what varies",
    _VERSION: "a date, as 2021-10-01",
    rules.DEVICE_ID: rules.DEVICE_ID_RULE,
}


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
