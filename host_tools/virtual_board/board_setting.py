"""What a virtual board is told before it is powered: plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from host_tools.virtual_board.faults import Fault

Address = tuple[str, int]


@dataclass
class BoardSetting:
    """One board: its chip, its flash, what surrounds it, and where its serial port is.

    flash: the file that is its flash; its eFuses lie beside it, with `.efuses` behind the name.
    None: both in a folder in memory that goes with the board. flash_size: bytes. micropython: a
    blank flash gets an image first, so that the board runs MicroPython as if it had been bought
    with it. download: it is powered on with its BOOT button held. rfc2217, socket: where to
    listen, port 0 for a free one; None for not at all. pty: whether it has one. paced: bytes take
    the time that they take on a UART at its rate, else none.

    bits, heap, hosts, wifi and world are of the Unix MicroPython that plays the program in its
    flash, as UnixBoard has them.
    """

    chip: str = "esp32c3"
    mac: bytes = bytes.fromhex("a0b1c2d3e4f5")
    flash: Path | None = None
    flash_size: int = 4 << 20
    micropython: bool = False
    download: bool = False
    faults: tuple[Fault, ...] = ()
    paced: bool = False
    rfc2217: Address | None = ("127.0.0.1", 0)
    socket: Address | None = None
    pty: bool = False
    bits: int = 32
    heap: str = ""
    hosts: Mapping[str, Address | None] = field(default_factory=dict)
    wifi: Mapping[str, str] = field(default_factory=lambda: {"bench": "no secret"})
    world: Mapping[str, object] = field(default_factory=dict)
