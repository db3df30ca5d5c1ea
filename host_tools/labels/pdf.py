"""Labels as PDF: sheets to print, with reportlab."""

from collections.abc import Sequence
from typing import BinaryIO

from reportlab import rl_config  # type: ignore[import-untyped]
from reportlab.lib.units import mm  # type: ignore[import-untyped]
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]
from reportlab.pdfgen.pathobject import PDFPathObject  # type: ignore[import-untyped]

from host_tools.labels import sheet
from host_tools.labels.boards import Labelled
from host_tools.labels.design import shapes
from host_tools.labels.drawing import Code, Shape, Text, modules, printable, runs
from host_tools.labels.sheet import Layout
from host_tools.printable import counted

_GREY = 0.27
rl_config.useA85 = 0  # bytes as they are, not as text: nobody reads them, and they are fewer


def write(
    output: BinaryIO, boards: Sequence[Labelled], paper: Layout, skip: int, batch: str
) -> None:
    """Write the sheets."""
    found = list(sheet.pages(boards, paper, skip))
    width, height = paper.paper
    canvas = Canvas(output, pagesize=(width * mm, height * mm), pageCompression=1, invariant=1)
    canvas.setTitle(f"{counted(len(boards), 'label')}, {batch}")
    canvas.setCreator("keystead label")
    for page in found:
        for number, board in page.boards:
            x, y = paper.place(number)
            for shape in shapes(board, paper.width, paper.height):
                _draw(canvas, shape, x, y, height)
        caption = sheet.caption(page, batch, len(found), len(boards))
        _draw(canvas, Text(paper.left, height - 5, caption, 7, grey=True), 0, 0, height)
        canvas.showPage()
    canvas.save()


def _draw(canvas: Canvas, shape: Shape, x: float, y: float, height: float) -> None:
    if isinstance(shape, Code):
        _code(canvas, shape, x, y, height)
        return
    canvas.setFont(shape.font, shape.size)
    canvas.setFillGray(_GREY if shape.grey else 0)
    canvas.drawString((x + shape.x) * mm, (height - y - shape.y) * mm, printable(shape.text))


# in modules, turned upright once for all: whole numbers are what reportlab need not round
def _code(canvas: Canvas, shape: Code, x: float, y: float, height: float) -> None:
    rows = modules(shape.text)
    size = shape.side / len(rows) * mm
    canvas.saveState()
    canvas.transform(size, 0, 0, -size, (x + shape.x) * mm, (height - y - shape.y) * mm)
    canvas.setFillGray(0)
    dark = [
        f"{begin} {number} {end - begin} 1 re"
        for number, row in enumerate(rows)
        for begin, end in runs(row)
    ]
    canvas.drawPath(PDFPathObject(dark), stroke=0, fill=1)
    canvas.restoreState()
