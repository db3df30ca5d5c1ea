"""Twin: the documents that a hub and a device keep of each other.

Owns tags, desired and reported properties with their metadata and versions, and the two ways to
show them. A Twin never changes: a change makes another one. Doesn't own topics (peer.py), limits
(twin_rules.py) nor where it is kept (twins.py).
Source: "Understand and use device twins in IoT Hub"; RFC 7396.
"""

import json
from base64 import b64encode
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

from host_tools.emulator.hub import twin_rules as rules
from host_tools.emulator.hub.device import Device, Presence
from host_tools.emulator.hub.merge import merged, replacing, stamped
from host_tools.emulator.hub.twin_rules import TwinError
from host_tools.emulator.timestamps import timestamp

_TAGS, _DESIRED = "tags", "desired"
_READ_ONLY = ("$metadata", "$version")  # who sends back what was read sends these, too


class Edit(NamedTuple):
    """What a change by the service comes to."""

    twin: "Twin"
    tags: bool = False  # changed
    desired: dict[str, Any] | None = None  # the patch a device hears of


@dataclass(frozen=True, slots=True)
class Section:
    """Desired or reported properties."""

    values: dict[str, Any]
    metadata: dict[str, Any]
    version: int = 1

    # {..., "$metadata": {...}, "$version": n}
    def document(self) -> dict[str, Any]:
        """Return it as the service's API shows it."""
        return {**self.values, "$metadata": self.metadata, "$version": self.version}

    def with_version(self) -> dict[str, Any]:
        """Return it as a device reads it."""
        return {**self.values, "$version": self.version}


