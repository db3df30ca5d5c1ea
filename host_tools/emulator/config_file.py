"""The config file, cloud.toml: its keys, their types and rules.

Every mistake is one CommandError that names file, line, table and key, and never shows a key.

    [dps]                                   all of it may be left out
    id_scope = "0ne00002193"
    assigning_replies = 2                   answers "assigning" before "assigned"
    retry_after = 1                         seconds
    refuse_at = "register"                  or "connect": where a bad token is refused
    [[enrollment_group]]
    name = "mylegacydevices"
    primary_key = "..."                     Base64, 16 to 64 bytes; generated when absent,
    secondary_key = "..."                   and so is this one
    hub = "test-docs-hub.azure-devices.net"
    enabled = true
    [[individual_enrollment]]
    registration_id = "bench-1"
    device_id = "pump-7"                    the registration ID when absent
    primary_key, secondary_key, hub, enabled as above
"""

import re
import tomllib
from pathlib import Path

from host_tools.emulator.config import REFUSE_AT, Config
from host_tools.emulator.dps.enrollment import EnrollmentGroup, IndividualEnrollment, KeyPair, fold
from host_tools.emulator.host_names import is_host_name
from host_tools.emulator.toml_table import TomlTable
from host_tools.errors import CommandError
from host_tools.keys import decode_key
from keystead.registration_id import InvalidRegistrationID, check

_ID_SCOPE = re.compile(r"[0-9A-Za-z-]{1,64}")
# a hub allows + # / % as well, but they would end up in topics as they are
_DEVICE_ID = re.compile(r"[0-9A-Za-z:._*?!(),=@;$'-]{1,128}")


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
    config = Config(
        id_scope=_matching(_ID_SCOPE, dps, "id_scope", Config.id_scope),
        assigning_replies=dps.number("assigning_replies", range(1001), Config.assigning_replies),
        retry_after=dps.number("retry_after", range(3601), Config.retry_after),
        refuse_at=dps.choice("refuse_at", REFUSE_AT, Config.refuse_at),
        groups=tuple(_groups(file.tables("enrollment_group"))),
        individuals=tuple(_individuals(file.tables("individual_enrollment"))),
    )
    dps.end()
    file.end()
    return config


def _groups(tables: list[TomlTable]) -> list[EnrollmentGroup]:
    seen: set[str] = set()
    return [
        EnrollmentGroup(
            name=_name(table, "name", seen),
            hub=_hub(table),
            keys=KeyPair(_key(table, "primary_key"), _key(table, "secondary_key")),
            enabled=_last_flag(table, "enabled"),
        )
        for table in tables
    ]


def _individuals(tables: list[TomlTable]) -> list[IndividualEnrollment]:
    seen: set[str] = set()
    identities: dict[tuple[str, str], str] = {}
    return [_individual(table, seen, identities) for table in tables]


def _individual(
    table: TomlTable, seen: set[str], identities: dict[tuple[str, str], str]
) -> IndividualEnrollment:
    name, hub = _name(table, "registration_id", seen), _hub(table)
    key = "device_id" if table.has("device_id") else "registration_id"
    device_id = _matching(_DEVICE_ID, table, "device_id", "")
    owner = identities.setdefault((hub.lower(), device_id or name), name)
    if owner != name:
        raise table.error(key, f"{owner!r} has the device ID {device_id or name!r} at this hub")
    return IndividualEnrollment(
        registration_id=name,
        hub=hub,
        keys=KeyPair(_key(table, "primary_key"), _key(table, "secondary_key")),
        assigned_device_id=device_id,
        enabled=_last_flag(table, "enabled"),
    )


def _hub(table: TomlTable) -> str:
    hub = table.text("hub")
    if not is_host_name(hub):
        raise table.error("hub", f"{hub!r} can not be one: a host name, without a port")
    return hub


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
    _DEVICE_ID: "at most 128 letters, digits and - : . _ * ? ! ( ) , = @ ; $ '",
}


def _key(table: TomlTable, key: str) -> bytes:
    if not table.has(key):
        return b""
    text = table.text(key)
    try:
        return decode_key(text, "it")
    except CommandError as error:
        raise table.error(key, str(error)) from None


def _last_flag(table: TomlTable, key: str) -> bool:
    flag = table.flag(key, True)
    table.end()
    return flag
