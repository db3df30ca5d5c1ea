"""The journal: what keeping a message on flash costs, and how that grows."""

import tempfile
from typing import Any

from bench.figures import Figure, Row, digits
from bench.workshop import Workshop

TITLE = "journal, LittleFS on a flash chip in RAM"

_WAITING = (1, 10, 100, 1000)
_SIZES = (16, 64, 256, 1024, 4096)
_SIZE = 64
_FEW = 10  # messages that wait where sizes are compared
_COUNT = 320  # of messages measured: ten times as many as are staged
_USUAL = "flushed file"
_BLOCKS, _CYCLES, _A_YEAR = 512, 100_000, 365.25 * 24 * 60


def rows(workshop: Workshop) -> list[Row]:
    """Measure on the 32-bit build where there is one: its objects have the ESP32's sizes."""
    found = []
    for wait in _WAITING:
        said = _measured(workshop, _SIZE, wait)
        append, replay = said["turn"]
        found += [
            Row(f"append of {_SIZE} B, {digits(wait)} wait", Figure(append, "us"), note=_TIME),
            Row("  replay of one", Figure(replay, "us"), note=_TIME),
            Row("  heap", Figure(said["memory"][0], "B"), note=_HEAP),
        ]
    for size in _SIZES:
        said = _measured(workshop, size, _FEW)
        append, replay = said["turn"]
        _, programmed, erased = said["keep"]
        _, usually_programmed, usually_erased = said["usual"]
        found += [
            Row(f"append of {digits(size)} B", Figure(append, "us"), note=_TIME),
            Row("  replay of one", Figure(replay, "us"), note=_TIME),
            Row("  garbage of append and replay", Figure(said["memory"][1], "B"), note=_HEAP),
            Row("  programmed for a byte of payload", Figure(programmed / size, "B"),
                Figure(usually_programmed / size, "B"), against=_USUAL, note=_WEAR),
            Row("  blocks erased by 100", Figure(erased * 100, "blocks"),
                Figure(usually_erased * 100, "blocks"), against=_USUAL, note=_WEAR),
        ]  # fmt: skip
        if size == _SIZE:
            life = Row(f"life of 2 MB, {_SIZE} B every minute", _years(erased),
                       _years(usually_erased), against=_USUAL, note=_LIFE)  # fmt: skip
    return [*found, life]


_TIME = (
    "MicroPython's own LittleFS on a block device in Python: how it grows counts, not how long it"
    " takes; an ESP32 needs some 45 ms besides for each block that it erases"
)
_HEAP = "gc.mem_alloc() after gc.collect(), modules apart; garbage: collections off"
_WEAR = (
    f"counted by the chip over {_COUNT} messages, headers, directory and state in it. Beside: each"
    " message appended to a file of up to 4 KiB and flushed"
)
_LIFE = (
    f"{_BLOCKS} blocks of {digits(_CYCLES)} cycles, one message a minute, never online; blocks of"
    " files that never change are not subtracted"
)


def _measured(workshop: Workshop, size: int, wait: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=workshop.folder) as folder:
        settings = {"size": size, "wait": wait, "count": _COUNT, "folder": folder}
        return workshop.run(min(workshop.builds), "journal", settings)


def _years(erased: float) -> Figure:
    return Figure(_BLOCKS * _CYCLES / erased / _A_YEAR, "years")
