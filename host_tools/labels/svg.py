"""Labels as SVG: a single one, or the sheets of a page that a browser prints to scale."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from host_tools.labels import sheet
from host_tools.labels.boards import Labelled
from host_tools.labels.design import shapes
from host_tools.labels.drawing import (
    BOLD,
    MONO,
    POINT,
    Code,
    Shape,
    Text,
    modules,
    printable,
    runs,
)
from host_tools.labels.sheet import Layout, Page

_FAMILIES = {
    MONO: "'Courier New',Courier,'Liberation Mono',monospace",
}
_SANS = "Helvetica,Arial,'Liberation Sans',sans-serif"


def label(board: Labelled, width: float, height: float) -> str:
    """Return one label as an SVG of this size in millimetres."""
    inner = "".join(_drawn(shape) for shape in shapes(board, width, height))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}mm" height="{height}mm"'
        f' viewBox="0 0 {width} {height}"><title>{escape(board.registration_id)}</title>'
        f'<rect width="{width}" height="{height}" fill="#fff"/>{inner}</svg>'
    )


def document(boards: Sequence[Labelled], paper: Layout, skip: int, batch: str) -> Iterator[str]:
    """Give an HTML page with all sheets, in pieces; it prints at its true size."""
    found = list(sheet.pages(boards, paper, skip))
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True
    )
    template = environment.get_template("sheet.html")
    drawn = (
        Markup(_sheet(page, paper, sheet.caption(page, batch, len(found), len(boards))))
        for page in found
    )
    return template.generate(sheets=drawn, paper=paper, batch=batch, labels=len(boards))


def _sheet(page: Page, paper: Layout, caption: str) -> str:
    width, height = paper.paper
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="sheet" width="{width}mm"'
        f' height="{height}mm" viewBox="0 0 {width} {height}" role="img"'
        f' aria-label="{escape(caption)}">'
    ]
    for number, board in page.boards:
        x, y = paper.place(number)
        drawn = "".join(_drawn(shape) for shape in shapes(board, paper.width, paper.height))
        parts.append(f'<g transform="translate({x:.3f} {y:.3f})">{_cut(paper)}{drawn}</g>')
    foot = Text(paper.left, height - 5, caption, 7, grey=True)
    return "".join((*parts, _drawn(foot), "</svg>"))


def _cut(paper: Layout) -> str:
    return f'<rect class="cut" width="{paper.width}" height="{paper.height}" rx="1.5"/>'


def _drawn(shape: Shape) -> str:
    return _code(shape) if isinstance(shape, Code) else _text(shape)


def _text(shape: Text) -> str:
    family = _FAMILIES.get(shape.font, _SANS)
    weight = ' font-weight="700"' if shape.font == BOLD else ""
    fill = "#444" if shape.grey else "#000"
    # the width is said: where another font stands in, nothing runs out of its label
    return (
        f'<text x="{shape.x:.3f}" y="{shape.y:.3f}" font-family="{family}"'
        f' font-size="{shape.size * POINT:.3f}"{weight} fill="{fill}"'
        f' textLength="{shape.width:.3f}" lengthAdjust="spacingAndGlyphs"'
        f' xml:space="preserve">{escape(printable(shape.text))}</text>'
    )


def _code(shape: Code) -> str:
    rows = modules(shape.text)
    scale = shape.side / len(rows)
    path = "".join(
        f"M{begin} {y}h{end - begin}v1h-{end - begin}z"
        for y, row in enumerate(rows)
        for begin, end in runs(row)
    )
    return (
        f'<path transform="translate({shape.x:.3f} {shape.y:.3f}) scale({scale:.5f})"'
        f' d="{path}" shape-rendering="crispEdges"/>'
    )
