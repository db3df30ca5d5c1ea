"""The wire: bytes and TLS records of a CONNECT, a SUBSCRIBE and a small publish."""

import itertools

from bench.figures import Bar, Figure, Row
from bench.publishing import SIZE, TOPIC
from bench.server import answering
from bench.tap import Turn, tapped
from bench.workshop import SERVER, Workshop
from host_tools.emulator.config import HUB
from keystead import hub
from keystead.sas import sas_token

TITLE = "on the wire, TLS 1.2 AES-256-GCM"

_FILTER = "$iothub/methods/POST/#"
DEVICE = "sn-007-888-abcd-mac-a1b2c3d4e5f6"
CONNECT = 305  # bytes of MQTT: with these names it is as long as the anchors' was
_KEY = bytes(range(32))


def rows(workshop: Workshop) -> list[Row]:
    """Measure both clients through a tap before the same server."""
    with answering(workshop.certificate) as port:
        ours, stock = (_talk(workshop, port, client) for client in ("ours", "stock"))
    publish = Bar(192), "stock 308 B, one write 192 B"
    connect = Bar(334), "stock 537 B, one write 334 B"
    return [
        *_rows("publish of 95 + 61 bytes, QoS 1", ours[2], stock[2], *publish),
        *_rows("CONNECT with SAS token, 305 bytes", ours[0], stock[0], *connect),
        *_rows("SUBSCRIBE, 29 bytes", ours[1], stock[1], None, "stock 174 B, one write 58 B"),
    ]


def _rows(what: str, ours: Turn, stock: Turn, bar: Bar | None, anchor: str) -> list[Row]:
    return [
        Row(what, Figure(ours.size, "B"), Figure(stock.size, "B"), anchor=anchor, bar=bar,
            note=_COUNTED),
        Row("  its TLS records", Figure(ours.records, ""), Figure(stock.records, "")),
    ]  # fmt: skip


_COUNTED = (
    "record headers included, counted by a TCP proxy up to the server's answer; not"
    " TCP/IP. The stock anchors are of umqtt.simple 1.8.0, whose SUBSCRIBE has one write more"
)


def _talk(workshop: Workshop, port: int, client: str) -> list[Turn]:
    """Return the turns of one client, in the order of on_board/packets.py."""
    with tapped(port) as (tap, turns):
        at = {
            "client": client,
            "port": tap,
            "ca": str(workshop.ca_der),
            "name": SERVER,
            "client_id": DEVICE,
            "user": hub.username(HUB, DEVICE),
            "password": token(),
        }
        settings = {"at": at, "filter": _FILTER, "topic": TOPIC, "size": SIZE}  # fmt: skip
        workshop.run(workshop.builds[-1], "packets", settings)
    return turns.answered


def token() -> str:
    """Return a token that makes CONNECT as long as the anchors'.

    Base64 has characters that cost three bytes: the first expiry whose signature has the right
    number of them.
    """
    fixed = 15 + 2 + len(DEVICE) + 2 + len(hub.username(HUB, DEVICE))
    resource = hub.resource(HUB, DEVICE)
    tokens = (sas_token(resource, _KEY, expiry) for expiry in itertools.count(1_800_000_000))
    return next(itertools.dropwhile(lambda text: fixed + len(text) != CONNECT, tokens))
