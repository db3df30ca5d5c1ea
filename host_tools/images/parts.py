"""The parts that are written to a board, each with its offset, and one file made of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from host_tools.boards import Board
from host_tools.images.partitions import Layout
from host_tools.nvs import Entry, partition

NAMESPACE, KEY = "keystead", "record"  # where rim.credentials looks


@dataclass(frozen=True)
class Part:
    """Bytes and the offset in flash they are written at. secret: they hold a device key."""

    name: str
    offset: int
    data: bytes = field(repr=False)
    secret: bool = False


def shared(board: Board, image: bytes, filesystem: bytes, layout: Layout) -> tuple[Part, ...]:
    """Return the parts that are the same for every board of a batch: MicroPython, vfs."""
    return (
        Part("micropython", board.flash_offset, image),
        Part("vfs", layout.vfs.offset, filesystem),
    )


def own(layout: Layout, record: bytes) -> Part:
    """Return the one part that is a board's own: NVS with its factory record (packed). Secret."""
    entry = Entry(NAMESPACE, KEY, "binary", record)
    return Part("nvs", layout.nvs.offset, partition([entry], layout.nvs.size), secret=True)


def merged(parts: Iterable[Part], flash_size: int) -> bytes:
    """Return the whole flash, erased where no part is; later parts lie over earlier ones."""
    flash = bytearray(b"\xff" * flash_size)
    for part in parts:
        flash[part.offset : part.offset + len(part.data)] = part.data
    return bytes(flash)
