"""Topics: what a message of DPS or of a hub means, said in words.

Owns the translation of the services' topics, both directions, and of DPS's answers. Doesn't own
which topics are served (dps/peer.py, hub/peer.py) nor the packets around them (words.py).
Source: "Communicate with DPS using the MQTT protocol", "Communicate with an IoT hub using the
MQTT protocol".
"""

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import unquote

from host_tools.emulator.trace.mask import HIDDEN, is_secret, shown


class Meaning(NamedTuple):
    """What a message is about."""

    words: str
    tells: bool = True  # its body is worth a look besides


def meaning(topic: str, body: bytes) -> Meaning:
    """Return what a message with this topic says; body may be cut off."""
    for pattern, say in _TOPICS:
        if match := pattern.fullmatch(topic):
            return say(match, body)
    return Meaning(f"to {shown(topic)!r}, no topic of DPS or IoT Hub")


def filter_meaning(topic_filter: str) -> str:
    """Return what a topic filter is for."""
    for pattern, words in _FILTERS:
        if pattern.fullmatch(topic_filter):
            return words
    return f"{shown(topic_filter)!r}, no filter of DPS or IoT Hub"


# {name}={value}&{name}={value}, both percent-encoded; the bare name has no value
def bag(text: str) -> str:
    """Return a property bag for people: " with name=value, name", "" if it is empty."""
    pairs = [item.partition("=") for item in text.split("&") if item]
    named = [_property(unquote(name), equals, unquote(value)) for name, equals, value in pairs]
    return f" with {shown(', '.join(named))}" if named else ""


def _property(name: str, equals: str, value: str) -> str:
    return name + equals + (HIDDEN if equals and is_secret(name) else value)


def _registers(match: re.Match[str], body: bytes) -> Meaning:
    return Meaning(f"registers (rid {shown(match[1])})")


def _polls(match: re.Match[str], body: bytes) -> Meaning:
    return Meaning(
        f"asks how its registration goes (rid {shown(match[1])}, operation {shown(match[2])})",
        tells=False,
    )


# $dps/registrations/res/{status}/?$rid={request ID}[&retry-after={seconds}]
def _dps_answer(match: re.Match[str], body: bytes) -> Meaning:
    status, query = match[1], dict(_pairs(match[2]))
    document = _document(body)
    outcome, plain = _outcome(document)
    wait = query.get("retry-after")
    retry = f", retry after {shown(wait)} s" if wait else ""
    return Meaning(
        f"{status} {outcome}".rstrip() + f"{retry} (rid {shown(query.get('$rid', '?'))})",
        tells=not plain,
    )


# the words, and whether they say all that the body says
def _outcome(document: dict[str, Any]) -> tuple[str, bool]:
    state = document.get("registrationState")
    state = state if isinstance(state, dict) else {}
    code = document.get("errorCode", state.get("errorCode"))
    if code is not None:
        message = document.get("message", state.get("errorMessage", ""))
        return f"{state.get('status', 'error')} {shown(str(code))}: {shown(str(message))}", True
    status = shown(str(document.get("status", "")))
    if "assignedHub" in state:
        hub, device, how = (
            shown(str(state.get(name, "?"))) for name in ("assignedHub", "deviceId", "substatus")
        )
        return f"assigned to {hub} as {device} ({how})", "payload" not in state
    status = shown(str(state.get("status", status)))
    return status, bool(status)


def _telemetry(match: re.Match[str], body: bytes) -> Meaning:
    return Meaning(f"telemetry{bag(match[1] or '')}")


def _cloud_to_device(match: re.Match[str], body: bytes) -> Meaning:
    return Meaning(f"message for the device{bag(match[1] or '')}")


def _twin_get(match: re.Match[str], body: bytes) -> Meaning:
    return Meaning(f"asks for its twin (rid {shown(match[1])})", tells=False)


def _reported(match: re.Match[str], body: bytes) -> Meaning:
    return Meaning(f"reports properties (rid {shown(match[1])})")


# $iothub/twin/res/{status}/?$rid={request ID}[&$version={version}]
def _twin_answer(match: re.Match[str], body: bytes) -> Meaning:
    status, query = match[1], dict(_pairs(match[2]))
    rid = f"(rid {shown(query.get('$rid', '?'))})"
    if status == "204":
        version = shown(query.get("$version", "?"))
        return Meaning(f"204 reported properties are version {version} {rid}", tells=False)
    return Meaning(f"{status} {'twin' if status == '200' else 'twin request refused'} {rid}")


def _desired(match: re.Match[str], body: bytes) -> Meaning:
    return Meaning(f"desired properties, version {shown(match[1])}")


def _method(match: re.Match[str], body: bytes) -> Meaning:
    return Meaning(f"method {shown(match[1])} called (rid {shown(match[2])})")


def _method_answer(match: re.Match[str], body: bytes) -> Meaning:
    return Meaning(f"method answered {match[1]} (rid {shown(match[2])})")


_TOPICS: list[tuple[re.Pattern[str], Callable[[re.Match[str], bytes], Meaning]]] = [
    (re.compile(pattern, re.DOTALL), say)
    for pattern, say in (
        (r"\$dps/registrations/PUT/iotdps-register/\?\$rid=([^&]*)", _registers),
        (
            r"\$dps/registrations/GET/iotdps-get-operationstatus/"
            r"\?\$rid=([^&]*)&operationId=([^&]*)",
            _polls,
        ),
        (r"\$dps/registrations/res/(\d+)/\?(.*)", _dps_answer),
        (r"devices/[^/]+/messages/events(?:/(.*))?", _telemetry),
        (r"devices/[^/]+/messages/devicebound(?:/(.*))?", _cloud_to_device),
        (r"\$iothub/twin/GET/\?\$rid=([^&]*)", _twin_get),
        (r"\$iothub/twin/PATCH/properties/reported/\?\$rid=([^&]*)", _reported),
        (r"\$iothub/twin/res/(\d+)/\?(.*)", _twin_answer),
        (r"\$iothub/twin/PATCH/properties/desired/\?\$version=(\d+)", _desired),
        (r"\$iothub/methods/POST/([^/]+)/\?\$rid=([^&]*)", _method),
        (r"\$iothub/methods/res/(-?\d+)/\?\$rid=([^&]*)", _method_answer),
    )
]
_FILTERS = [
    (re.compile(pattern), words)
    for pattern, words in (
        (r"\$dps/registrations/res/#", "DPS's answers"),
        (r"devices/[^/]+/messages/devicebound/#", "messages for the device"),
        (r"\$iothub/methods/POST/#", "method calls"),
        (r"\$iothub/twin/res/#", "twin answers"),
        (r"\$iothub/twin/PATCH/properties/desired/#", "desired properties"),
    )
]


def _pairs(query: str) -> list[tuple[str, str]]:
    pairs = (item.partition("=") for item in query.split("&"))
    return [(name, value) for name, _, value in pairs]


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
