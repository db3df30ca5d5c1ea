"""Labels: their code, where things stand on them, and the forms they are printed in."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader

from host_tools.batch import Batch, Unit
from host_tools.cli import main
from host_tools.errors import CommandError
from host_tools.label import blocks
from host_tools.labels import forms, pdf, sheet, since, svg, zpl
from host_tools.labels.boards import Labelled
from host_tools.labels.code import Label, NotALabel, read
from host_tools.labels.design import shapes
from host_tools.labels.drawing import Code, Text, modules
from host_tools.labels.sheet import LAYOUTS, Layout
from host_tools.ledger import open_ledger
from host_tools.ledger.chain import moment
from tests.factory.made_batch import FINGERPRINT, NAME, START, Line, mac

TEXT = "KS1|sn-0007-mac-a1-b2-c3-d4-e5-f6|0123456789abcdef|mill-7|ebcd"
LABEL = Label("sn-0007-mac-a1-b2-c3-d4-e5-f6", "0123456789abcdef", "mill-7")


def board(number: int = 7, name: str = "", serial: str = "") -> Labelled:
    return Labelled(
        name or f"sn-{number:04}-mac-a1-b2-c3-d4-{number >> 8:02x}-{number & 255:02x}",
        serial or f"{number:04}",
        f"a1:b2:c3:d4:{number >> 8:02x}:{number & 255:02x}",
        "esp32c3",
        NAME,
        FINGERPRINT[:16],
    )


# ---- the code


def test_a_codes_text_names_version_board_key_and_batch_with_a_check() -> None:
    assert LABEL.text() == TEXT
    assert read(TEXT) == LABEL
    assert read(f" {TEXT}\r\n") == LABEL


@given(
    st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9._:-]{0,126}[a-zA-Z0-9]", fullmatch=True),
    st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True),
)
def test_whatever_is_printed_is_read(name: str, fingerprint: str, batch: str) -> None:
    label = Label(name, fingerprint, batch)
    assert read(label.text()) == label


@given(st.integers(0, len(TEXT) - 1), st.characters(min_codepoint=33, max_codepoint=126))
def test_no_character_can_be_wrong_unseen(place: int, character: str) -> None:
    wrong = TEXT[:place] + character + TEXT[place + 1 :]
    if wrong.lower() == TEXT.lower() and place >= len(TEXT) - 4:
        assert read(wrong) == LABEL  # the check's own capitals do not matter
    elif wrong != TEXT:
        with pytest.raises(NotALabel):
            read(wrong)


@given(st.text() | st.text("KS1|abc0-"))
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    try:
        read(text)
    except NotALabel as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (TEXT.replace("|", "\N{LATIN SMALL LETTER U WITH DIAERESIS}"), "characters that none has"),
        (TEXT.replace("-", "/"), "misread"),
        (TEXT.replace("KS1", "KS2"), "version KS2, this keystead reads KS1"),
        ("4006381333931", "no label of Keystead"),
        ("", "no label of Keystead"),
    ],
)
def test_what_is_no_label_is_told_apart(text: str, why: str) -> None:
    with pytest.raises(NotALabel, match=why):
        read(text)


# ---- where things stand


@pytest.mark.parametrize("paper", LAYOUTS.values(), ids=LAYOUTS)
def test_no_label_of_a_sheet_lies_beyond_the_paper_or_upon_another(paper: Layout) -> None:
    places = [paper.place(number) for number in range(paper.count)]
    for x, y in places:
        assert 0 <= x <= paper.paper[0] - paper.width
        assert 0 <= y <= paper.paper[1] - paper.height
    for (x, y), (u, v) in combinations(places, 2):
        assert abs(x - u) >= paper.width - 0.01 or abs(y - v) >= paper.height - 0.01


@pytest.mark.parametrize("paper", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize(
    "one",
    [board(), board(name="w" * 128, serial="W" * 40), board(name="a", serial="1")],
    ids=["usual", "longest", "shortest"],
)
def test_nothing_stands_beyond_its_label_or_in_the_codes_quiet_zone(
    paper: Layout, one: Labelled
) -> None:
    code, *texts = shapes(one, paper.width, paper.height)
    assert isinstance(code, Code)
    quiet = code.side / len(modules(code.text)) * 4
    assert code.x >= 0.7
    assert code.y + code.side <= paper.height - 0.7
    assert texts
    for text in texts:
        assert isinstance(text, Text)
        assert text.x >= code.x + code.side + quiet - 0.01
        assert text.y <= paper.height - 0.3
        if one.serial != "W" * 40:
            assert text.x + text.width <= paper.width


def test_the_largest_label_says_all_and_the_smallest_who_it_is() -> None:
    words = {name: _words(LAYOUTS[name]) for name in ("L7160", "L4731")}
    for part in ("0007", "a1:b2:c3:d4:00:07", "key 0123456789abcdef", f"{NAME}  esp32c3"):
        assert part in words["L7160"]
    assert "0007" in words["L4731"]
    for found in words.values():
        assert "sn-0007-mac-a1-b2-c3-d4-00-07" in "".join(found)


def _words(paper: Layout) -> list[str]:
    found = shapes(board(), paper.width, paper.height)
    return [shape.text for shape in found if isinstance(shape, Text)]


@given(st.integers(1, 200), st.integers(0, 20))
def test_each_label_has_its_place_on_a_sheet(count: int, skip: int) -> None:
    paper = LAYOUTS["L7160"]
    found = list(sheet.pages([board(n) for n in range(count)], paper, skip))
    assert [one.serial for page in found for _, one in page.boards] == [
        f"{n:04}" for n in range(count)
    ]
    assert found[0].boards[0][0] == skip
    assert all(place < paper.count for page in found for place, _ in page.boards)
    assert (found[0].first, found[-1].last) == (1, count)
    assert [page.number for page in found] == list(range(1, len(found) + 1))


# ---- the forms


def test_the_pdf_has_every_board_and_page_numbers() -> None:
    output = io.BytesIO()
    pdf.write(output, [board(n) for n in range(1, 31)], LAYOUTS["L7160"], 3, NAME)
    pages = PdfReader(output).pages
    texts = [page.extract_text() for page in pages]
    assert len(pages) == 2
    assert [round(float(side) / 72 * 25.4) for side in pages[0].mediabox[2:]] == [210, 297]
    assert "labels 1 to 18 of 30  \N{MIDDLE DOT}  sheet 1 of 2" in texts[0]
    assert "labels 19 to 30 of 30  \N{MIDDLE DOT}  sheet 2 of 2" in texts[1]
    for n in range(1, 31):
        assert f"a1:b2:c3:d4:00:{n:02x}" in "".join(texts)


def test_the_pdf_takes_serials_that_its_fonts_do_not_have() -> None:
    output = io.BytesIO()
    pdf.write(output, [board(serial="Мельница 7")], LAYOUTS["L7160"], 0, NAME)
    assert "? 7" in PdfReader(output).pages[0].extract_text().replace("????????", "?")


def test_the_svg_draws_the_codes_very_modules() -> None:
    drawn = svg.label(board(), 50, 25)
    (path,) = re.findall(r' d="([^"]+)"', drawn)
    dark = set()
    for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\d+z", path):
        dark |= {(int(x) + n, int(y)) for n in range(int(length))}
    rows = modules(board().code)
    assert dark == {(x, y) for y, row in enumerate(rows) for x, on in enumerate(row) if on}


def test_the_html_sheet_has_a_picture_a_page_and_no_link_to_anything() -> None:
    boards = [board(n, serial="<b>&") for n in range(30)]
    text = "".join(svg.document(boards, LAYOUTS["L7160"], 0, NAME))
    assert text.count('class="sheet"') == 2
    assert "<h1>30 labels of mill-7</h1>" in text
    one = "".join(svg.document(boards[:1], LAYOUTS["L7160"], 0, NAME))
    assert "<title>1 label, mill-7</title>" in one
    assert "<h1>1 label of mill-7</h1>" in one
    assert "<b>" not in text
    assert "&lt;b&gt;&amp;" in text
    assert not re.findall(r"(?:src|href)=", text)


_FIELD = re.compile(
    r"\^FO(\d+),(\d+)(?:\^GFA,(\d+),(\d+),(\d+),([0-9A-F]+)"
    r"|\^A0N,\d+,\d+\^FH\^FD((?:[^^~_\\]|_[0-9A-F]{2})*))\^FS"
)


def _fields(text: str) -> Iterator[re.Match[str]]:
    head, *fields = text.strip().split("\n^FO")
    assert re.fullmatch(r"\^XA\n\^CI28\n\^PW\d+\n\^LL\d+\n\^LH0,0", head)
    last = fields.pop().split("\n", 1)
    assert last[1] == "^PQ1\n^XZ"
    for field in (*fields, last[0]):
        match = _FIELD.fullmatch("^FO" + field)
        assert match, field[:60]
        yield match


@pytest.mark.parametrize(("size", "dpi"), [("50x25", 203), ("57x32", 300), ("25x10", 600)])
def test_the_zpl_is_well_formed_and_draws_the_codes_very_modules(size: str, dpi: int) -> None:
    paper = zpl.media(size, dpi)
    graphic, *texts = _fields(zpl.label(board(serial="7^_~\\ ü"), paper))
    total, again, per_row = (int(graphic[n]) for n in (3, 4, 5))
    data = bytes.fromhex(graphic[6])
    assert total == again == len(data)
    rows = modules(board(serial="x").code)
    lines = [data[at : at + per_row] for at in range(0, total, per_row)]
    dots = len(lines) // len(rows)
    for y, row in enumerate(rows):
        bits = "".join(f"{byte:08b}" for byte in lines[y * dots])
        assert bits[: len(row) * dots : dots] == "".join(map(str, row))
    assert texts[0][7] == "7_5E_5F_7E_5C ü"
    for field in texts:
        assert int(field[1]) < paper.width * paper.scale
        assert int(field[2]) < paper.height * paper.scale


@pytest.mark.parametrize("dark_ink", [True, False])
def test_the_terminal_shows_the_code_with_a_quiet_zone(dark_ink: bool) -> None:
    lines = list(blocks(TEXT, dark_ink))
    bits = []
    for line in lines:
        bits.append([(" ▄▀█".index(letter) & 2 != 0) == dark_ink for letter in line])
        bits.append([(" ▄▀█".index(letter) & 1 != 0) == dark_ink for letter in line])
    rows = modules(TEXT)
    assert [row[4:-4] for row in bits[4 : 4 + len(rows)]] == [list(map(bool, row)) for row in rows]
    assert not any(map(any, bits[:4]))


# ---- the verb


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with two good boards, a failed one and one that waits."""
    place = tmp_path_factory.mktemp("labels") / "factory.db"
    line = Line(place, 4)
    line.attempt(1)
    line.attempt(2)
    line.attempt(3, "no-answer")
    line.stations[0].reserve(NAME, mac(4), "esp32c3")
    line.close()
    return place


