"""Documents: enrollments in JSON, as DPS's REST API, its web-hooks and our store have them.

Owns the fields' names and how each is read; a mistake is a ServiceError that names the field.
Doesn't own what an enrollment may say (rules.py).
Source: "Individual Enrollment" and "Enrollment Group" in the DPS REST API, 2021-10-01; answers
of the service recorded in the tests of azure-iot-deviceprovisioning.
"""

from collections.abc import Callable
from typing import Any

from host_tools.emulator.dps.enrollment import (
    ALLOCATIONS,
    CUSTOM,
    HASHED,
    STATIC,
    WEBHOOK_API_VERSION,
    Enrollment,
    EnrollmentGroup,
    IndividualEnrollment,
    Webhook,
    fold,
)
from host_tools.emulator.dps.json_fields import (
    Json,
    choice,
    fields,
    flag,
    member,
    mistake,
    text,
    texts,
)
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.timestamps import timestamp
from host_tools.errors import CommandError
from host_tools.keys import decode_key, encode_key

_STATUSES = ("enabled", "disabled")


def document(one: Enrollment, show_keys: bool = False, state: Json | None = None) -> Json:
    """Return an enrollment as the REST API shows it; state: of an individual's registration."""
    whole = {
        **identity(one),
        "registrationState": state,
        "attestation": attestation(one.keys if show_keys else None),
        "etag": one.etag,
        "createdDateTimeUtc": timestamp(one.created),
        "lastUpdatedDateTimeUtc": timestamp(one.updated),
        **terms(one),
    }
    return {name: value for name, value in whole.items() if value is not None}


def identity(one: Enrollment) -> Json:
    """Return the names of an enrollment."""
    if isinstance(one, EnrollmentGroup):
        return {"enrollmentGroupId": one.name}
    return {"registrationId": one.name, "deviceId": one.device_id or None}


# {"type":"symmetricKey","symmetricKey":{"primaryKey":"...","secondaryKey":"..."}}
def attestation(keys: KeyPair | None) -> Json:
    """Return how the devices prove themselves; without keys where nobody is to see them."""
    mechanism: Json = {"type": "symmetricKey"}
    if keys:
        primary, secondary = map(encode_key, keys)
        mechanism["symmetricKey"] = {"primaryKey": primary, "secondaryKey": secondary}
    return mechanism


def terms(one: Enrollment) -> Json:
    """Return what an enrollment says besides names, keys, etag and times."""
    static = one.allocation == STATIC and len(one.hubs) == 1
    whole = {
        "capabilities": {"iotEdge": one.edge},
        "iotHubHostName": one.hubs[0] if static else None,
        "initialTwin": one.initial_twin,
        "provisioningStatus": _STATUSES[0 if one.enabled else 1],
        "reprovisionPolicy": {
            "updateHubAssignment": one.update_hub,
            "migrateDeviceData": one.migrate_data,
        },
        "allocationPolicy": one.allocation,
        "iotHubs": list(one.hubs) or None,
        "customAllocationDefinition": one.webhook
        and {"webhookUrl": one.webhook.url, "apiVersion": one.webhook.api_version},
        "optionalDeviceInformation": one.information,
    }
    return {name: value for name, value in whole.items() if value is not None}


def group(written: Any, name: str) -> EnrollmentGroup:
    """Return the enrollment group of this name that a document describes; ServiceError."""
    body = fields(written, "the body")
    _check_name(body, "enrollmentGroupId", name)
    return EnrollmentGroup(name, keys=_keys(body), **_terms(body))


def individual(written: Any, name: str) -> IndividualEnrollment:
    """Return the individual enrollment of this name that a document describes; ServiceError."""
    body = fields(written, "the body")
    _check_name(body, "registrationId", name)
    return IndividualEnrollment(
        name,
        keys=_keys(body),
        device_id=text(body, "deviceId") or "",
        information=member(body, "optionalDeviceInformation"),
        **_terms(body),
    )


BY_KIND: dict[str, Callable[[Any, str], Enrollment]] = {
    EnrollmentGroup.kind: group,
    IndividualEnrollment.kind: individual,
}


def _check_name(body: Json, field: str, name: str) -> None:
    said = text(body, field)
    if said is not None and fold(said) != fold(name):
        raise mistake(f"{field} is {said[:140]!r}, and {name[:140]!r} in the address")


def _keys(body: Json) -> KeyPair:
    mechanism = member(body, "attestation")
    if mechanism is None:
        raise mistake("attestation is missing: {'type': 'symmetricKey'} lets DPS make the keys")
    if text(mechanism, "type") != "symmetricKey":
        raise mistake("attestation.type must be 'symmetricKey': this DPS has no X.509, no TPM")
    keys = member(mechanism, "symmetricKey") or {}
    return KeyPair(_key(keys, "primaryKey"), _key(keys, "secondaryKey"))


# Base64; null, empty or left out: DPS makes it
def _key(keys: Json, field: str) -> bytes:
    try:
        return decode_key(text(keys, field) or "", field) if keys.get(field) else b""
    except CommandError as error:
        raise mistake(str(error)) from None


def _terms(body: Json) -> Json:
    again = member(body, "reprovisionPolicy") or {}
    allocation, hubs = _allocation(body)
    return {
        "enabled": choice(body, "provisioningStatus", _STATUSES, "enabled") == "enabled",
        "allocation": allocation,
        "hubs": hubs,
        "webhook": _webhook(body) if allocation == CUSTOM else None,
        "update_hub": flag(again, "updateHubAssignment", True),
        "migrate_data": flag(again, "migrateDeviceData", True),
        "initial_twin": _initial_twin(body),
        "edge": flag(member(body, "capabilities") or {}, "iotEdge", False),
    }


# iotHubHostName is the older way to name the one hub of a static allocation
def _allocation(body: Json) -> tuple[str, tuple[str, ...]]:
    allocation = choice(body, "allocationPolicy", ALLOCATIONS, "")
    host, hubs = text(body, "iotHubHostName"), texts(body, "iotHubs")
    if hubs and not allocation:
        raise mistake("Enrollment allocationPolicy must be specified when iotHubs are specified.")
    if host and not hubs and allocation in ("", STATIC):
        return STATIC, (host,)
    return allocation or HASHED, hubs


def _webhook(body: Json) -> Webhook | None:
    definition = member(body, "customAllocationDefinition") or {}
    url = text(definition, "webhookUrl")
    return Webhook(url, text(definition, "apiVersion") or WEBHOOK_API_VERSION) if url else None


# {"tags":{...},"properties":{"desired":{...}}}, either of them; what a twin adds is left behind
def initial_twin(written: Json) -> Json | None:
    """Return an initial twin in the shape that a hub takes, None if it is empty; ServiceError."""
    tags = _own(member(written, "tags"))
    desired = _own(member(member(written, "properties") or {}, "desired"))
    twin: Json = {"tags": tags} if tags else {}
    if desired:
        twin["properties"] = {"desired": desired}
    return twin or None


def _initial_twin(body: Json) -> Json | None:
    written = member(body, "initialTwin")
    return initial_twin(written) if written else None


def _own(values: Json | None) -> Json:
    of_twin = ("$metadata", "$version")
    return {name: value for name, value in (values or {}).items() if name not in of_twin}
