"""Publishing: QoS 1 messages a second over TLS on loopback, and the garbage of one."""

from contextlib import ExitStack

from bench import boot
from bench.cores import on_core, placements
from bench.figures import Bar, Figure, Row, usual_rate
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
    return [row for bits in workshop.builds for row in _of_build(workshop, bits)]


def _of_build(workshop: Workshop, bits: int) -> list[Row]:
    # its 44 ms a message are timers in the kernel: the same wherever it runs
    stock_rate, stock_garbage = _publish(workshop, bits, "stock", (None, None))
    found = []
    for name, cores in placements().items():
        rate, garbage = _publish(workshop, bits, "ours", cores)
        found.append(
            Row(f"rate, {bits}-bit, {name}", rate, stock_rate, bar=Bar(10_000, at_most=False),
                anchor="stock 22/s, mqtt_as 9.9/s, adaptor 12 000/s" if bits == 64 else "",
                note=_RATE)
        )  # fmt: skip
    anchor, bar = ("stock 320 B", None) if bits == 64 else ("", Bar(160))
    what = f"garbage of one, {bits}-bit"
    return [*found, Row(what, garbage, stock_garbage, anchor=anchor, bar=bar, note=_GARBAGE)]


_RATE = (
    "95 bytes of topic, 61 of payload, each PUBACK awaited; verified TLS and SNI for both; median"
    " of 12 rounds of 2 000 (.. the slowest), stock of 2 rounds of 20. Where client and server run"
    " decides: on two cores every message waits for two wake-ups of another core, so both"
    " placements are pinned and shown; unpinned, a run jumps between them"
)
_GARBAGE = "growth of gc.mem_alloc() by one publish with collections off"


def _publish(
    workshop: Workshop, bits: int, client: str, cores: tuple[int | None, int | None]
) -> tuple[Figure, Figure]:
    """Return rate and garbage of one client; cores: the server's and the client's."""
    counts = _OURS if client == "ours" else _STOCK
    with ExitStack() as stack:
        with on_core(cores[0]):
            port = stack.enter_context(answering(workshop.certificate))
        at = {"client": client, "port": port, "ca": str(workshop.ca_der), "name": SERVER,
              "client_id": boot.NAME, "user": "bench", "password": "bench"}  # fmt: skip
        with on_core(cores[1]):
            settings = {"at": at, "topic": TOPIC, "size": SIZE, **counts}
            said = workshop.run(bits, "publish", settings)
    seconds = [us / 1e6 for us in said["us"]]
    return usual_rate(seconds, counts["each"]), Figure(said["garbage"], "B")
