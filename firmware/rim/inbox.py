"""The inbox: what the hub sends goes to the handlers, and what they say goes back.

Owns cloud-to-device messages and the answers of direct methods. Doesn't own the connection, the
twin (rim.twin) nor Keystead's own methods (rim.manage). Loaded when something comes, and
forgotten then.
"""

import json
import time

from keystead.failure import printable
from keystead.incoming import parse
from rim.log import log

_LARGEST = 131072  # bytes of a method's answer that the service takes


def handle(device, topic: str, payload: bytes) -> bool:
    """Deal with one incoming message; return whether that is done, so that it need not come again.

    payload: None for one that was too large. Raises Failure if the line breaks, nothing else.
    """
    kind, name, fields = parse(topic)
    if payload is None:
        log("too large to be taken: " + printable(topic))
    if kind == 0:
        return _message(device, payload, fields)
    if kind == 1:
        _method(device, name, fields.get("$rid"), payload)
    elif kind < 4:
        from rim.twin import take

        take(device, name, fields.get("$rid"), payload)
    return True


def _message(device, payload, properties) -> bool:
    handler = device.handlers.get("message")
    if payload is None:
        return True
    if not handler:
        log("a message came, and app.py takes none now")
        return False
    try:
        handler(payload, properties)
    except Exception as error:
        _broke(device, "message", error)
    return True


def _broke(device, name, error) -> str:
    from rim.handlers import broke

    return broke(device, name, error)


# $iothub/methods/res/{status}/?$rid={request ID}
def _method(device, name, rid, payload) -> None:
    if rid is None:  # nobody could take the answer
        return
    try:
        status, value = _call(device, name, payload)
        body = json.dumps(value)
        json.loads(body)  # dumps() writes what is no JSON: nan, <object>
        if len(body) > _LARGEST:
            raise ValueError("the answer has %d bytes" % len(body))
    except Exception as error:
        status = 500
        body = json.dumps({"error": _broke(device, name, error)})
    device.publish("$iothub/methods/res/%d/?$rid=%s" % (status, rid), body.encode())
    if name == "keystead*restart":
        import machine

        time.sleep(1)  # for the answer to leave
        machine.reset()


def _call(device, name, payload) -> tuple:
    if payload is None:
        return 413, {"error": "the payload is too large"}
    try:
        argument = json.loads(payload or b"null")
    except (ValueError, RuntimeError):  # RuntimeError: nested deeper than the interpreter goes
        return 400, {"error": "the payload is not JSON"}
    if name.startswith("keystead*"):
        from rim.manage import call

        return call(device, name[9:], argument)
    handler = device.handlers.get("method/" + name)
    if not handler:
        return 404, {"error": "there is no method " + name}
    result = handler(argument)
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], int):
        return result
    return 200, result
