"""Heap: what the firmware keeps of a 32-bit board's, and the least it can boot in."""

import subprocess
from collections.abc import Callable, Set

from bench import boot, sizes
from bench.figures import Bar, Figure, Row, Unmeasured
from bench.server import answering
from bench.workshop import SERVER, Workshop
from host_tools.errors import CommandError
from host_tools.firmware import PACKAGES

TITLE = "heap, 32-bit"

_ANCHOR = "mqtt_as 15 328 B, iotc 25 400 B"
_BAR = Bar(12_000)
_WHOLE_RUN = Bar(64)  # KiB, what an ESP32 begins with
_HIGHEST = 128  # KiB looked at
_TRIES = 2  # boots that must succeed in a heap before it counts: collections fall as they may
# the modules of MicroPython itself that the firmware imports, and what plays a chip's
_GROUND = (
    "binascii", "collections", "errno", "gc", "hashlib", "json", "os", "struct", "sys", "tls",
    "select", "socket", "time", "esp32", "machine", "network",
)  # fmt: skip


def rows(workshop: Workshop) -> list[Row]:
    """Measure; the emulator runs in this process, MicroPython in its own."""
    if 32 not in workshop.builds:
        raise Unmeasured("there is no 32-bit MicroPython on this machine")
    ours = set(sizes.module_sizes(workshop.lib, PACKAGES))
    stock = _imported(workshop, [], ["umqtt.simple"])
    everything = _imported(workshop, ["umqtt.simple"], sorted(ours))
    connected = _connected(workshop, ours)
    kept = sorted(ours & boot.connected(workshop).modules)
    return [
        Row("after import of everything at once", everything, stock, anchor=_ANCHOR,
            note=_AT_ONCE),
        Row("after import of what is kept", _imported(workshop, ["umqtt.simple"], kept), stock,
            anchor=_ANCHOR, bar=_BAR, note=_CODE),
        Row("while connected, buffers and all", connected, stock, anchor=_ANCHOR,
            bar=_BAR, note=_CONNECTED),
        Row("least for boot to telemetry", _least_of(workshop), _least_of_stock(workshop),
            anchor="none published", bar=_WHOLE_RUN, note=_LEAST),
    ]  # fmt: skip


_AT_ONCE = "no board does this: a boot's modules are dropped when it is over; stock: umqtt.simple"
_CODE = "the modules alone, as the anchors were measured: umqtt.simple and built-ins not counted"
_CONNECTED = (
    "a real boot against the emulator, gc.mem_alloc() after gc.collect() in app.py, less the same"
    " of a board that imports only umqtt.simple, stand-ins and built-ins; so it holds the TLS"
    " context, socket, 1 KB packet buffer and names too, which no anchor does; stock: its import"
)
_LEAST = (
    "-X heapsize in steps of 1 KiB, two boots in each; verified TLS, DPS, hub, one message; what"
    " stands in for the chip, in ROM there, has room of its own besides. Stock: connect with a"
    " ready token and publish once, no boot"
)


def _connected(workshop: Workshop, ours: set[str]) -> Figure:
    """Return what a connected board has in its heap that a bare one has not."""
    connected, bare = boot.connected(workshop), boot.bare(workshop)
    missing = unfounded(connected.modules, ours, bare.modules)
    if missing:
        raise CommandError(f"on_board/bare.py must import too: {', '.join(missing)}")
    return Figure(connected.heap - bare.heap, "B")


def unfounded(connected: Set[str], ours: Set[str], bare: Set[str]) -> list[str]:
    """Return modules whose heap would be counted as Keystead's, as the bare board lacks them."""
    return sorted(connected - ours - bare)


def _imported(workshop: Workshop, first: list[str], then: list[str]) -> Figure:
    """Return the heap that modules keep; on a board, as they import what only a chip has."""
    heap = workshop.run_on_chip(32, "resident", {"first": [*_GROUND, *first], "then": then})
    return Figure(heap["heap"], "B")


def _least_of(workshop: Workshop) -> Figure:
    def enough(kib: int) -> bool:
        return all(boot.reaches_the_hub(workshop, kib) for _ in range(_TRIES))

    return Figure(least(enough, _HIGHEST), "KiB")


def _least_of_stock(workshop: Workshop) -> Figure:
    with answering(workshop.certificate) as port:
        at = {"client": "stock", "port": port, "ca": str(workshop.ca_der), "name": SERVER,
              "client_id": boot.NAME, "user": "u" * 90, "password": "p" * 170}  # fmt: skip
        settings = {"at": at, "filter": "f", "topic": "t" * 95, "size": 61}

        def enough(kib: int) -> bool:
            try:
                workshop.run(32, "packets", settings, heap=f"{kib}k")
            except (CommandError, subprocess.TimeoutExpired):
                return False
            return True

        return Figure(least(enough, _HIGHEST), "KiB")


def least(enough: Callable[[int], bool], highest: int) -> int:
    """Return the least number from 1 to highest that is enough. Raises Unmeasured for none."""
    if not enough(highest):
        raise Unmeasured(f"a heap of {highest} KiB is not enough")
    low = 0
    while highest - low > 1:
        middle = (low + highest) // 2
        if enough(middle):
            highest = middle
        else:
            low = middle
    return highest
