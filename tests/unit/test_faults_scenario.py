"""A scenario file: a story that is read, and a complaint that names line and phrase."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host_tools.emulator.faults import words
from host_tools.emulator.faults.action import ACTIONS
from host_tools.emulator.faults.faults import Faults
from host_tools.emulator.faults.rule import Rule
from host_tools.emulator.faults.scenario import load_scenario
from host_tools.emulator.faults.when import WHEN
from host_tools.emulator.faults.who import WHO
from host_tools.errors import CommandError

MONDAY = """
title = "A bad Monday"
seed = 7

# the morning: DPS has too much to do
[[step]]
who = "the 3rd board"
when = "it registers"
gets = "429, retry after 5 s"
times = 2

[[step]]
who = "one in 10"
when = "it sends telemetry"
gets = "no answer"
chance = "30 %"
from = "1 min"

[[step]]
gets = "a certificate of an unknown CA"
"""


@pytest.fixture
def file(tmp_path):
    return tmp_path / "monday.toml"


def read(file, text):
    file.write_text(text, encoding="utf-8")
    return load_scenario(file)


def why(file, text):
    with pytest.raises(CommandError) as error:
        read(file, text)
    line = str(error.value)
    assert "\n" not in line
    assert str(file) in line
    return line.partition("monday.toml")[2].lstrip(", ")


def test_a_scenario_is_read_step_by_step(file):
    scenario = read(file, MONDAY)
    assert (scenario.title, scenario.seed) == ("A bad Monday", 7)
    assert scenario.rules[0] == Rule.from_json(
        "the 3rd board, when it registers, gets 429, retry after 5 s, twice"
    )
    assert [rule.gets.phrase for rule in scenario.rules[1:]] == [
        "no answer",
        "a certificate of an unknown CA",
    ]


def test_a_scenario_is_told_as_a_story(file):
    file.write_text(MONDAY)
    assert words.told(file) == [
        "A bad Monday",
        "1. the 3rd board, when it registers, gets 429, retry after 5 s, twice",
        "2. one in 10, when it sends telemetry, gets no answer (30 % of the times, from 60 s on)",
        "3. every board, when it shakes hands, gets a certificate of an unknown CA",
    ]


def test_a_scenario_takes_the_place_of_all_rules(file):
    faults = Faults()
    faults.add(Rule.from_json("every board gets 500"), 0)
    read(file, MONDAY).play(faults, 0)
    assert faults.seed == 7
    assert [entry["gets"] for entry in faults.list()] == [
        "429, retry after 5 s",
        "no answer",
        "a certificate of an unknown CA",
    ]
    assert words.listed(faults.list())[0].endswith("gets 429, retry after 5 s, twice: not yet")


def test_the_files_name_is_the_title_of_one_without(file):
    assert read(file, '[[step]]\ngets = "429"\n').title == "monday"


def test_a_byte_order_mark_is_no_fault(file):
    assert read(file, "\ufeff" + MONDAY).seed == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1, step: is missing: a scenario has one [[step]] or more"),
        ("[[step", "is not TOML: "),
        ("a = " + "9" * 5000, "is not TOML: "),
        ("titel = 'x'", 'line 1, titel: no such key here: did you mean "title"?'),
        ("title = 5\n[[step]]\ngets = '429'", "line 1, title: must be a text in quotes"),
        ("seed = -1\n[[step]]\ngets = '429'", "line 1, seed: must be a whole number from 0 to"),
        ("step = 5", "line 1, step: must be a list of tables: write [[step]]"),
        ("[step]\ngets = '429'", "line 1, step: must be a list of tables: write [[step]]"),
        ("[[step]]\nwho = 'x'", "line 1, [[step]], gets: is missing: it must be a text in quotes"),
        (
            "[[step]]\ngets = '429'\n\n[[step]]\nwho = 'x'\ngets = '429, retry aftr 5 s'\n",
            'line 6, [[step]], gets: "429, retry aftr 5 s" is not something a board gets:'
            ' did you mean "429, retry after 5 s"?',
        ),
        (
            "[[step]]\nwho = 'the thrd board'\ngets = '429'",
            'line 2, [[step]], who: "the thrd board" is not one board or several:'
            ' did you mean "the 3rd board"?',
        ),
        (
            "[[step]]\nwhen = 'it conects to its hub'\ngets = '429'",
            'line 2, [[step]], when: "it conects to its hub" is not something a board does:'
            ' did you mean "it connects to its hub"?',
        ),
        (
            "[[step]]\nwhen = 'it registers'\n# why\ngets = 'CONNACK 3'",
            'line 4, [[step]], gets: "CONNACK 3" can not happen when it registers:'
            ' write when = "it connects" or "it connects to DPS" or "it connects to its hub"',
        ),
        ("[[step]]\ngets = '429'\ntimes = 0", "line 3, [[step]], times: must be a whole number"),
        ("[[step]]\ngets = '429'\ntimes = 'x'", "line 3, [[step]], times: must be a whole number"),
        ("[[step]]\ngets = '429'\nfrom = 10", "line 3, [[step]], from: must be a text in quotes"),
        ("[[step]]\ngets = '429'\nfrom = 'now'", 'line 3, [[step]], from: "now" is not a time'),
        (
            "[[step]]\ngets = '429'\nwhom = 'x'",
            'line 3, [[step]], whom: no such key here: did you mean "who"?',
        ),
        (
            "[[step]]\ngets = 'SERVFAIL'\nwho = 'pump-7'",
            'line 3, [[step]], who: "pump-7" has not said its name by then',
        ),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_was_expected(file, text, said):
    assert said in why(file, text)


def test_a_file_that_is_not_there_is_named(file):
    with pytest.raises(CommandError, match=r"can not read .*monday\.toml: No such file"):
        load_scenario(file)


def test_what_is_not_text_is_named(file):
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CommandError, match=r"monday\.toml is not TOML"):
        load_scenario(file)


samples = st.sampled_from([one.sample for one in (*WHO, *WHEN, *ACTIONS)] + ["30 %", "5 s", ""])
values = (
    samples.map(lambda text: f'"{text}"')
    | st.sampled_from(["1", "-1", "true", "[]", "{}", "1.5", "1979-05-27", "[{}]", "'''\n'''"])
    | st.integers().map(str)
)
keys = st.sampled_from(
    ["title", "seed", "step", "who", "when", "gets", "times", "skip", "at_most", "chance", "from",
     "until", "x", "step.gets", '"step"', '"a\\nb"'],
)  # fmt: skip
lines = (
    st.tuples(keys, values).map(" = ".join)
    | st.sampled_from(["[[step]]", "[step]", "[x]", "[[x.y]]", "# step", "", "[[step.who]]"])
    | st.text(max_size=20)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(lines, max_size=12).map("\n".join))
def test_no_text_brings_anything_but_a_complaint_of_one_line(tmp_path, text):
    file = tmp_path / "any.toml"
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        load_scenario(file)
    except CommandError as error:
        assert "\n" not in str(error)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.binary(max_size=60))
def test_no_bytes_bring_anything_but_a_complaint(tmp_path, data):
    file = tmp_path / "any.toml"
    file.write_bytes(data)
    try:
        load_scenario(file)
    except CommandError as error:
        assert "\n" not in str(error)


DOCS = Path(__file__).parents[2] / "docs" / "scenarios.md"


def test_the_docs_have_every_phrase():
    rows = {line.split("`")[1] for line in DOCS.read_text().splitlines() if line[:3] == "| `"}
    assert {one.sample for one in (*WHO, *WHEN, *ACTIONS)} <= rows


def test_what_the_docs_call_a_phrase_is_one():
    rows = [line.split("`")[1] for line in DOCS.read_text().splitlines() if line[:3] == "| `"]
    assert set(rows) - {one.sample for one in (*WHO, *WHEN, *ACTIONS)} == {
        "who", "when", "gets", "times", "skip", "at_most", "chance", "from",
    }  # fmt: skip


def test_the_examples_of_the_docs_are_right(file):
    text = DOCS.read_text()
    blocks = re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)
    assert [read(file, body).title for kind, body in blocks if kind == "toml"] == ["A bad Monday"]
    objects = [json.loads(body) for kind, body in blocks if kind == "json"]
    sentences = re.findall(r'fault add "(.*)"', text)
    assert objects
    assert sentences
    for one in (*objects, *sentences):
        Rule.from_json(one)
    (complaint,) = re.findall(r"monday.toml, (line .*)", text)
    wrong = re.findall(r'gets: "(.*?)" is not', complaint)[0]
    (story,) = [body for kind, body in blocks if kind == "toml"]
    assert why(file, story.replace("429, retry after 5 s", wrong)) == complaint
