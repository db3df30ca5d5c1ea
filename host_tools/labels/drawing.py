"""What a label is made of: texts and a code, in millimetres from its upper left corner.

Owns nothing but the two shapes. svg.py and pdf.py draw the same list of them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import segno
from reportlab.pdfbase.pdfmetrics import stringWidth  # type: ignore[import-untyped]

SANS, BOLD, MONO = "Helvetica", "Helvetica-Bold", "Courier"
POINT = 25.4 / 72  # millimetres
_MASK = 6
_DARK = re.compile(b"\x01+")


@dataclass(frozen=True)
class Text:
    """A line of text; y: its base line; size: points; width: millimetres that it takes."""

    x: float
    y: float
    text: str
    size: float
    font: str = SANS
    grey: bool = False

    @property
    def width(self) -> float:
        """Return how wide it is, in millimetres."""
        return measure(self.text, self.font, self.size)


@dataclass(frozen=True)
class Code:
    """A QR code as a square of side millimetres, without a quiet zone around it."""

    x: float
    y: float
    side: float
    text: str


Shape = Text | Code


def measure(text: str, font: str, size: float) -> float:
    """Return the width of a text in millimetres."""
    return _width(text, font) * size * POINT


@lru_cache(maxsize=4096)
def _width(text: str, font: str) -> float:
    return float(stringWidth(printable(text), font, 1))


def printable(text: str) -> str:
    """Return a text as the fonts have it that every printer has: other characters become ?."""
    return text.encode("cp1252", "replace").decode("cp1252")


@lru_cache(maxsize=64)
def modules(text: str) -> tuple[bytes, ...]:
    """Return the modules of a QR code by rows, 1 is dark; of the least size that holds the text.

    The error correction is the best that this size allows. The mask is always the same: for our
    texts its penalty is 1.5 % above that of the best of eight, which takes four times as long.
    """
    found = segno.make_qr(text, error="l", boost_error=True, mask=_MASK)
    return tuple(bytes(row) for row in found.matrix)


def runs(row: bytes) -> Iterator[tuple[int, int]]:
    """Give begin and end of each run of dark modules."""
    return (run.span() for run in _DARK.finditer(row))