def test_a_batchs_good_boards_get_their_labels(factory: Path, tmp_path: Path, capsys) -> None:
    for name in ("labels.pdf", "labels.html"):
        assert main(["label", "--batch", NAME, "--ledger", str(factory), "--output",
                     str(tmp_path / name)]) == 0  # fmt: skip
    assert capsys.readouterr().err.endswith("labels.html: 2 labels\n")
    text = PdfReader(tmp_path / "labels.pdf").pages[0].extract_text()
    assert "a1:b2:c3:d4:00:02" in text
    assert "a1:b2:c3:d4:00:03" not in text


def test_the_list_for_a_label_printer_has_the_codes_and_no_secret(factory: Path, capsys) -> None:
    words = ["--batch", NAME, "--ledger", str(factory), "--state", "failed", "--format", "csv"]
    assert main(["label", *words]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["serial"] for row in rows] == ["0003"]
    assert read(rows[0]["code"]).registration_id == rows[0]["registration_id"]
    assert FINGERPRINT not in str(rows)


def test_a_board_that_packing_would_stop_gets_its_label_with_a_word(
    factory: Path, tmp_path: Path, capsys
) -> None:
    words = ["label", "--ledger", str(factory), "--output", str(tmp_path / "labels.pdf")]
    assert main([*words, "0001"]) == 0
    assert capsys.readouterr().err == f"{tmp_path / 'labels.pdf'}: 1 label\n"
    paper = PdfReader(tmp_path / "labels.pdf")
    assert paper.metadata is not None
    assert paper.metadata.title == "1 label, single boards"
    assert "single boards  \N{MIDDLE DOT}  label 1 of 1  " in paper.pages[0].extract_text()
    assert main([*words, "0001", "0003"]) == 0
    said = "sn-0003-mac-a1-b2-c3-d4-00-03 is failed, no-answer: `keystead check` stops"
    assert f"keystead label: note: {said}" in capsys.readouterr().err
    assert main([*words, "--batch", NAME]) == 0
    assert "note" not in capsys.readouterr().err
    assert main([*words, "--batch", NAME, "--state", "failed"]) == 0
    assert "note: these boards are failed: `keystead check` stops" in capsys.readouterr().err


