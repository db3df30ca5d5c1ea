"""The twin: desired properties go to the handler in their order, reported ones to the hub.

Owns what is on its way between the two. Doesn't own the handlers (rim.handlers). Loaded after a
connect, when something comes or is to be reported, and forgotten then: what it must remember is
kept by the Device, as request: (request ID, reported patch or None) that has no answer yet; stale:
whether the twin must be read; due: ticks at which flush() is wanted, None for never.
"""

import json
import time

from keystead.failure import Failure
from rim.log import log
from rim.memory import chance

_PATIENCE = 60_000  # milliseconds for an answer, and before the next try


def report(device, patch: dict) -> None:
    """Merge patch into what is to be reported. Raises ValueError if it is not JSON."""
    device.pending = _merged(device.pending, json.loads(json.dumps(patch)))
    _ask(device)


def _merged(old, patch) -> dict:
    new = dict(old)
    for name, value in patch.items():
        if isinstance(value, dict) and isinstance(new.get(name), dict):
            value = _merged(new[name], value)
        new[name] = value
    return new


def _ask(device) -> None:
    if device.due is None:  # else a request is on its way, or the hub wants to be left alone
        device.due = time.ticks_ms()


def read(device) -> None:
    """Have the twin read when that is possible."""
    device.stale = True
    _ask(device)


def catch_up(device) -> None:
    """Read the twin: what changed while there was no connection is not sent again."""
    if device.fresh:  # from DPS: it may be another hub, which counts for itself
        device.desired_version = 0
    device.stale = True
    device.due = time.ticks_ms()
    flush(device)


# $iothub/twin/GET/?$rid={request ID}
# $iothub/twin/PATCH/properties/reported/?$rid={request ID}
def flush(device) -> None:
    """Read or report, one request at a time, if that is due. Raises Failure."""
    now = time.ticks_ms()
    if device.due is None or time.ticks_diff(device.due, now) > 0:
        return
    _take_back(device)
    patch, body = None, b""
    if not device.stale:
        if not device.pending:
            device.due = None
            return
        patch = device.pending
        body = json.dumps(patch).encode()
        device.pending = {}
    device.stale = False
    rid = str(now)
    device.request = rid, patch
    device.due = time.ticks_add(now, _PATIENCE)
    what = "GET" if patch is None else "PATCH/properties/reported"
    device.publish("$iothub/twin/%s/?$rid=%s" % (what, rid), body)


def _take_back(device) -> None:
    """Have a request made again that has no answer."""
    if device.request:
        patch = device.request[1]
        device.request = None
        if patch is None:
            device.stale = True
        else:
            device.pending = _merged(patch, device.pending)


def take(device, status, rid, payload) -> None:
    """Take the twin's answer, or desired properties: then there is no status."""
    if payload is None:  # too large: the same as a refusal, or as a version that is missing
        if not status:
            read(device)
        status = "413"
    try:
        document = _object(json.loads(payload or b"{}"))
    except (ValueError, RuntimeError):  # RuntimeError: nested deeper than the interpreter goes
        document = {}
    if not status:
        _patch(device, document)
    elif device.request and device.request[0] == rid:
        _answer(device, status, document)
    flush(device)


def _object(value) -> dict:
    return value if isinstance(value, dict) else {}


def _answer(device, status, document) -> None:
    now = time.ticks_ms()
    if status == "429" or status >= "500":
        log("twin: %s, asking again" % status)
        _take_back(device)
        device.due = time.ticks_add(now, int(_PATIENCE * (1 + chance())))
        return
    patch = device.request[1]
    device.request = None
    device.due = now
    if status >= "300":
        from rim.aftermath import tell

        # told with the next connection: to report it now could be rejected as well, for ever
        failure = Failure(
            "twin-rejected", str(document.get("message", status)), document.get("errorCode")
        )
        device.told["lastFailure"] = tell(failure)
    elif patch is None:
        _read(device, document)


def _read(device, twin) -> None:
    reported = _object(_object(twin.get("reported")).get("keystead"))
    news = device.facts()
    if _merged(reported, news) != reported:
        news["__t"] = "c"
        report(device, {"keystead": news})
    desired = _object(twin.get("desired"))
    # a lower version is that of a twin made anew
    if desired.get("$version") != device.desired_version:
        _apply(device, desired)


# {"{name}": {value}, ..., "$version": n}
def _patch(device, patch) -> None:
    version = patch.get("$version")
    if version == device.desired_version + 1 and not (device.request and not device.request[1]):
        _apply(device, patch)
    elif isinstance(version, int) and version > device.desired_version:
        read(device)


def _apply(device, patch) -> None:
    version = device.desired_version = patch.pop("$version", 0)
    own = patch.pop("keystead", None)
    if isinstance(own, dict):
        from rim.manage import desired

        report(device, {"keystead": desired(device, own, version)})
    handler = device.handlers.get("desired")
    if not handler or not patch:
        return
    try:
        told = handler(patch, version)
        report(device, _acknowledged(patch, 200, version, "") if told is None else told)
    except Exception as error:
        from rim.handlers import broke

        report(device, _acknowledged(patch, 500, version, broke(device, "desired", error)))


# {"{name}": {"value": ..., "ac": status, "av": version, "ad": text}, ...}
def _acknowledged(patch, status, version, text) -> dict:
    """Return what Plug and Play has a device report about desired properties."""
    told = {}
    for name, value in patch.items():
        if isinstance(value, dict) and value.get("__t") == "c":
            value = _acknowledged(value, status, version, text)
        elif value is not None and name != "__t":
            value = {"value": value, "ac": status, "av": version, "ad": text}
        told[name] = value
    return told
