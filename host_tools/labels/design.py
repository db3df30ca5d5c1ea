"""A label's looks: the code to the left, who the board is to the right, all as large as it fits.

Owns where what stands. Large labels have the registration ID, serial, MAC, chip, batch and the
fingerprint; on small ones the last of these are left away, for all of them are in the code.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator

from host_tools.labels.boards import Labelled
from host_tools.labels.drawing import (
    BOLD,
    MONO,
    POINT,
    SANS,
    Code,
    Shape,
    Text,
    measure,
    modules,
)

_QUIET = 4  # modules around a QR code; the paper beyond a label's edge is not ours
_SHARE = 0.34  # of a label's width that the code takes at most
_READABLE = 9.0  # millimetres of a code that any scanner reads
_LEADING = 1.18
_LARGEST, _SMALLEST, _STEP = 12.0, 3.5, 0.25  # points
_SIZES = [_LARGEST - _STEP * step for step in range(int((_LARGEST - _SMALLEST) / _STEP) + 1)]
_LEGIBLE = 4.5  # points; details smaller than that are left away
_SEPARATORS = "-._:"


def shapes(board: Labelled, width: float, height: float) -> list[Shape]:
    """Return what stands on a label of this size, in millimetres."""
    margin = _margin(height)
    code = _code(board, width, height, margin)
    left = code.x + code.side + max(margin, _module(code) * _QUIET)
    room = width - margin - left
    return [code, *_texts(board, left, margin, room, height - 2 * margin)]


def module(board: Labelled, width: float, height: float) -> float:
    """Return how large a module of the code is on a label of this size, all in millimetres."""
    return _module(_code(board, width, height, _margin(height)))


def _margin(height: float) -> float:
    return min(2.0, height * 0.08)


def _code(board: Labelled, width: float, height: float, margin: float) -> Code:
    count = len(modules(board.code))
    side = (height - 2 * margin) * count / (count + _QUIET)  # half the quiet zone is the margin's
    side = min(side, max(_READABLE, width * _SHARE))
    top = (height - side) / 2
    return Code(max(margin, min(top, margin * 2)), top, side, board.code)


def _module(code: Code) -> float:
    return code.side / len(modules(code.text))


def _texts(
    board: Labelled, left: float, top: float, width: float, height: float
) -> Iterator[Text]:
    lines = _fitting(board, width, height)
    total = sum(size for _, size, _, _ in lines) * POINT * _LEADING
    y = top + max(0.0, (height - total) / 2)
    for text, size, font, grey in lines:
        y += size * POINT * _LEADING
        yield Text(left, round(y - size * POINT * 0.25, 3), text, size, font, grey)


_Line = tuple[str, float, str, bool]
_Wrap = Callable[[str, float, str, float], list[str]]


def _fitting(board: Labelled, width: float, height: float) -> list[_Line]:
    """Return as many lines as fit, as large as they may be."""

    def fits(size: float, count: int) -> bool:
        lines = _lines(board, width, size, count, wrapped)
        tall = sum(line[1] for line in lines) * POINT * _LEADING
        return tall <= height and all(measure(t, f, s) <= width for t, s, f, _ in lines)

    for count in range(len(_details(board)), -1, -1):
        sizes = [size for size in _SIZES if not count or _small(size) >= _LEGIBLE]
        found = bisect_left(sizes, True, key=lambda size: fits(size, count))
        if found < len(sizes):
            return _lines(board, width, sizes[found], count, balanced)
    most = int(height / (_SMALLEST * POINT * _LEADING))
    return _lines(board, width, _SMALLEST, 0, wrapped)[:most]


def _small(size: float) -> float:
    return max(_SMALLEST, round(size * 0.72, 1))


def _details(board: Labelled) -> list[tuple[str, str, str]]:
    return [
        (board.mac, MONO, "mac"),
        (f"key {board.fingerprint}", MONO, "key"),
        (f"{board.batch}  {board.chip}", SANS, "batch"),
    ]


def _lines(board: Labelled, width: float, size: float, details: int, wrap: _Wrap) -> list[_Line]:
    small = _small(size)
    name = wrap(board.registration_id, width, SANS, small)
    lines: list[_Line] = [(board.serial, size, BOLD, False)]
    lines += [(part, small, SANS, False) for part in name]
    lines += [(text, small, font, True) for text, font, _ in _details(board)[:details]]
    return lines


def balanced(name: str, width: float, font: str, size: float) -> list[str]:
    """Return it in as few lines as there must be, of about the same length."""
    lines = wrapped(name, width, font, size)
    least = measure(name, font, size) / len(lines)
    for share in range(10):
        narrower = wrapped(name, least * (1 + share / 20), font, size)
        if len(narrower) == len(lines) and least * (1 + share / 20) < width:
            return narrower
    return lines


def wrapped(name: str, width: float, font: str, size: float) -> list[str]:
    """Return a registration ID in lines that fit, broken behind its dashes where it has any."""
    lines, rest = [], name
    while rest:
        fitting = _fitting_part(rest, width, font, size)
        if fitting < len(rest):
            at = max(rest.rfind(separator, 0, fitting) for separator in _SEPARATORS)
            fitting = at + 1 if at > 0 else fitting
        lines.append(rest[:fitting])
        rest = rest[fitting:]
    return lines


def _fitting_part(text: str, width: float, font: str, size: float) -> int:
    """Return how many characters fit, at least one."""
    for end, character in enumerate(text):
        width -= measure(character, font, size)
        if width < 0:
            return max(end, 1)
    return len(text)
