"""Events: what happened in the cloud, as small records for people and for scripts.

Owns the words. An event holds no key and no token, so none can leak from here.
"""

import json
from binascii import b2a_base64
from dataclasses import asdict, dataclass
from typing import Any, ClassVar
from urllib.parse import unquote

from host_tools.emulator.access import Reason
from host_tools.emulator.timestamps import logged
from host_tools.emulator.trace.mask import shown

_LONGEST = 160  # characters of foreign text in a line


def printable(text: str) -> str:
    """Return text cut to a line's length, with a dot for what a terminal can not show."""
    return "".join(c if c.isprintable() else "." for c in text[:_LONGEST])


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened at a time (seconds since 1970)."""

    time: float
    NAME: ClassVar[str] = ""

    def line(self) -> str:
        """Return one line for a person, printable and without a secret."""
        raise NotImplementedError

    def fields(self) -> dict[str, Any]:
        """Return what there is to say as JSON values."""
        return {name: value for name, value in asdict(self).items() if name != "time"}

    def json(self) -> str:
        """Return one line for a script."""
        return json.dumps({"event": self.NAME, "time": logged(self.time), **self.fields()})


@dataclass(frozen=True, slots=True)
class Connected(Event):
    """A device got through CONNECT; service is "DPS" or the hub's name."""

    NAME = "connected"
    service: str
    device_id: str
    api_version: str

    def line(self) -> str:
        """Return one line for a person."""
        return f"{printable(self.device_id)} connected to {self.service}"


@dataclass(frozen=True, slots=True)
class Disconnected(Event):
    """A connection ended that had got through CONNECT."""

    NAME = "disconnected"
    service: str
    device_id: str
    why: str

    def line(self) -> str:
        """Return one line for a person."""
        return f"{printable(self.device_id)} disconnected from {self.service}: {self.why}"


@dataclass(frozen=True, slots=True)
class Dropped(Event):
    """A connection ended before it got through CONNECT."""

    NAME = "dropped"
    peer: str
    why: str

    def line(self) -> str:
        """Return one line for a person."""
        return f"connection from {self.peer} dropped: {self.why}"


@dataclass(frozen=True, slots=True)
class Registering(Event):
    """A device asked DPS for a hub and was told to wait."""

    NAME = "registering"
    registration_id: str
    enrollment: str

    def line(self) -> str:
        """Return one line for a person."""
        return f"{self.registration_id} registers under {self.enrollment}"


@dataclass(frozen=True, slots=True)
class Assigned(Event):
    """A device was told its hub."""

    NAME = "assigned"
    registration_id: str
    device_id: str
    hub: str
    dial: str  # the name handed out for the hub
    enrollment: str
    substatus: str

    def line(self) -> str:
        """Return one line for a person."""
        dial = "" if self.dial == self.hub else f", told {self.dial},"
        name = "" if self.device_id == self.registration_id else f" as {self.device_id}"
        return f"{self.registration_id} assigned to {self.hub}{dial}{name} ({self.substatus})"


@dataclass(frozen=True, slots=True)
class Refused(Event):
    """A device was turned away; the device itself hears only a code."""

    NAME = "refused"
    service: str
    device_id: str
    reason: Reason
    answer: str  # what the device was told, e.g. "CONNACK 5"

    def fields(self) -> dict[str, Any]:
        """Return what there is to say as JSON values."""
        return {
            "service": self.service,
            "device_id": shown(self.device_id),
            "reason": self.reason.name.lower().replace("_", "-"),
            "detail": self.reason.value,
            "answer": self.answer,
        }

    def line(self) -> str:
        """Return one line for a person."""
        who = shown(self.device_id)
        return f"{who} refused by {self.service} ({self.answer}): {self.reason.value}"


@dataclass(frozen=True, slots=True)
class Failed(Event):
    """A device was entitled, and the service could not do its part."""

    NAME = "failed"
    service: str
    device_id: str
    why: str
    answer: str  # what the device was told, e.g. "error 500001"

    def fields(self) -> dict[str, Any]:
        """Return what there is to say as JSON values."""
        return {
            "service": self.service,
            "device_id": shown(self.device_id),
            "why": self.why,
            "answer": self.answer,
        }

    def line(self) -> str:
        """Return one line for a person."""
        who = shown(self.device_id)
        return f"{who} could not be served by {self.service} ({self.answer}): {self.why}"


@dataclass(frozen=True, slots=True)
class Telemetry(Event):
    """A hub received a message from a device."""

    NAME = "telemetry"
    hub: str
    device_id: str
    body: bytes
    bag: str  # the property bag as it came: taken apart only if somebody asks

    # {name}={value}&{name}={value}, both percent-encoded; the bare name is None
    @property
    def properties(self) -> dict[str, str | None]:
        """Return system ("$.ct", ...) and application properties."""
        pairs = (item.partition("=") for item in self.bag.split("&") if item)
        return {unquote(name): unquote(value) if equals else None for name, equals, value in pairs}

    def fields(self) -> dict[str, Any]:
        """Return what there is to say as JSON values."""
        try:
            body = {"body": self.body.decode()}
        except UnicodeDecodeError:
            body = {"body_base64": b2a_base64(self.body, newline=False).decode()}
        who = {"hub": self.hub, "device_id": self.device_id}
        return {**who, **body, "properties": self.properties}

    def line(self) -> str:
        """Return one line for a person."""
        body = printable(self.body[: 4 * _LONGEST].decode(errors="replace"))
        named = ", ".join(
            name if value is None else f"{name}={value}" for name, value in self.properties.items()
        )
        properties = f" [{printable(named)}]" if named else ""
        return f"{printable(self.device_id)} sent telemetry: {body}{properties}"
