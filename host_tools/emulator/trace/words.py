"""Words: one entry of a time line, as people and scripts read it.

Owns what each kind of packet says. Doesn't own what topics mean (topics.py), CONNECT
(greeting.py), what is secret (mask.py), nor the lines these words end up in (line.py).
Source: MQTT 3.1.1, section 3.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from host_tools.emulator.mqtt import framing
from host_tools.emulator.mqtt.fields import Fields
from host_tools.emulator.mqtt.framing import ProtocolError
from host_tools.emulator.trace import mask
from host_tools.emulator.trace.entry import Entry
from host_tools.emulator.trace.greeting import Greeting
from host_tools.emulator.trace.topics import filter_meaning, meaning


class Summary(NamedTuple):
    """What an entry says: the packet's name, the words, and facts as JSON values."""

    packet: str  # "" for what is no packet
    words: str
    facts: dict[str, Any] = {}


_NAMES = {
    framing.CONNECT: "CONNECT",
    framing.CONNACK: "CONNACK",
    framing.PUBLISH: "PUBLISH",
    framing.PUBACK: "PUBACK",
    framing.SUBSCRIBE & 0xF0: "SUBSCRIBE",
    framing.SUBACK: "SUBACK",
    framing.UNSUBSCRIBE & 0xF0: "UNSUBSCRIBE",
    framing.UNSUBACK: "UNSUBACK",
    framing.PINGREQ: "PINGREQ",
    framing.PINGRESP: "PINGRESP",
    framing.DISCONNECT: "DISCONNECT",
}
_CONNACKS = (
    "accepted",
    "refused: wrong version of MQTT",
    "refused: bad client ID",
    "refused: service unavailable",
    "refused: bad user name or password",
    "refused: not authorized",
)


def summary(entry: Entry) -> Summary:
    """Return what an entry says; none of it is secret."""
    if isinstance(entry.data, str):
        return Summary("", mask.shown(entry.data))
    name = _NAMES.get(entry.first & 0xF0, f"{entry.first:#04x}")
    if entry.data is None:
        return Summary(name, "malformed")
    if isinstance(entry.data, Greeting):
        return Summary(name, entry.data.words(entry.time), entry.data.facts(entry.time))
    try:
        words, facts = _SAYS.get(name, _nothing)(entry)
    except ProtocolError as error:
        words, facts = f"malformed: {error}", {}
    return Summary(name, words, facts)


def _nothing(entry: Entry) -> tuple[str, dict[str, Any]]:
    return "", {}


# acknowledge flags, return code
def _connack(entry: Entry) -> tuple[str, dict[str, Any]]:
    fields = _fields(entry)
    present, code = bool(fields.byte()), fields.byte()
    words = _CONNACKS[code] if code < len(_CONNACKS) else "refused"
    return (
        f"{code} {words}" + ", session present" * present,
        {"code": code, "session_present": present},
    )


# topic, packet ID if QoS > 0 | payload
def _publish(entry: Entry) -> tuple[str, dict[str, Any]]:
    fields = _fields(entry)
    length, qos = fields.uint16(), entry.first >> 1 & 3
    whole = _body(entry)
    topic, start = whole[2 : 2 + length].decode(errors="replace"), 2 + length
    packet_id = int.from_bytes(whole[start : start + 2], "big") if qos else 0
    payload = whole[start + 2 if qos else start :]
    said = meaning(topic, payload)
    marks = [f"QoS {qos}" + f", id {packet_id}" * bool(qos)]
    size = max(entry.size - (start + 2 if qos else start), 0)
    marks += ["retain"] * (entry.first & 1) + ["DUP"] * (entry.first >> 3 & 1)
    marks.append("1 byte" if size == 1 else f"{size} bytes")
    body = mask.body(payload, cut=size > len(payload))
    facts: dict[str, Any] = {"topic": mask.shown(topic, 2 * mask.LONGEST), "qos": qos}
    facts |= {"packet_id": packet_id} if qos else {}
    facts |= {"retain": True} if entry.first & 1 else {}
    facts |= {"body_size": size, "body": body}
    tail = f": {body}" if body.strip() and said.tells else ""
    return f"{said.words}{tail} [{', '.join(marks)}]", facts


# packet ID | filter, QoS; filter, QoS; ...
def _subscribe(entry: Entry) -> tuple[str, dict[str, Any]]:
    fields = _fields(entry)
    packet_id, filters = fields.uint16(), list[tuple[str, int]]()
    more = _repeat(fields, lambda: filters.append((_text(fields), fields.byte())))
    said = [f"{filter_meaning(name)} (QoS {qos})" for name, qos in filters]
    facts = [{"filter": mask.shown(name), "qos": qos} for name, qos in filters]
    return f"{'; '.join(said)}{more}, id {packet_id}", {"packet_id": packet_id, "filters": facts}


# packet ID | filter; filter; ...
def _unsubscribe(entry: Entry) -> tuple[str, dict[str, Any]]:
    fields = _fields(entry)
    packet_id, filters = fields.uint16(), list[str]()
    more = _repeat(fields, lambda: filters.append(_text(fields)))
    return (
        f"{'; '.join(map(filter_meaning, filters))}{more}, id {packet_id}",
        {"packet_id": packet_id, "filters": [mask.shown(name) for name in filters]},
    )


# packet ID | code, code, ...
def _suback(entry: Entry) -> tuple[str, dict[str, Any]]:
    fields = _fields(entry)
    packet_id, codes = fields.uint16(), list(fields.remaining())
    granted = ", ".join(f"QoS {code}" if code < 3 else "refused" for code in codes)
    return f"granted {granted}, id {packet_id}", {"packet_id": packet_id, "codes": codes}


# packet ID
def _acknowledgement(entry: Entry) -> tuple[str, dict[str, Any]]:
    packet_id = _fields(entry).uint16()
    return f"id {packet_id}", {"packet_id": packet_id}


_SAYS: dict[str, Callable[[Entry], tuple[str, dict[str, Any]]]] = {
    "CONNACK": _connack,
    "PUBLISH": _publish,
    "PUBACK": _acknowledgement,
    "SUBSCRIBE": _subscribe,
    "SUBACK": _suback,
    "UNSUBSCRIBE": _unsubscribe,
    "UNSUBACK": _acknowledgement,
}


def _body(entry: Entry) -> bytes:
    return entry.data if isinstance(entry.data, bytes) else b""


def _fields(entry: Entry) -> Fields:
    return Fields(_body(entry))


def _text(fields: Fields) -> str:
    return fields.binary().decode(errors="replace")


# to the end of what was kept; what is malformed, or was cut off, shows as dots
def _repeat(fields: Fields, take: Callable[[], None]) -> str:
    try:
        while fields.more():
            take()
    except ProtocolError:
        return " ..."
    return ""
