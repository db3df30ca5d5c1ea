"""The parts that are written to a board, each with its offset, and one file made of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from host_tools.boards import Board
from host_tools.errors import CommandError
from host_tools.images.partitions import Layout, mib
from host_tools.nvs import BlobImages, Entry, partition

NAMESPACE, KEY = "keystead", "record"  # where rim.credentials looks


@dataclass(frozen=True)
class Part:
    """Bytes and the offset in flash they are written at. secret: they hold a device key."""

    name: str
    offset: int
    data: bytes = field(repr=False)
    secret: bool = False

    @property
    def end(self) -> int:
        """The first byte of flash after it."""
        return self.offset + len(self.data)


def shared(board: Board, image: bytes, filesystem: bytes, layout: Layout) -> tuple[Part, ...]:
    """Return the parts that are the same for every board of a batch: MicroPython, vfs."""
    return (
        Part("micropython", board.flash_offset, image),
        Part("vfs", layout.vfs.offset, filesystem),
    )


def own(layout: Layout, record: bytes, values: Sequence[Entry] = ()) -> Part:
    """Return the one part that is a board's own: NVS with its factory record (packed). Secret.

    values: what it has besides. Raises NvsError if they do not fit.
    """
    # last: a blob goes into whatever room the others leave, wherever a page ends
    entries = [*values, Entry(NAMESPACE, KEY, "binary", record)]
    return Part("nvs", layout.nvs.offset, partition(entries, layout.nvs.size), secret=True)


class OwnParts:
    """The own parts of many boards of one layout: the bytes of own(), many times faster."""

    def __init__(self, layout: Layout) -> None:
        self._offset = layout.nvs.offset
        self._images = BlobImages(NAMESPACE, KEY, layout.nvs.size)

    def part(self, record: bytes) -> Part:
        """Return the part with this packed factory record. Secret."""
        return Part("nvs", self._offset, self._images.image(record), secret=True)


def merged(parts: Iterable[Part], flash_size: int) -> bytes:
    """Return the whole flash, erased where no part is; later parts lie over earlier ones.

    Its first byte belongs at 0. Raises CommandError if a part does not fit.
    """
    whole = tuple(parts)
    for part in whole:
        if part.end > flash_size:
            raise CommandError(f"{part.name} ends beyond a flash of {mib(flash_size)}")
    return _laid(whole, 0, flash_size)


def joined(name: str, parts: Iterable[Part]) -> Part:
    """Return parts as one, from the first one's offset to the last one's end; FF between them."""
    whole = tuple(parts)
    begin, end = min(part.offset for part in whole), max(part.end for part in whole)
    return Part(name, begin, _laid(whole, begin, end), any(part.secret for part in whole))


def _laid(parts: Iterable[Part], begin: int, end: int) -> bytes:
    flash = bytearray(b"\xff" * (end - begin))
    for part in parts:
        flash[part.offset - begin : part.end - begin] = part.data
    return bytes(flash)