@dataclass(frozen=True, slots=True)
class Twin:
    """Tags and desired properties, written by the cloud; reported ones, written by the device."""

    tags: dict[str, Any]
    desired_section: Section
    reported_section: Section
    version: int = 2  # of all of it
    edits: int = 1  # of tags and desired properties: the etag
    _document: bytes = field(default=b"", init=False, compare=False, repr=False)

    @classmethod
    def new(cls, created: float) -> Self:
        """Return the twin of a device that was created then."""
        metadata = {"$lastUpdated": timestamp(created)}
        return cls({}, Section({}, metadata), Section({}, metadata))

    @classmethod
    def initial(cls, document: object, now: float) -> "Twin":
        """Return the twin of a new device that has tags or desired properties; TwinError."""
        new = Twin.new(now)
        unborn = replace(new.desired_section, version=0)
        twin = replace(new, desired_section=unborn, version=1, edits=0).patched(document, now).twin
        desired = twin.desired_section
        return replace(
            twin, desired_section=replace(desired, version=1), version=new.version, edits=new.edits
        )

    @property
    def desired(self) -> dict[str, Any]:
        """Return the desired properties; not to be changed."""
        return self.desired_section.values

    @property
    def reported(self) -> dict[str, Any]:
        """Return the reported properties; not to be changed."""
        return self.reported_section.values

    # "AAAAAAAAAAE=": eight bytes that count
    @property
    def etag(self) -> str:
        """Return what changes with each change by the service, not with the device's."""
        return b64encode(self.edits.to_bytes(8, "big")).decode()

    # {"desired": {..., "$version": n}, "reported": {..., "$version": m}}
    def document(self) -> bytes:
        """Return both kinds of properties as the device reads them."""
        if not self._document:
            desired, reported = self.desired_section, self.reported_section
            document = {"desired": desired.with_version(), "reported": reported.with_version()}
            object.__setattr__(
                self, "_document", compact(document).encode()
            )  # frozen but for this
        return self._document

    # {"deviceId": ..., "etag": ..., ..., "tags": {...}, "properties": {"desired": {...}, ...}}
    def service_document(self, device: Device, presence: Presence, pending: int) -> dict[str, Any]:
        """Return the twin as the service's API shows it, with what the registry knows."""
        return {
            "deviceId": device.device_id,
            "etag": self.etag,
            "deviceEtag": device.etag,
            "status": "enabled" if device.enabled else "disabled",
            "statusReason": device.status_reason,
            "statusUpdateTime": timestamp(device.updated),
            "connectionState": "Connected" if presence.connected else "Disconnected",
            "lastActivityTime": timestamp(presence.last_activity),
            "cloudToDeviceMessageCount": pending,
            "authenticationType": "sas",
            "x509Thumbprint": {"primaryThumbprint": None, "secondaryThumbprint": None},
            "modelId": "",
            "version": self.version,
            "tags": self.tags,
            "properties": {
                "desired": self.desired_section.document(),
                "reported": self.reported_section.document(),
            },
            "capabilities": {"iotEdge": device.edge},
        }

    def report(self, patch: bytes, now: float) -> Self:
        """Return the twin with the device's patch in its reported properties; TwinError."""
        changes = rules.parse(patch)
        rules.check(changes)
        before = self.reported_section
        values = merged(before.values, changes)
        rules.check_size("the reported properties", values, rules.LARGEST)
        metadata = stamped(before.metadata, changes, {"$lastUpdated": timestamp(now)})
        section = Section(values, metadata, before.version + 1)
        return replace(self, reported_section=section, version=self.version + 1)

    # {"tags": {...}, "properties": {"desired": {...}}}, either of them; null empties one
    def patched(self, patch: object, now: float) -> Edit:
        """Merge the service's patch into tags and desired properties; raise TwinError.

        What else it says is passed over: editors send back all that they read.
        """
        given = _sections(patch)
        return self._edited(
            {
                name: dict.fromkeys(self._values(name)) if section is None else section
                for name, section in given.items()
            },
            now,
        )

    def replaced(self, document: object, now: float) -> Edit:
        """Replace the sections that the service's document has, as patched() otherwise."""
        given = _sections(document)
        return self._edited(
            {name: replacing(self._values(name), given[name] or {}) for name in given}, now
        )

    def _values(self, section: str) -> dict[str, Any]:
        return self.tags if section == _TAGS else self.desired

    def _edited(self, patches: dict[str, dict[str, Any]], now: float) -> Edit:
        if not patches:
            return Edit(self)
        tags, desired = patches.get(_TAGS), patches.get(_DESIRED)
        twin = replace(self, version=self.version + 1, edits=self.edits + 1)
        if tags is not None:
            values = merged(self.tags, tags)
            rules.check_size("the tags", values, rules.LARGEST_TAGS)
            twin = replace(twin, tags=values)
        if desired is not None:
            twin = replace(twin, desired_section=self._desire(desired, now))
        return Edit(twin, tags is not None, desired)

    def _desire(self, patch: dict[str, Any], now: float) -> Section:
        before = self.desired_section
        values = merged(before.values, patch)
        rules.check_size("the desired properties", values, rules.LARGEST)
        version = before.version + 1
        stamp = {"$lastUpdated": timestamp(now), "$lastUpdatedVersion": version}
        return Section(values, stamped(before.metadata, patch, stamp), version)

    # {"tags": {...}, "desired": [{...}, metadata, version], "reported": ..., "version": ...}
    def stored(self) -> str:
        """Return the twin as text for the store."""
        return compact(
            {
                "tags": self.tags,
                "desired": _listed(self.desired_section),
                "reported": _listed(self.reported_section),
                "version": self.version,
                "edits": self.edits,
            }
        )

    @classmethod
    def restored(cls, text: str) -> Self:
        """Return the twin that stored() made a text of."""
        kept = json.loads(text)
        desired, reported = Section(*kept["desired"]), Section(*kept["reported"])
        return cls(kept["tags"], desired, reported, kept["version"], kept["edits"])


def compact(document: dict[str, Any]) -> str:
    """Return JSON without a blank, in ASCII: half a surrogate pair is allowed and has no UTF-8."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False)


def _listed(section: Section) -> list[Any]:
    return [section.values, section.metadata, section.version]


# only those that are there; None for null
def _sections(document: object) -> dict[str, dict[str, Any] | None]:
    if not isinstance(document, dict):
        raise TwinError("the twin must be a JSON object")
    properties = _object(document.get("properties"), "properties") or {}
    sections = {name: document[name] for name in (_TAGS,) if name in document}
    sections |= {name: properties[name] for name in (_DESIRED,) if name in properties}
    return {name: _section(value, name) for name, value in sections.items()}


def _section(value: object, name: str) -> dict[str, Any] | None:
    section = _object(value, name)
    if section is None:
        return None
    section = {key: inner for key, inner in section.items() if key not in _READ_ONLY}
    rules.check(section)
    return section


def _object(value: object, name: str) -> dict[str, Any] | None:
    if value is not None and not isinstance(value, dict):
        raise TwinError(f"{name} must be a JSON object")
    return value
