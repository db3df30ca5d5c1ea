"""The forms that labels come in: sheets, a single picture, a label printer's commands, a list.

Owns which there are, and for each how it is drawn and how fine its codes are.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import BinaryIO, NamedTuple

from host_tools.errors import CommandError
from host_tools.labels import design, pdf, svg, zpl
from host_tools.labels.boards import Labelled
from host_tools.labels.sheet import Layout
from host_tools.labels.zpl import Media
from host_tools.ledger.cells import cell

KINDS = ("pdf", "html", "svg", "zpl", "csv")
FINE = 0.25  # millimetres of a code's module; many scanners do not read finer ones


class Form(NamedTuple):
    """How labels are drawn; module: millimetres of one in a board's code, None if not drawn."""

    draw: Callable[[BinaryIO, Sequence[Labelled]], None]
    module: Callable[[Labelled], float] | None

    def too_fine(self, boards: Iterable[Labelled]) -> float | None:
        """Return the size of the finest code's modules if a scanner may not read it, in mm."""
        if self.module is None:
            return None
        size = self.module(max(boards, key=lambda one: len(one.code)))
        return size if size < FINE else None


def form(kind: str, paper: Layout, skip: int, media: Media, title: str) -> Form:
    """Return one of KINDS; paper, skip and title: of sheets; media: of a single label."""
    on_paper = partial(design.module, width=paper.width, height=paper.height)
    forms = {
        "pdf": Form(partial(pdf.write, paper=paper, skip=skip, batch=title), on_paper),
        "html": Form(_pieces(lambda boards: svg.document(boards, paper, skip, title)), on_paper),
        "svg": Form(
            _pieces(lambda boards: [svg.label(_single(boards), media.width, media.height)]),
            partial(design.module, width=media.width, height=media.height),
        ),
        "zpl": Form(
            _pieces(lambda boards: (zpl.label(one, media) for one in boards)),
            partial(zpl.module, paper=media),
        ),
        "csv": Form(_pieces(_csv), None),
    }
    return forms[kind]


def _pieces(
    make: Callable[[Sequence[Labelled]], Iterable[str]],
) -> Callable[[BinaryIO, Sequence[Labelled]], None]:
    def draw(output: BinaryIO, boards: Sequence[Labelled]) -> None:
        for piece in make(boards):
            output.write(piece.encode())

    return draw


def _single(boards: Sequence[Labelled]) -> Labelled:
    if len(boards) > 1:
        raise CommandError("an svg has one label: take html or pdf for several")
    return boards[0]


def _csv(boards: Iterable[Labelled]) -> Iterator[str]:
    yield "registration_id,serial,mac,chip,batch,fingerprint,code\r\n"
    for one in boards:
        line = io.StringIO()
        # new serials can be no formulas, those of an older ledger could
        serial = one.serial if one.serial == one.registration_id else cell(one.serial)
        csv.writer(line).writerow(
            (one.registration_id, serial, one.mac, one.chip, one.batch, one.fingerprint,
             one.code)
        )  # fmt: skip
        yield line.getvalue()
