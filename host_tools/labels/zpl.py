"""A label as ZPL II, which Zebra's printers and most others take as it is.

Owns the commands. The code is sent as a picture (^GF): every printer prints the very modules that
the other forms have, where ^BQ makes its own choice of size and error correction.
Source: Zebra, "ZPL II Programming Guide".
"""

from dataclasses import dataclass

from host_tools.errors import CommandError
from host_tools.labels import design
from host_tools.labels.boards import Labelled
from host_tools.labels.design import shapes
from host_tools.labels.drawing import BOLD, POINT, Code, Text, modules

_RESOLUTIONS = {203: 8, 300: 12, 600: 24}  # dots per inch, dots per millimetre as heads have them
_ESCAPED = "^~_\\"


@dataclass(frozen=True)
class Media:
    """What is in the printer: the label's size in millimetres, the head's dots per inch."""

    width: float
    height: float
    dpi: int

    @property
    def scale(self) -> int:
        """Return dots per millimetre."""
        return _RESOLUTIONS[self.dpi]


def media(size: str, dpi: int) -> Media:
    """Return the media from text as "50x25"; CommandError."""
    try:
        width, height = (float(part) for part in size.lower().split("x"))
    except ValueError:
        raise CommandError(f"--size {size!r}: give millimetres as 50x25") from None
    if not (15 <= width <= 200 and 8 <= height <= 200):
        raise CommandError(f"--size {size}: labels have 15 to 200 by 8 to 200 mm")
    if dpi not in _RESOLUTIONS:
        raise CommandError(f"--dpi {dpi}: printers have {', '.join(map(str, _RESOLUTIONS))}")
    return Media(width, height, dpi)


def label(board: Labelled, paper: Media) -> str:
    """Return one label's commands, ^XA to ^XZ."""
    head = f"^XA\n^CI28\n^PW{_dots(paper.width, paper)}\n^LL{_dots(paper.height, paper)}\n^LH0,0\n"
    fields = [
        _code(shape, paper) if isinstance(shape, Code) else _text(shape, paper)
        for shape in shapes(board, paper.width, paper.height)
    ]
    return head + "".join(fields) + "^PQ1\n^XZ\n"


def _dots(length: float, paper: Media) -> int:
    return round(length * paper.scale)


def _text(shape: Text, paper: Media) -> str:
    tall = max(9, round(shape.size * POINT * paper.scale))
    top = _dots(shape.y, paper) - round(tall * 0.75)  # ^FO is the upper left, y the base line
    # the printer's font is scaled to the width that the text is to have
    wide = max(5, round(tall * (0.95 if shape.font == BOLD else 0.85)))
    return (
        f"^FO{_dots(shape.x, paper)},{max(0, top)}^A0N,{tall},{wide}"
        f"^FH^FD{_escaped(shape.text)}^FS\n"
    )


def _escaped(text: str) -> str:
    """Return a text for ^FH: what would be a command as _ and two hex digits."""
    safe = (
        character if character not in _ESCAPED else f"_{ord(character):02X}" for character in text
    )
    return "".join(safe)


def module(board: Labelled, paper: Media) -> float:
    """Return how large a module of the code is printed, in millimetres; CommandError."""
    return _whole(design.module(board, paper.width, paper.height), paper) / paper.scale


def _whole(size: float, paper: Media) -> int:
    """Return how many dots a module of this size has: the head prints whole ones only."""
    dots = int(size * paper.scale)
    if dots < 1:
        raise CommandError(f"a label of {paper.height:g} mm at {paper.dpi} dpi is too small")
    return dots


def _code(shape: Code, paper: Media) -> str:
    rows = modules(shape.text)
    dots = _whole(shape.side / len(rows), paper)
    per_row = -(-len(rows) * dots // 8)
    lines = []
    for row in rows:
        bits = "".join(("1" if dark else "0") * dots for dark in row).ljust(per_row * 8, "0")
        lines.append(f"{int(bits, 2):0{per_row * 2}X}" * dots)
    total = per_row * dots * len(rows)
    x, y = _dots(shape.x, paper), _dots(shape.y, paper)
    return f"^FO{x},{y}^GFA,{total},{total},{per_row},{''.join(lines)}^FS\n"