def test_a_serial_without_a_board_has_no_label_yet(factory: Path, capsys) -> None:
    with open_ledger(str(factory)) as ledger:
        ledger.create_batch(Batch("mill-8", "ESP32_GENERIC_C3", "0ne00002193"), [Unit("x1")])
    assert main(["label", "x1", "--ledger", str(factory)]) == 1
    assert "'x1' is planned in batch mill-8 and has no board yet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("layout", "name", "batch", "fine"),
    [
        ("L4731", 20, 6, False), ("L4731", 21, 6, True), ("L7651", 101, 64, False),
        ("L7651", 102, 64, True), ("L7160", 128, 64, False), ("5160", 128, 64, False),
    ],
)  # fmt: skip
def test_a_layout_bears_the_names_that_its_help_says(
    layout: str, name: int, batch: int, fine: bool
) -> None:
    longest = replace(board(name="x" * name), batch="y" * batch)
    form = forms.form("pdf", LAYOUTS[layout], 0, zpl.media("50x25", 203), "")
    assert (form.too_fine([board(name="x"), longest]) is not None) == fine


@pytest.mark.parametrize(
    ("size", "dpi", "module"),
    [("50x25", 203, None), ("25x10", 300, 1 / 6), ("25x10", 203, 1 / 8), ("25x10", 600, 5 / 24)],
)
def test_a_printers_modules_are_whole_dots(size: str, dpi: int, module: float | None) -> None:
    form = forms.form("zpl", LAYOUTS["L7160"], 0, zpl.media(size, dpi), "")
    assert form.too_fine([board()]) == module
    assert forms.form("csv", LAYOUTS["L4731"], 0, zpl.media(size, dpi), "").too_fine([]) is None


