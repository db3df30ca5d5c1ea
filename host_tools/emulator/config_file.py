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

import re
from pathlib import Path

from host_tools.emulator.config import REFUSE_AT, Config, LinkedHub
from host_tools.emulator.config_enrollments import HOST_RULE, groups, individuals
from host_tools.emulator.dps.allocation import Latency
from host_tools.emulator.host_names import is_host_name
from host_tools.emulator.toml_table import TomlTable

_ID_SCOPE = re.compile(r"[0-9A-Za-z-]{1,64}")
_ID_SCOPE_RULE = "letters, digits and dashes, at most 64"
_NAME = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?")
_NAME_RULE = "letters, digits and dashes between them, at most 63"
_PATTERN = re.compile(r"[0-9A-Za-z._:*?-]{1,128}")
_PATTERN_RULE = "a registration ID with * and ? for what varies"


def load(path: Path) -> Config:
    """Return the config in a file; raise CommandError."""
    return parse(TomlTable.load(path))


def parse(file: TomlTable) -> Config:
    """Return the config in a file's outermost table; raise CommandError."""
    dps = file.table("dps")
    links = _links(file.tables("hub"))
    config = Config(
        id_scope=dps.checked("id_scope", _ID_SCOPE.fullmatch, _ID_SCOPE_RULE, Config.id_scope),
        name=dps.checked("name", _NAME.fullmatch, _NAME_RULE, Config.name),
        assigning_replies=dps.number("assigning_replies", range(1001), Config.assigning_replies),
        retry_after=dps.number("retry_after", range(3601), Config.retry_after),
        refuse_at=dps.choice("refuse_at", REFUSE_AT, Config.refuse_at),
        throttle=dps.flag("throttle", Config.throttle),
        links=links,
        latencies=tuple(_latency(table) for table in file.tables("latency")),
        groups=groups(file.tables("enrollment_group"), bool(links)),
        individuals=individuals(file.tables("individual_enrollment"), bool(links)),
    )
    dps.end()
    file.end()
    return config


def _links(tables: list[TomlTable]) -> tuple[LinkedHub, ...]:
    seen: set[str] = set()
    links = []
    for table in tables:
        name = table.checked("name", is_host_name, HOST_RULE)
        if name.lower() in seen:
            raise table.error("name", f"{name!r} is here twice")
        seen.add(name.lower())
        links.append(LinkedHub(name, table.number("weight", range(1, 1001), 1)))
        table.end()
    return tuple(links)


def _latency(table: TomlTable) -> Latency:
    devices = table.checked("devices", _PATTERN.fullmatch, _PATTERN_RULE, "*")
    hub = table.checked("hub", is_host_name, HOST_RULE)
    row = Latency(devices, hub, table.number("milliseconds", range(60_001)))
    table.end()
    return row
