"""Flashing: what one board costs on its line, and many boards at once.

Real esptool, real ledger, virtual boards; the line is as fast as this machine, or paced to what a
UART carries. The image is a stand-in of an eighth of MicroPython's size, so that the paced runs
are over soon; what a whole one takes follows from its bytes.
"""

import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import keystead
from bench.figures import Figure, Row, Unmeasured
from bench.paced import BITS, paced
from bench.workshop import Workshop
from host_tools import boards
from host_tools.batch import Batch, Unit
from host_tools.device_keys import DeviceKeys
from host_tools.flash.loads import Loads
from host_tools.flash.station import Outcome, Station
from host_tools.flash.steps import Order
from host_tools.images import filesystem
from host_tools.images.stand_in import stand_in_image
from host_tools.key_sources import HeldKey
from host_tools.ledger import Ledger, open_ledger
from host_tools.virtual_board import farm
from host_tools.virtual_board.board_setting import BoardSetting

TITLE = "flashing a board, esptool at 460 800 baud"

_BAUD = 460_800
_MANY = 8
_FLASH = 4 << 20
_APP = 200_000  # bytes, an eighth of MicroPython's
_BATCH = Batch("bench", "ESP32_GENERIC_C3", "0ne00002193")


@dataclass(frozen=True)
class Run:
    """What one run over some boards gave."""

    seconds: float
    outcomes: Sequence[Outcome]

    @property
    def sent(self) -> int:
        """Return the bytes that went to the first board, and those that came back."""
        line = self.outcomes[0].traffic
        return line.sent + line.received

    def step(self, name: str) -> float:
        """Return the longest time that a board took for a step."""
        return max(outcome.steps[name] for outcome in self.outcomes)


def rows(workshop: Workshop) -> list[Row]:
    """Flash one board, once more, and eight at once."""
    order = _order(workshop)
    with _ledger() as ledger, _farm(_MANY + 1) as ports:
        fast = _run(order, ledger, ports[:1])
        again = _run(order, ledger, ports[:1])
        many = _run(order, ledger, ports[1:])
    with _ledger() as ledger, _farm(_MANY + 1) as ports, _paced(ports) as slow:
        one = _run(order, ledger, slow[:1])
        eight = _run(order, ledger, slow[1:])
    return [*_bytes(order, fast, again), *_seconds(fast, many, one, eight)]


def _bytes(order: Order, first: Run, again: Run) -> list[Row]:
    load = order.load(_FLASH)
    packed = sum(len(zlib.compress(piece.data, 9)) for piece in load.pieces())
    return [
        Row(
            "bytes on the line, a blank board",
            Figure(first.sent, "B"),
            Figure(load.size(), "B"),
            "the image",
            anchor=f"deflated {packed} B",
            note="both ways, counted at the port: stub, image, MD5s, what is read back",
        ),
        Row(
            "  the same board again",
            Figure(again.sent, "B"),
            Figure(first.sent, "B"),
            "blank",
            note="what is in flash already is not written; NVS is, the firmware writes there",
        ),
    ]


def _seconds(fast: Run, many: Run, one: Run, eight: Run) -> list[Row]:
    least = Figure(one.sent * BITS / _BAUD, "s")
    line = sum(one.step(name) for name in ("connect", "reserve", "write", "verify"))
    whole = Figure(one.seconds, "s")
    return [
        Row(
            "seconds on the line, a blank board",
            Figure(line, "s"),
            least,
            "bytes / baud",
            note="from the first byte to the last one read back, on TCP paced to 460 800 baud;"
            " RFC 2217 doubles each byte FF there",
        ),
        Row("  from blank to good", whole, least, "bytes / baud", note=_WHOLE),
        Row(
            "  8 boards at once, such lines", Figure(eight.seconds, "s"), whole, "one", note=_CORES
        ),
        Row("  one board, a line without limit", Figure(fast.seconds, "s")),
        Row(
            "  8 boards at once, such lines",
            Figure(many.seconds, "s"),
            Figure(fast.seconds, "s"),
            "one",
            note=_CORES,
        ),
    ]


_WHOLE = "with the port's process starting, MicroPython booting, the proof and the ledger"
_CORES = (
    "a process a port, and for each board its MicroPython and its flash, all on the cores of this"
    " machine: 8.0 is one after the other"
)


def _order(workshop: Workshop) -> Order:
    board = boards.get(_BATCH.board)
    image = stand_in_image(board.chip, _FLASH, _APP)
    files = filesystem.files(workshop.folder / "flash")
    load = Loads(board, image, files).get
    load(_FLASH)
    return Order(_BATCH, board, load, keystead.__version__, baud=_BAUD)


def _run(order: Order, ledger: Ledger, ports: Sequence[str]) -> Run:
    begun = time.monotonic()
    keys = DeviceKeys(HeldKey(bytes(32), "the bench's key"))
    news = list(Station(order, ledger, keys).run(ports))
    outcomes = [one.outcome for one in news if one.outcome]
    for outcome in outcomes:
        if outcome.result != "good":
            raise Unmeasured(outcome.message)
    return Run(time.monotonic() - begun, outcomes)


@contextmanager
def _ledger() -> Iterator[Ledger]:
    with (
        tempfile.TemporaryDirectory(prefix="keystead-bench-") as folder,
        open_ledger(str(Path(folder) / "ledger.db"), create=True) as ledger,
    ):
        ledger.create_batch(_BATCH, [Unit(f"{n:03}") for n in range(_MANY + 1)])
        yield ledger


@contextmanager
def _farm(count: int) -> Iterator[list[str]]:
    settings = [
        BoardSetting(mac=bytes([0xA0, 0xB1, 0xC2, 0xD3, 0xE4, number])) for number in range(count)
    ]
    with farm.started(settings) as powered:
        yield [board.urls[0] for board in powered]


@contextmanager
def _paced(ports: Sequence[str]) -> Iterator[list[str]]:
    with ExitStack() as stack:
        numbers = [int(port.rpartition(":")[2]) for port in ports]
        lent = [stack.enter_context(paced(number, _BAUD)) for number in numbers]
        yield [f"rfc2217://127.0.0.1:{number}" for number in lent]