def test_the_size_of_fine_codes_is_said_beside_the_sheet(
    factory: Path, tmp_path: Path, capsys
) -> None:
    words = ["label", "--batch", NAME, "--ledger", str(factory), "--output"]
    assert main([*words, str(tmp_path / "small.pdf"), "--layout", "L4731"]) == 0
    said = capsys.readouterr().err
    assert "small.pdf: 2 labels\nkeystead label: note: the codes' modules are 0.23 mm" in said


def test_what_was_made_since_a_moment_gets_its_labels_alone(tmp_path: Path, capsys) -> None:
    line = Line(tmp_path / "line.db", 2)
    first = line.attempt(1)
    line.clock.now += 3600
    line.attempt(2)
    line.stations[0].append(first, "checked", passed=True)  # nothing new was made of it
    line.close()
    words = ["label", "--batch", NAME, "--ledger", str(tmp_path / "line.db"), "--format", "csv"]
    assert main([*words, "--since", moment(START + 1800)]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["serial"] for row in rows] == ["0002"]
    assert main([*words, "--since", moment(START + 9000)]) == 1
    assert "has no good boards with a key since 2026-" in capsys.readouterr().err


def test_a_moment_is_said_as_people_say_it() -> None:
    assert since.parse("90m", START) == moment(START - 5400)
    assert since.parse("2d", START) == moment(START - 2 * 86_400)
    assert since.parse("2026-11-23T09:10+01:30", 0) == moment(START)
    for text in ("yesterday", "8", "0001-01-01", "2026-13-01", "8h\n", "99999d"):
        with pytest.raises(CommandError, match="--since"):
            since.parse(text, START)


def test_one_board_is_shown_on_the_terminal(factory: Path, capsys) -> None:
    assert main(["label", "a1:b2:c3:d4:00:01", "--ledger", str(factory)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert read(lines[-1]).registration_id == "sn-0001-mac-a1-b2-c3-d4-00-01"
    assert lines[1:-1] == list(blocks(lines[-1], dark_ink=False))


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["0004", "--output", "x.pdf"], "has no key yet (it is reserved): flash it first"),
        (["0009", "--output", "x.pdf"], "knows no board '0009'"),
        (["--output", "x.pdf"], "name boards, or a batch"),
        (["0001", "--since", "8h", "--output", "x.pdf"], "--since is of a batch"),
        (["--batch", NAME, "--since", "soon", "--output", "x.pdf"], "write 90m, 8h or 2d"),
        (["--batch", NAME, "--state", "scrapped", "--output", "x.pdf"], "no scrapped boards"),
        (["0001", "--output", "x.doc"], "name it .pdf, .html"),
        (["0001", "--output", "x.pdf", "--layout", "L1"], "no layout 'L1': take one of L7160"),
        (["0001", "--output", "x.pdf", "--skip", "21"], "has 21 labels a sheet"),
        (["0001", "--output", "x.zpl", "--size", "big"], "give millimetres as 50x25"),
        (["0001", "--output", "x.zpl", "--dpi", "72"], "printers have 203, 300, 600"),
        (["0001", "0002", "--output", "x.svg"], "an svg has one label"),
        (["0001", "--output", "no/such/x.pdf"], "No such file or directory"),
    ],
)
def test_what_can_not_be_printed_is_said_and_leaves_no_file(
    factory: Path, tmp_path: Path, monkeypatch, capsys, words: list[str], why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["label", *words, "--ledger", str(factory)]) == 1
    assert why in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_layouts_are_named_as_people_name_them() -> None:
    assert sheet.layout("avery l7160") is LAYOUTS["L7160"]
    with pytest.raises(CommandError):
        list(sheet.pages([], LAYOUTS["L7160"], 99))
