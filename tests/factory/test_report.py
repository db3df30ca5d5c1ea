"""The report of a batch: its figures, its scales, and the page that they are put on."""

import io
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader

from host_tools.batch import Batch, Unit
from host_tools.batch_report import plots, scale
from host_tools.batch_report.counting import gather
from host_tools.batch_report.figures import Figures, Tally, quantile
from host_tools.batch_report.page import render
from host_tools.cli import main
from tests.factory.made_batch import FINGERPRINT, NAME, START, Line, ledger, mac

MADE = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A batch of twelve: six good, one of them after a failure, two failed, one scrapped."""
    place = tmp_path_factory.mktemp("report") / "factory.db"
    line = Line(place, 12, stations=2, note="<script>alert(1)</script>")
    for number in range(5):
        line.attempt(number, station=number % 2)
    line.attempt(5, "no-answer")
    name = line.attempt(5)
    line.attempt(6, "no-answer")
    line.attempt(7, "boot-silent", station=1)
    line.attempt(7, "no-answer", station=1)
    broken = line.attempt(8, "proof-wrong")
    line.stations[0].append(broken, "scrapped", reason="dropped")
    line.stations[0].append(name, "checked", passed=True)
    line.stations[0].append(name, "checked", passed=False)
    line.clock.now += 3 * 3600
    line.attempt(9)
    line.close()
    return place


@pytest.fixture(scope="module")
def figures(place: Path) -> Iterator[Figures]:
    with ledger(place) as book:
        yield gather(book, NAME)


def test_boards_are_counted_by_what_they_are(figures: Figures) -> None:
    assert figures.units == 12
    assert figures.states == {"good": 7, "in work": 0, "failed": 2, "scrapped": 1, "free": 2}
    assert (figures.first_pass, figures.ended) == (6, 10)
    assert (figures.packed, figures.stopped) == (1, 1)
    assert len(figures.troubled) == 3


def test_failures_are_counted_by_reason_and_by_whether_they_were_mended(figures: Figures) -> None:
    found = {one.name: (one.attempts, len(one.boards), len(one.still)) for one in figures.reasons}
    assert found == {"no-answer": (3, 3, 2), "boot-silent": (1, 1, 0), "proof-wrong": (1, 1, 0)}
    assert figures.reasons[0].name == "no-answer"


def test_steps_come_in_the_order_in_which_they_are_done(figures: Figures) -> None:
    assert list(figures.steps) == ["connect", "reserve", "write", "verify", "boot", "prove"]
    assert all(len(took) == 7 for took in figures.steps.values())
    assert sum(figures.whole) == pytest.approx(sum(map(sum, figures.steps.values())))


def test_stations_are_told_apart(figures: Figures) -> None:
    assert [(one.name, one.good, one.failed) for one in figures.stations] == [
        ("line-1", 5, 3),
        ("line-2", 2, 2),
    ]


@pytest.fixture(scope="module")
def jigs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Figures]:
    """Boards that were refused: for good, until they were made, until they failed, when good."""
    place = tmp_path_factory.mktemp("jigs") / "factory.db"
    line = Line(place, 12, stations=2)
    for _ in range(2):
        line.refuse(0, "wrong-chip", port="COM3")
    line.refuse(1, "port-lost", port="COM4")
    line.attempt(1, port="COM3")
    line.refuse(2, "port-lost", port="COM4")
    line.attempt(2, "boot-silent", port="COM4")
    line.attempt(3, port="COM3", station=1)
    line.refuse(3, "other-key", port="COM3", station=1)
    line.attempt(4, "boot-silent", port="COM3")
    line.refuse(4, "port-lost", port="COM4")
    line.stations[0].refuse(NAME, b"", "esp32c3", reason="secured")
    elsewhere = Batch("mill-8", "ESP32_GENERIC_C3", "0ne00002193")
    line.stations[0].create_batch(elsewhere, [Unit("x")])
    line.stations[0].refuse("mill-8", mac(0), "esp32c3", reason="of-no-interest-here")
    line.close()
    with ledger(place) as book:
        yield gather(book, NAME)


def test_a_board_that_was_refused_is_counted_once_and_mended_when_it_is_good(
    jigs: Figures,
) -> None:
    found = {
        one.name: (one.attempts, one.refusals, len(one.boards), len(one.still))
        for one in jigs.reasons
    }
    assert found == {
        "port-lost": (0, 3, 3, 1),
        "boot-silent": (2, 0, 2, 1),
        "wrong-chip": (0, 2, 1, 1),
        "other-key": (0, 1, 1, 0),
        "secured": (0, 1, 1, 1),
    }
    assert len(jigs.refused) == 6
    assert [(one.mac, one.reason, one.port) for one in jigs.turned_away] == [
        ("a1:b2:c3:d4:00:00", "wrong-chip", "COM3"),
        ("a1:b2:c3:d4:00:04", "port-lost", "COM4"),
        ("", "secured", ""),
    ]
    assert (jigs.first_pass, jigs.ended) == (2, 4)
    assert jigs.states == {"good": 2, "in work": 0, "failed": 2, "scrapped": 0, "free": 8}


def test_ports_are_told_apart_so_that_a_bad_jig_shows(jigs: Figures) -> None:
    one, two = jigs.stations
    assert (one.good, one.failed, one.refused) == (1, 2, 6)
    assert one.ports == {"COM3": Tally(1, 1, 2), "COM4": Tally(0, 1, 3)}
    assert two.ports == {"COM3": Tally(1, 0, 1)}
    page = render(jigs, MADE)
    for text in ("6 boards were refused", "COM4", "keystead ledger refused --batch mill-7"):
        assert text in page, text


def test_boards_that_are_refused_still_are_listed_and_no_others(jigs: Figures) -> None:
    table = render(jigs, MADE).partition("Boards refused, and not begun since")[2]
    rows = [re.sub(r"<[^>]*>", " ", row).split() for row in table.split("<tr>")[2:]]
    assert [(row[0], row[1]) for row in rows] == [
        ("a1:b2:c3:d4:00:00", "esp32"), ("a1:b2:c3:d4:00:04", "esp32"), ("not", "told"),
    ]  # fmt: skip
    assert "wrong-chip take the board out" in " ".join(rows[0])
    assert "07:40, line-1, COM3" in " ".join(rows[0])


def test_bars_and_their_words_are_of_boards_and_times_of_attempts(jigs: Figures) -> None:
    page = render(jigs, MADE)
    assert 'aria-label="Failures by reason: port-lost 3 boards, boot-silent 2 boards' in page
    bars = str(plots.failures(jigs.reasons))
    assert re.findall('class="value"[^>]*>([0-9]+)<', bars) == ["3", "2", "1", "1", "1"]
    assert "1 board, of which 1 still failed or refused; 0 attempts, 2 refusals</title>" in page
    for text in ("Attempts in ten minutes", "Boards, each once for a reason: 2 attempts failed",
                 "Attempts, and how often a board was refused", "Of good attempts: the mark",
                 "good attempts an hour, told from the second on",
                 "attempts by seconds"):  # fmt: skip
        assert text in page, text


@pytest.mark.parametrize(
    ("ports", "shown", "shared"),
    [
        (["rfc2217://127.0.0.1:4001", "rfc2217://127.0.0.1:4002"], ["4001", "4002"],
         "rfc2217://127.0.0.1:"),
        (["/dev/ttyUSB0", "/dev/ttyUSB1"], ["ttyUSB0", "ttyUSB1"], "/dev/"),
        (["COM3", "COM12"], ["COM3", "COM12"], ""),
        (["/dev/ttyUSB0", "COM3"], ["/dev/ttyUSB0", "COM3"], ""),
    ],
)  # fmt: skip
def test_ports_are_shown_without_what_all_share(
    tmp_path: Path, ports: list[str], shown: list[str], shared: str
) -> None:
    line = Line(tmp_path / "ports.db", 3, stations=2)
    line.attempt(0, port=ports[0])
    line.refuse(1, "wrong-chip", station=1, port=ports[1])
    line.close()
    with ledger(tmp_path / "ports.db") as book:
        page = render(gather(book, NAME), MADE)
    for port, short in zip(ports, shown, strict=True):
        assert f'title="{port}">{short}<' in page
    assert f', line-2, <span class="mono whole" title="{ports[1]}">{shown[1]}<' in page
    assert page.count("Ports are shown without") == bool(shared)
    assert not shared or f'<span class="mono">{shared}</span>, which all share' in page


def test_the_page_has_all_of_it_and_needs_nothing_else(figures: Figures) -> None:
    page = render(figures, MADE)
    for text in ("7<span> of 12</span>", "60 %", "no-answer", "line-1", figures.head, "Mon 23 Nov",
                 "2026-11-23 18:00", "0ne00002193", "ESP32_GENERIC_C3"):  # fmt: skip
        assert text in page, text
    assert page.count("<svg") == 5
    assert not re.findall(r"<script|<link|<img|url\(|src=|href=|@import", page)
    assert "&lt;script&gt;alert(1)" in page
    assert FINGERPRINT[:16] not in page


def test_a_batch_that_was_not_begun_has_a_page_too(tmp_path: Path) -> None:
    Line(tmp_path / "new.db", 3).close()
    with ledger(tmp_path / "new.db") as book:
        page = render(gather(book, NAME), MADE)
    assert "not begun" in page
    assert "No board has been flashed yet." in page
    assert page.count("<svg") == 1


def test_a_batch_with_failures_alone_has_a_page_too(tmp_path: Path) -> None:
    line = Line(tmp_path / "bad.db", 3)
    line.attempt(0, "no-answer")
    line.close()
    with ledger(tmp_path / "bad.db") as book:
        found = gather(book, NAME)
    page = render(found, MADE)
    assert (found.first_pass, found.ended) == (0, 1)
    assert "0 %" in page
    assert "1 attempt failed. " in page
    assert "No times were recorded." in page


def test_odd_facts_of_other_writers_do_no_harm(tmp_path: Path) -> None:
    line = Line(tmp_path / "odd.db", 3)
    book = line.stations[0]
    for number, seconds in enumerate(([1, 2], {"write": "long", "boot": -1, "<b>": 3.0}, None)):
        name = book.reserve(NAME, bytes([2, 0, 0, 0, 0, number]), "esp32c3").registration_id
        made = book.begin_attempt(name)
        book.append(name, "proven", attempt=made)
        book.append(name, "good", attempt=made, seconds=seconds)
    found = gather(book, NAME)
    line.close()
    assert found.steps == {"<b>": [3.0]}
    assert "&lt;b&gt;" in render(found, MADE)


def test_the_verb_writes_the_page_and_prints_the_numbers(
    place: Path, tmp_path: Path, capsys
) -> None:
    words = ["report", NAME, "--ledger", str(place)]
    assert main([*words, "--output", str(tmp_path / "report.html")]) == 0
    assert "7 of 12 boards good" in capsys.readouterr().out
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["failures"]["no-answer"] == {
        "attempts": 3, "refusals": 0, "boards": 3, "open": 2,
    }  # fmt: skip
    assert told["stations"]["line-1"] == {"good": 5, "failed": 3, "refused": 0, "ports": {}}
    assert told["secondsPerStep"]["write"]["median"] == pytest.approx(11, rel=0.3)
    assert main(["report", "mill-9", "--ledger", str(place), "--json"]) == 1
    assert "no batch 'mill-9'" in capsys.readouterr().err
    assert main([*words, "--output", str(tmp_path / "no" / "report.html")]) == 1
    assert "No such file or directory" in capsys.readouterr().err


def test_a_ledger_that_was_tampered_with_gets_no_report(tmp_path: Path, capsys) -> None:
    line = Line(tmp_path / "bad.db", 3)
    line.attempt(0)
    line.close()
    with closing(sqlite3.connect(tmp_path / "bad.db")) as other, other:
        other.execute("DROP TRIGGER event_no_update")
        other.execute("UPDATE event SET station = 'elsewhere' WHERE number = 5")
    words = ["report", NAME, "--ledger", str(tmp_path / "bad.db"), "--output", "-"]
    assert main(words) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("keystead report: ")


# ---- scales


@given(st.floats(1e-3, 1e6), st.integers(2, 8))
def test_ticks_are_few_round_and_reach_far_enough(most: float, about: int) -> None:
    found = scale.ticks(most, about)
    assert found[0] == 0
    assert found[-1] >= most * 0.999999
    assert 2 <= len(found) <= about + 2


@given(st.floats(0, 1e5), st.floats(0, 1e5))
def test_ticks_between_two_numbers_enclose_them(one: float, other: float) -> None:
    low, high = sorted((one, other))
    found = scale.between(low, high)
    assert found == sorted(set(found))
    assert found[0] <= low * 1.000001 + 1e-6
    assert found[-1] >= high * 0.999999 - 1e-6


@given(st.integers(0, 100_000))
def test_what_is_counted_has_whole_ticks(most: int) -> None:
    found = scale.whole_ticks(most)
    assert all(tick == int(tick) for tick in found)
    assert found[-1] >= most


@given(st.lists(st.floats(0, 400 * 86_400), min_size=1, max_size=60))
def test_every_moment_has_its_column_and_there_are_not_too_many(seconds: list[float]) -> None:
    begin = datetime.fromtimestamp(START, UTC)
    moments = sorted(begin + timedelta(seconds=one) for one in seconds)
    width, _, runs = scale.columns(moments)
    begins = [at for run in runs for at in run]
    assert begins == sorted(set(begins))
    assert {scale.floor(at, width) for at in moments} <= set(begins)
    assert len(begins) <= 110


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_quantiles_lie_among_the_values_in_order(values: list[float]) -> None:
    found = [quantile(values, share) for share in (0, 0.05, 0.5, 0.95, 1)]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (min(values), max(values))


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 0, "\N{EN DASH}"), (0, 7, "0 %"), (1, 9999, "0.1 %"), (9999, 10_000, "99.9 %"),
     (10, 10, "100 %"), (1, 3, "33.3 %")],
)  # fmt: skip
def test_a_share_is_never_rounded_to_all_or_nothing(part: int, whole: int, text: str) -> None:
    assert scale.share(part, whole) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0.1, "0.10 s"), (18.46, "18.5 s"), (150, "2.5 min"), (7200, "2 h")]
)
def test_durations_are_written_as_people_do(number: float, text: str) -> None:
    assert scale.seconds(number) == text


# ---- in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, if there is one."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        try:
            browser = driver.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox"]
            )
        except playwright.Error as error:
            pytest.skip(f"no browser: {str(error).splitlines()[0]}")
        yield browser
        browser.close()


def test_the_page_fits_screens_and_asks_for_nothing(
    browser: Any, figures: Figures, tmp_path: Path
) -> None:
    (tmp_path / "report.html").write_text(render(figures, MADE))
    asked: list[str] = []
    for width, scheme in ((390, "light"), (1280, "dark")):
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.on("request", lambda request: asked.append(urlsplit(request.url).scheme))
        page.on("console", lambda message: asked.append(message.text))
        page.goto((tmp_path / "report.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(247, 247, 245)" if scheme == "light" else "rgb(19, 22, 24)")
    assert asked == ["file", "file"]


def test_a_port_is_on_one_line_of_a_phone(browser: Any, tmp_path: Path) -> None:
    line = Line(tmp_path / "ports.db", 3)
    for number in range(2):
        line.attempt(number, port=f"rfc2217://127.0.0.1:400{number}")
    line.close()
    page = browser.new_page(viewport={"width": 400, "height": 800})
    with ledger(tmp_path / "ports.db") as book:
        page.set_content(render(gather(book, NAME), MADE))
    heights = page.evaluate("[...document.querySelectorAll('.port')].map(e => e.clientHeight)")
    assert len(heights) == 2
    assert all(height < 45 for height in heights)


def test_no_heading_stands_alone_at_the_foot_of_a_sheet(browser: Any, jigs: Figures) -> None:
    page = browser.new_page()
    page.set_content(render(jigs, MADE))
    page.emulate_media(media="print")
    first = {"Boards that need somebody": jigs.troubled[0].registration_id,
             "Boards refused": jigs.turned_away[0].mac}  # fmt: skip
    divided = set()
    page.evaluate("document.querySelector('.pair').remove()")
    for down in range(0, 480, 30):  # so that each comes to the foot once
        page.evaluate(f"document.querySelector('main').style.paddingTop = '{down}px'")
        paper = page.pdf(prefer_css_page_size=True)
        sheets = [sheet.extract_text() for sheet in PdfReader(io.BytesIO(paper)).pages]
        for heading, row in first.items():
            (at,) = (number for number, text in enumerate(sheets) if heading in text)
            assert row in sheets[at], (down, heading)
            divided.add((heading, at))
    assert len(divided) == 4  # each was on the first sheet and on the second
