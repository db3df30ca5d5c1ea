"""Incoming: what a hub says to its device, read from the topic that it says it on.

Owns the topics of cloud-to-device messages, direct methods and the twin, as far as they come in.
Doesn't own the payloads, nor what is done about them. Whatever comes, nothing here raises.
Source: "Communicate with an IoT hub using the MQTT protocol".
"""

from binascii import unhexlify

from keystead.hub import SYSTEM_PROPERTIES

# devices/{device ID}/messages/devicebound/{property bag}
# $iothub/methods/POST/{method}/?$rid={request ID}
# $iothub/twin/res/{status}/?$rid={request ID}&$version={version of the reported properties}
# $iothub/twin/PATCH/properties/desired/?$version={version}
_TOPICS = (
    "/messages/devicebound/",
    "$iothub/methods/POST/",
    "$iothub/twin/res/",
    "$iothub/twin/PATCH/properties/desired/",
)


def filters(device_id: str) -> list[str]:
    """Return the topic filters to subscribe to; the service lets a device have five."""
    return [("" if kind else "devices/" + device_id) + topic + "#"
            for kind, topic in enumerate(_TOPICS)]  # fmt: skip


def parse(topic: str) -> tuple[int, str, dict[str, str | None]]:
    """Return (kind, name, fields) of a topic.

    kind 0: a message, fields are its properties, named as in keystead.hub.SYSTEM_PROPERTIES; 1: a
    direct method with that name; 2: the twin's answer, name is the status; 3: desired properties;
    4: nothing that a hub says. The fields of 1 and 2 have "$rid", as it came.
    """
    kind = 0
    for known in _TOPICS:
        _, found, rest = topic.partition(known)
        if found:
            break
        kind += 1
    if kind:
        name, _, query = rest.partition("?")
        return kind, unquote(name.rstrip("/")), _fields(query, False)
    properties = _fields(rest, True)
    for ours, theirs in SYSTEM_PROPERTIES.items():
        if theirs in properties:
            properties[ours] = properties.pop(theirs)
    return kind, "", properties


# {name}={value}&{name}={value}&{name}
def _fields(text: str, quoted: bool) -> dict[str, str | None]:
    fields: dict[str, str | None] = {}
    for field in text.split("&"):
        name, equals, value = field.partition("=")
        if quoted:
            name, value = unquote(name), unquote(value)
        if field:
            fields[name] = value if equals else None
    return fields


def unquote(text: str) -> str:
    """Undo keystead.percent.quote(); a percent sign that begins no escape stays.

    What is not UTF-8 is returned as it came.
    """
    parts = text.split("%")
    data = bytearray(parts[0].encode())
    for part in parts[1:]:
        try:
            data += unhexlify(part[:2] or "-") + part[2:].encode()
        except ValueError:
            data += b"%" + part.encode()
    try:
        return data.decode()
    except UnicodeError:
        return text
