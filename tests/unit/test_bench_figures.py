"""What the bench's table says of figures; no figure is measured here."""

import io
import json

import pytest
from rich.console import Console

from bench import table
from bench.figures import Bar, Figure, Row, digits, quickest, usual_rate

FACTS = {
    "processor": "a chip",
    "cores": 2,
    "load": 0.5,
    "python": "3.11",
    "micropython": {"64": "1.25.0", "32": ""},
}
GOOD = Row("bytes", Figure(192, "B"), Figure(308, "B"), anchor="one write", bar=Bar(192))
BAD = Row("rate", Figure(9000, "/s", 8000), bar=Bar(10_000, at_most=False), note="a note")


def shown(sections):
    out = io.StringIO()
    table.show(Console(file=out, highlight=False), sections, FACTS)
    return out.getvalue()


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.104, "0.10"), (12.34, "12.3"), (192, "192"), (10_337, "10 337"), (461.7, "462")],
)
def test_numbers_have_the_digits_that_matter(number, text):
    assert digits(number) == text


def test_a_bar_is_met_at_its_limit():
    assert Bar(192).met(Figure(192, "B"))
    assert not Bar(192).met(Figure(193, "B"))
    assert Bar(600, at_most=False).met(Figure(600, "/s"))
    assert not Bar(600, at_most=False).met(Figure(599, "/s"))


def test_the_best_repetition_comes_with_the_worst():
    assert quickest([4, 2, 3], 0.5, "us") == Figure(1, "us", 2)


def test_one_lucky_round_makes_no_rate():
    assert usual_rate([0.5, 0.5, 0.01], 100) == Figure(200, "/s", 200)


def test_a_spread_is_shown_only_where_there_is_one():
    assert str(Figure(12, "us", 14)) == "12 us (.. 14)"
    assert str(Figure(12, "us", 12)) == "12 us"


def test_the_table_says_of_every_bar_whether_it_is_met():
    text = shown({"first": [GOOD], "second": [BAD]})
    assert "at most 192: met" in text
    assert "at least 10 000: NOT MET" in text
    assert "x 0.62" in text
    assert "[1] a note" in text
    assert "2 cores, load 0.5" in text


def test_a_pipe_gets_no_colours():
    assert "\x1b" not in shown({"first": [GOOD, BAD]})


def test_the_table_says_what_was_not_measured():
    assert "not measured: no 32-bit MicroPython" in shown({"heap": "no 32-bit MicroPython"})


def test_json_holds_what_the_table_says():
    said = json.loads(json.dumps(table.as_json({"a": [GOOD, BAD], "b": "why not"}, FACTS)))
    assert said["sections"]["b"] == "why not"
    good, bad = said["sections"]["a"]
    assert (good["met"], bad["met"]) == (True, False)
    assert good["ratio"] == pytest.approx(192 / 308)
    assert bad["worst"] == 8000
