"""Cloud-to-device messages: one to send, and how many wait."""

from host_tools.emulator.hub.messages import ACKS, LARGEST, LIFETIME, MOST_WAITING, CloudMessage
from host_tools.emulator.portal.desk import Desk, Facts, Outcome, Page, Query, count_of, url
from host_tools.emulator.portal.forms import Form, FormError
from host_tools.emulator.portal.pages.telemetry import device_of, head

_LONGEST = 48 * 3600  # seconds that a hub lets a message wait at most
_TEXTS = ("message_id", "correlation_id", "content_type", "content_encoding")


def _facts(desk: Desk, query: Query) -> Facts:
    hub, device = device_of(desk, query)
    return {
        **head(hub, device),
        "acks": ACKS,
        "most": MOST_WAITING,
        "largest": LARGEST // 1024,
        "lifetime": LIFETIME,
    }


def _send(desk: Desk, query: Query, form: Form) -> Outcome:
    hub, device = device_of(desk, query)
    now = desk.clock()
    message = CloudMessage(
        body=form.raw("body").encode(),
        ack=form.choice("ack", ACKS),
        expires=now + form.number("expires", 1, _LONGEST, LIFETIME),
        properties=properties(form.raw("properties")),
        **{name: form.text(name) for name in _TEXTS},
    )
    hub.send(device.device_id, message, now)
    waiting = count_of(hub.pending(device.device_id), "message")
    said = (
        "Sent." if hub.presence(device.device_id).connected else "Kept until the device is back."
    )
    return Outcome(_page(query), f"{said} {waiting} on the way or waiting.")


# {name}={value} on each line; a bare {name} has no value
def properties(text: str) -> dict[str, str | None]:
    """Return application properties as they were typed; raise FormError."""
    found: dict[str, str | None] = {}
    for number, line in enumerate(text.split("\n"), 1):
        name, equals, value = line.partition("=")
        name = name.strip()
        if not name and (equals or line.strip()):
            raise FormError("properties", f"Line {number} has no name before the =.")
        if name in found:
            raise FormError("properties", f"Line {number}: {name[:40]} is there twice.")
        if name:
            found[name] = value.strip() if equals else None
    return found


def _purge(desk: Desk, query: Query, form: Form) -> Outcome:
    hub, device = device_of(desk, query)
    number = hub.purge(device.device_id, desk.clock())
    return Outcome(_page(query), f"{count_of(number, 'message')} deleted from the queue.")


def _page(query: Query) -> str:
    return url("/device/messages", hub=query.get("hub"), id=query.get("id"))


PAGE = Page("/device/messages", "messages.html", _facts, actions={"send": _send, "purge": _purge})
