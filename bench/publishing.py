"""Publishing: QoS 1 messages a second over TLS on loopback, and the garbage of one."""

from bench import boot
from bench.figures import Bar, Figure, Row, fastest
from bench.server import answering
from bench.workshop import SERVER, Workshop

TITLE = "QoS 1 publish over TLS 1.2 on loopback"

TOPIC = "devices/sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6/messages/events/"
TOPIC += "x" * (95 - len(TOPIC))  # bytes, as the anchors' topic
SIZE = 61  # bytes of payload, as theirs
_OURS = {"rounds": 12, "each": 2000, "few": 200}
_STOCK = {"rounds": 2, "each": 20, "few": 10}  # at 22 a second


def rows(workshop: Workshop) -> list[Row]:
    """Measure both clients against the same server, in a process of its own."""
    found = []
    with answering(workshop.certificate) as port:
        for bits in workshop.builds:
            found += _of_build(workshop, bits, port)
    return found


def _of_build(workshop: Workshop, bits: int, port: int) -> list[Row]:
    ours, stock = (_publish(workshop, bits, port, client) for client in ("ours", "stock"))
    here = bits == 64
    return [
        Row(f"rate, {bits}-bit", ours[0], stock[0], bar=Bar(10_000, at_most=False),
            anchor="stock 22/s, mqtt_as 9.9/s, one write 18 400/s" if here else "", note=_RATE),
        Row(f"garbage, {bits}-bit", ours[1], stock[1], anchor="stock 320 B" if here else "",
            bar=None if here else Bar(160), note=_GARBAGE),
    ]  # fmt: skip


_RATE = (
    "95 bytes of topic, 61 of payload, each PUBACK awaited; best of 12 rounds of 2 000 (.. the"
    " slowest), stock of 2 rounds of 20; verified TLS and SNI for both"
)
_GARBAGE = "growth of gc.mem_alloc() by one publish with collections off"


def _publish(workshop: Workshop, bits: int, port: int, client: str) -> tuple[Figure, Figure]:
    counts = _OURS if client == "ours" else _STOCK
    at = {"client": client, "port": port, "ca": str(workshop.ca_der), "name": SERVER,
          "client_id": boot.NAME, "user": "bench", "password": "bench"}  # fmt: skip
    said = workshop.run(bits, "publish", {"at": at, "topic": TOPIC, "size": SIZE, **counts})
    seconds = [us / 1e6 for us in said["us"]]
    return fastest(seconds, counts["each"]), Figure(said["garbage"], "B")
