"""Sizes: bytes of .mpy, which is what the firmware takes of a board's flash."""

from collections.abc import Iterable
from pathlib import Path

from bench import boot
from bench.figures import Bar, Figure, Row
from bench.workshop import Workshop
from host_tools.firmware import PACKAGES

TITLE = ".mpy bytes"

_ANCHOR = "iotc 9 252 B, mqtt_as 11 175 B"
_BAR = Bar(14_000)
# loaded only where config.json, app.py or a person asks for them
_OPTIONS = {
    "keystead.journal", "keystead.recovery", "keystead.uplinks", "rim.cellular", "rim.ethernet",
    "rim.keeping", "rim.status", "rim.together",
}  # fmt: skip


def rows(workshop: Workshop) -> list[Row]:
    """Measure; the modules a connected board keeps are asked of a board that is connected."""
    sizes = module_sizes(workshop.lib, PACKAGES)
    stock = Figure(sum(module_sizes(workshop.lib, ["umqtt"]).values()), "B")
    kept = boot.connected(workshop).modules
    everything = set(sizes)
    return [
        Row("kept while connected", _sum(sizes, everything & kept), stock, note=_KEPT),
        Row("what every device needs", _sum(sizes, everything - _OPTIONS), stock,
            anchor=_ANCHOR, bar=_BAR, note=_ALL),
        Row("  options: journal, Ethernet, cellular, asyncio, status",
            _sum(sizes, everything & _OPTIONS)),
    ]  # fmt: skip


_KEPT = "the modules of keystead and rim in sys.modules when app.py runs; stock: its simple.mpy"
_ALL = (
    "design's bar is for the portable package and the rim; the anchors have no verification of"
    " certificates (iotc), no DPS (mqtt_as), no back-off, renewal or catalogue"
)


def module_sizes(lib: Path, packages: Iterable[str]) -> dict[str, int]:
    """Return module name to bytes for all compiled modules of packages in lib."""
    return {
        name(file.relative_to(lib)): file.stat().st_size
        for package in packages
        for file in sorted((lib / package).glob("*.mpy"))
    }


def name(path: Path) -> str:
    """Return a compiled module's name, e.g. keystead.sas; a package's is its folder's."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _sum(sizes: dict[str, int], names: Iterable[str]) -> Figure:
    return Figure(sum(sizes.get(name, 0) for name in names), "B")
