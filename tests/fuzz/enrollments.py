"""Harness: enrollments as JSON, as DPS's REST API takes and gives them."""

import json

from host_tools.emulator.dps import documents
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.rest import bodies
from host_tools.keys import encode_key
from tests.fuzz.bench import HUB
from tests.fuzz.chance import Chance, said

_KEY = encode_key(bytes(range(64)))
# what may stand in each field, besides any JSON
FIELDS: dict[str, tuple[object, ...]] = {
    "registrationId": ("bench-1", "BENCH-1"),
    "enrollmentGroupId": ("mylegacydevices",),
    "attestation": (
        {"type": "symmetricKey"},
        {"type": "symmetricKey", "symmetricKey": {"primaryKey": _KEY, "secondaryKey": None}},
        {"type": "symmetricKey", "symmetricKey": {"primaryKey": "", "secondaryKey": "x"}},
        {"type": "tpm"},
    ),
    "deviceId": ("pump-7", ""),
    "allocationPolicy": ("hashed", "geoLatency", "static", "custom"),
    "iotHubs": ([HUB], [], [HUB, "other.azure-devices.net"]),
    "iotHubHostName": (HUB,),
    "customAllocationDefinition": ({"webhookUrl": "https://x/", "apiVersion": "2021-10-01"},),
    "reprovisionPolicy": ({"updateHubAssignment": False, "migrateDeviceData": True},),
    "initialTwin": ({"tags": {"a": 1}, "properties": {"desired": {"b": 2, "$version": 1}}},),
    "capabilities": ({"iotEdge": True},),
    "provisioningStatus": ("enabled", "disabled"),
    "optionalDeviceInformation": ({"a": 1},),
    "etag": ("x",),
}
TOKENS = [b"null", b"{}", b"[]", b'""', b"true", b"1e999", b'{"a":', b"\\ud800", b"\\u0000"]


def run(data: bytes) -> None:
    """Read an enrollment; what it is comes back the same from what we show of it."""
    chance = Chance(data)
    read = (documents.group, documents.individual)[chance.below(2)]
    try:
        one = read(
            _written(chance), ("bench-1", "mylegacydevices", chance.text())[chance.below(3)]
        )
    except ServiceError as error:
        assert error.status == 400, error
        assert str(error)
        return
    shown = json.dumps(documents.document(one, show_keys=True), allow_nan=False)
    again = read(json.loads(shown), one.name)
    assert again == one, (again, one)
    secretive = documents.document(one)
    assert "primaryKey" not in json.dumps(secretive["attestation"])


def _written(chance: Chance) -> dict[str, object]:
    document: dict[str, object] = {}
    for name in list(FIELDS)[chance.below(3) :]:
        values, choice = FIELDS[name], chance.below(8)
        if choice < len(values):
            document[name] = values[choice]
        elif choice == 7:
            document[name] = bodies.parse(chance.piece())
    return document


SEEDS = [
    bytes((0, 1, 0, 1, 9, 2, 0, 6, 6, 0, 0, 0, 0, 0, 0, 0, 1)),
    bytes((1, 0, 0, 9, 1, 0, 3, 0, 6, 0, 0, 0, 0, 1, 0, 0, 0)),
    said(1, 0, 0, 6, 1, 7, b"null", 3, 7, b"[]", 6, 7, b"{}", 7, b'{"a":1}', 7, b"1", 7, b'""'),
]
