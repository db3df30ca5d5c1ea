"""The load: what every board of a batch gets, and how it is divided for the line.

Owns which parts there are on a flash of a given size, and the order they go over the line in.
Doesn't own their bytes (host_tools.images) nor a board's own part.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from host_tools.boards import Region
from host_tools.images.partitions import Layout
from host_tools.images.parts import Part

# bytes of a piece: what an interruption costs at most, and what one changed byte makes be written
PIECE = 256 << 10
PAGE = 256  # bytes
_BLANK = b"\xff" * PAGE
_GAP = 1024  # bytes; at 460 800 baud as long as a USB bridge takes for a question and its answer


@dataclass(frozen=True)
class Load:
    """What is the same for all boards of a batch that have a flash of this size.

    parts: in the order they are written; files: those of the filesystem, path to content; facts:
    versions for the ledger, e.g. {"micropython": "v1.26.1"}.
    """

    layout: Layout
    parts: tuple[Part, ...] = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)
    facts: Mapping[str, str] = field(default_factory=dict)

    def pieces(self) -> list[Part]:
        """Return the parts cut into pieces, each short enough to be written again.

        None lies over NVS: a merged image is blank there, and a board's record stays where it is.
        """
        nvs = self.layout.nvs
        return [p for part in self.parts for rest in around(part, nvs) for p in cut(rest)]

    @property
    def filesystem(self) -> Part:
        """Return the part that is the filesystem."""
        return next(part for part in self.parts if part.offset == self.layout.vfs.offset)

    def size(self) -> int:
        """Return the bytes of flash that are written, without the board's own part."""
        return sum(len(part.data) for part in self.parts)


def around(part: Part, hole: Region) -> Iterator[Part]:
    """Give what of a part lies before and behind a region."""
    before, behind = max(0, hole.offset - part.offset), max(0, hole.end - part.offset)
    for start, data in ((0, part.data[:before]), (behind, part.data[behind:])):
        if data:
            yield Part(part.name, part.offset + start, data, part.secret)


def cut(part: Part, size: int = PIECE) -> Iterator[Part]:
    """Give a part in pieces that begin where flash can be erased."""
    data, start = part.data, 0
    while start < len(data):
        end = min(len(data), (part.offset + start) // size * size + size - part.offset)
        yield Part(part.name, part.offset + start, data[start:end], part.secret)
        start = end


def used(image: bytes) -> list[tuple[int, int]]:
    """Return the stretches of an image that are not blank, as (offset, size) in whole pages.

    Few short ones: a gap is part of a stretch where to read over it takes less than to ask anew.
    """
    stretches: list[tuple[int, int]] = []
    for start in range(0, len(image), PAGE):
        page = image[start : start + PAGE]
        if page == _BLANK[: len(page)]:
            continue
        if stretches and start - sum(stretches[-1]) <= _GAP:
            stretches[-1] = (stretches[-1][0], start + len(page) - stretches[-1][0])
        else:
            stretches.append((start, len(page)))
    return stretches


def joined(size: int, stretches: Sequence[tuple[int, bytes]]) -> bytes:
    """Return an image of size bytes with these stretches in it, blank elsewhere."""
    image = bytearray(b"\xff" * size)
    for offset, data in stretches:
        image[offset : offset + len(data)] = data
    return bytes(image)
