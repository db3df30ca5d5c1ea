"""Management: Keystead's own direct methods and desired properties.

Owns the Plug and Play component "keystead" of docs/dtdl. What is done is the Device's; no key is
ever in an answer, in the twin or in the log. Loaded when one is called, and forgotten then.
"""

import hashlib
from binascii import a2b_base64, b2a_base64, hexlify

from keystead.failure import Failure

_REMEMBERED = "reprovision"  # in flash: the value that was obeyed last
_LINES = 20


def call(device, command: str, argument) -> tuple:
    """Return (status, answer) of a command; argument is its JSON payload."""
    function = _COMMANDS.get(command)
    if function is None:
        return 404, {"error": "there is no command " + command}
    return function(device, argument if isinstance(argument, dict) else {})


def _reprovision(device, argument) -> tuple:
    device.reprovision = True
    return 202, {"status": "asking DPS"}


def _rotate_keys(device, argument) -> tuple:
    try:
        primary = _key(argument.get("primaryKey"))
        secondary = argument.get("secondaryKey")
        new = device.rotate(primary, _key(secondary) if secondary else b"")
    except Failure as failure:
        return 400, {"error": str(failure)}
    told = {"status": "trying" if new else "active", "fingerprint": fingerprint(primary)}
    return 202 if new else 200, told


def _key(text) -> bytes:
    try:
        key = a2b_base64(text)
        if b2a_base64(key).decode().strip() == text:
            return key
    except (TypeError, ValueError):
        pass
    raise Failure("key-rejected", "it is not Base64")


def fingerprint(key: bytes) -> str:
    """Return what tells a random key from another, and nothing of either."""
    return hexlify(hashlib.sha256(key).digest()[:4]).decode()


def _log(device, argument) -> tuple:
    from rim.log import log

    count = argument.get("lines")
    return 200, {"lines": log.lines(count if isinstance(count, int) and count > 0 else _LINES)}


def _status(device, argument) -> tuple:
    from rim.facts import status

    return 200, status(device)


def _restart(device, argument) -> tuple:
    return 202, {"status": "restarting"}  # rim.inbox does it, once this is said


_COMMANDS = {
    "reprovision": _reprovision,
    "rotateKeys": _rotate_keys,
    "log": _log,
    "status": _status,
    "restart": _restart,
}


# {"__t": "c", "reprovision": "any new text"}
def desired(device, patch: dict, version: int) -> dict:
    """Obey the component's desired properties; return what to report of them."""
    told: dict = {"__t": "c"}
    if "reprovision" in patch:
        value = patch["reprovision"]
        told["reprovision"] = None
        if value is not None:
            status, text = _obey(device, value)
            told["reprovision"] = {"value": value, "ac": status, "av": version, "ad": text}
    return told


def _obey(device, value) -> tuple:
    from rim import flash

    if not isinstance(value, str) or not 0 < len(value) <= 64:
        return 400, "a text of 1 to 64 characters is needed"
    value = value.encode()
    if flash.load(_REMEMBERED) != value:
        if not flash.save(_REMEMBERED, value):  # it would be obeyed again and again
            return 500, "the flash does not keep it"
        device.reprovision = True
    return 200, ""
