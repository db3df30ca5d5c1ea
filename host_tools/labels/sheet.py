"""Sheets of labels: where each stands on paper that is sold ready cut.

Owns the layouts and the pages. All in millimetres, from the upper left corner of the paper.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from host_tools.errors import CommandError
from host_tools.labels.boards import Labelled

A4, LETTER = (210.0, 297.0), (215.9, 279.4)


@dataclass(frozen=True)
class Layout:
    """A sheet; left and top: of the first label; across and down: from one label to the next."""

    name: str
    paper: tuple[float, float]
    columns: int
    rows: int
    width: float
    height: float
    left: float
    top: float
    across: float
    down: float

    @property
    def count(self) -> int:
        """Return how many labels a sheet has."""
        return self.columns * self.rows

    def place(self, number: int) -> tuple[float, float]:
        """Return where label `number` of a sheet has its upper left corner, from 0."""
        row, column = divmod(number, self.columns)
        return self.left + column * self.across, self.top + row * self.down


# as the makers' templates have them
LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("L7160", A4, 3, 7, 63.5, 38.1, 7.21, 15.15, 66.04, 38.1),
        Layout("L7651", A4, 5, 13, 38.1, 21.2, 4.67, 10.7, 40.64, 21.2),
        Layout("L4731", A4, 7, 27, 25.4, 10.0, 8.48, 13.5, 27.94, 10.0),
        Layout("5160", LETTER, 3, 10, 66.675, 25.4, 4.7625, 12.7, 69.85, 25.4),
    )
}


def layout(name: str) -> Layout:
    """Return a layout by its maker's number, whatever its capitals; CommandError."""
    for known, found in LAYOUTS.items():
        if known.lower() == name.strip().lower().removeprefix("avery").strip():
            return found
    raise CommandError(f"no layout {name!r}: take one of {', '.join(LAYOUTS)}")


@dataclass(frozen=True)
class Page:
    """One sheet: boards by the number of their label; number: from 1."""

    number: int
    boards: Sequence[tuple[int, Labelled]]
    first: int
    last: int


def pages(boards: Iterable[Labelled], paper: Layout, skip: int = 0) -> Iterator[Page]:
    """Give the sheets; skip: labels of the first sheet that are used up."""
    if not 0 <= skip < paper.count:
        raise CommandError(
            f"--skip {skip}: a sheet of {paper.name} has {paper.count} labels, skip fewer"
        )
    source, number, done = iter(boards), 0, 0
    while chunk := list(islice(source, paper.count - skip)):
        number += 1
        yield Page(number, list(enumerate(chunk, skip)), done + 1, done + len(chunk))
        done, skip = done + len(chunk), 0


def caption(page: Page, batch: str, pages: int, labels: int) -> str:
    """Return the line at the foot of a sheet."""
    alone = page.first == page.last
    which = f"label {page.first}" if alone else f"labels {page.first} to {page.last}"
    parts = (
        batch,
        f"{which} of {labels}",
        f"sheet {page.number} of {pages}",
    )
    return "  \N{MIDDLE DOT}  ".join(parts)
