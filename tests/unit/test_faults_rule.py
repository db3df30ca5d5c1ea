"""A rule in words: every phrase is read, told again, and a wrong one is named with the nearest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.emulator.faults import action, when, who, words
from host_tools.emulator.faults.action import ACTIONS, PLACES, Kind
from host_tools.emulator.faults.phrases import PhraseError, seconds
from host_tools.emulator.faults.rule import KEYS, Rule, from_sentence
from host_tools.emulator.faults.when import WHEN
from host_tools.emulator.faults.who import WHO
from host_tools.errors import CommandError

NAMELESS = {when.TLS, when.DNS, when.NTP}
FITTING = [
    (at.sample, gets.sample)
    for at in WHEN
    for gets in ACTIONS
    if when.parse(at.sample).operations & PLACES[action.parse(gets.sample).kind]
]


def why(document: object) -> str:
    with pytest.raises(CommandError) as error:
        Rule.from_json(document)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(("at", "gets"), FITTING)
def test_every_pair_that_fits_is_a_rule_and_is_told_as_it_was_said(at, gets):
    document = {"who": "every board", "when": at, "gets": gets, "times": 2}
    rule = Rule.from_json(document)
    assert rule.as_json() == document
    assert rule.sentence == f"every board, when {at}, gets {gets}, twice"
    assert Rule.from_json(rule.sentence) == rule


def test_every_kind_has_a_phrase_and_a_place():
    assert {action.parse(phrase.sample).kind for phrase in ACTIONS} == set(Kind) == set(PLACES)


def test_every_place_has_a_phrase():
    places = set().union(*PLACES.values())
    assert places == set().union(*(when.parse(phrase.sample).operations for phrase in WHEN))


def test_no_phrase_hides_another():
    for phrases, parse in ((WHO, who.parse), (WHEN, when.parse), (ACTIONS, action.parse)):
        for phrase in phrases:
            assert parse(phrase.sample) == phrase.read(phrase.sample)


@pytest.mark.parametrize("kind", list(Kind))
def test_what_is_left_unsaid_is_a_place_where_it_can_happen(kind):
    assert action.usual_when(kind).operations & PLACES[kind]


@pytest.mark.parametrize(
    ("sentence", "at", "times"),
    [
        ("the 3rd board gets 429 twice", "it asks for anything", 2),
        ("the third board gets 429, once", "it asks for anything", 1),
        ("pump-7 gets status failed", "it registers", 0),
        ("every board gets NXDOMAIN 12 times", "it looks up a name", 12),
        ("every board gets an expired certificate", "it shakes hands", 0),
        ("one in 10 gets CONNACK 3", "it connects", 0),
        ("every board gets a clock 1 h ahead", "it connects", 0),
        ("every board gets the kiss of death DENY", "it asks for the time", 0),
        ("sn-*, when it sends telemetry, gets ignored", "it sends telemetry", 0),
        ("sn-* when it sends telemetry gets ignored.", "it sends telemetry", 0),
    ],
)
def test_a_sentence_is_a_rule(sentence, at, times):
    rule = Rule.from_json(sentence)
    assert (rule.when.phrase, rule.times) == (at, times)


def test_all_the_figures_are_read():
    document = {
        "who": "sn-*",
        "when": "it registers",
        "gets": "429 with an empty body, retry after 5 s",
        "times": 3,
        "skip": 1,
        "at_most": 50,
        "chance": "12.5 %",
        "from": "1.5 min",
        "until": "2 h",
    }
    rule = Rule.from_json(document)
    assert (rule.gets.code, rule.gets.retry_after, rule.gets.empty) == (429, 5, True)
    assert (rule.percent, rule.begins, rule.ends) == (12.5, 90, 7200)
    assert set(document) == set(KEYS)
    assert Rule.from_json(rule.as_json()) == rule
    assert rule.sentence.endswith(
        "3 times (after 1 without, 50 in all, 12.5 % of the times, from 90 s on, until 7200 s)"
    )


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "a rule must be an object"),
        (None, "a rule must be an object"),
        ({}, "gets: is missing"),
        ({"gets": 429}, "gets: must be a text"),
        ({"gets": "42"}, 'gets: "42" is not something a board gets: did you mean "429"?'),
        ({"gets": "299"}, '"299" is not an error: 400 to 599'),
        ({"gets": "CONNACK 0"}, "has the return code 1, 2, 3, 4 or 5"),
        ({"gets": "CONNACK 99"}, "has the return code 1, 2, 3, 4 or 5"),
        ({"gets": "a droped socket"}, 'did you mean "a dropped socket"?'),
        ({"gets": "429, retry after 5"}, 'did you mean "429, retry after 5 s"?'),
        ({"gets": "429, retry after 0.5 s"}, "must be whole seconds"),
        ({"gets": "its answer 9999 h late"}, "is more than a year"),
        ({"gets": "the address 1.2.3.400"}, "is not an IPv4 address"),
        ({"gets": "assigned to -x-"}, '"-x-" is not a host name'),
        ({"gets": "0 bytes a second"}, "must be from 1 to 16000000"),
        ({"gets": "zzzzzzzz"}, "docs/scenarios.md lists all there are"),
        ({"gets": "x" * 5000}, "docs/scenarios.md lists all there are"),
        ({"gets": "429", "who": "the 0th board"}, "must be from 1 to 1000000"),
        ({"gets": "429", "who": "the board"}, 'did you mean "the 3rd board"?'),
        ({"gets": "429", "who": ""}, "is not one board or several"),
        ({"gets": "429", "when": "it regsters"}, 'did you mean "it registers"?'),
        ({"gets": "429", "when": "it pings"}, '"429" can not happen when it pings: write when = '),
        ({"gets": "NXDOMAIN", "when": "it connects"}, 'write when = "it looks up a name" or'),
        ({"gets": "NXDOMAIN", "who": "pump-7"}, "has not said its name by then"),
        ({"gets": "429", "times": 0}, "times: must be a whole number from 1 to 1000000"),
        ({"gets": "429", "times": True}, "times: must be a whole number from 1 to 1000000"),
        ({"gets": "429", "times": "2"}, "times: must be a whole number from 1 to 1000000"),
        ({"gets": "429", "chance": "0 %"}, '"0 %" is not a chance: write "30 %"'),
        ({"gets": "429", "chance": "101 %"}, "is not a chance"),
        ({"gets": "429", "from": "5"}, '"5" is not a time: write 250 ms, 5 s, 1.5 min or 2 h'),
        ({"gets": "429", "from": "5 s", "until": "5 s"}, "until: must be later than from"),
        ({"gets": "429", "tmes": 2}, 'tmes: no such key here: did you mean "times"?'),
        ("nonsense", '"nonsense" is not a rule: write it as "the 3rd board, when it registers'),
        ("the 3rd board gets", "is not a rule"),
    ],
)
def test_what_is_wrong_is_named_with_what_would_be_right(document, said):
    assert said in why(document)


def test_an_address_is_a_name_before_connect():
    rule = Rule.from_json({"who": "192.0.2.*", "gets": "an expired certificate"})
    assert rule.who.includes("192.0.2.7", 1, 0)
    assert not rule.who.includes("198.51.100.7", 1, 0)


def test_control_characters_of_others_do_not_reach_the_terminal():
    assert "\x1b" not in why({"gets": "\x1b[31m"})
    assert "\x1b" not in why({"\x1b": 1, "gets": "429"})


@given(st.text() | st.sampled_from([phrase.words for phrase in (*WHO, *WHEN, *ACTIONS)]))
def test_any_text_is_a_phrase_or_a_complaint_of_one_line(text):
    for parse in (who.parse, when.parse, action.parse, seconds):
        try:
            parse(text)
        except PhraseError as error:
            assert "\n" not in str(error)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner),
    max_leaves=8,
)


@given(json_values)
def test_any_json_is_a_rule_or_a_complaint_of_one_line(document):
    try:
        rule = Rule.from_json(document)
    except CommandError as error:
        assert "\n" not in str(error)
    else:
        assert Rule.from_json(rule.as_json()) == rule


@given(st.text(max_size=60))
def test_any_sentence_is_a_rule_or_a_complaint_of_one_line(text):
    try:
        Rule.from_json(f"{text} gets {text}")
    except CommandError as error:
        assert "\n" not in str(error)


def test_options_count_more_than_the_sentence():
    options = {"who": "pump-7", "when": None, "times": 5, "port": 8443}
    rule = words.rule_of("the 3rd board, when it registers, gets 429, twice", options)
    assert rule.sentence == "pump-7, when it registers, gets 429, 5 times"


def test_options_alone_are_a_rule():
    rule = words.rule_of("", {"gets": "SUBACK 128", "chance": "50 %"})
    assert rule.sentence == "every board, when it subscribes, gets SUBACK 128 (50 % of the times)"


def test_nothing_said_is_answered_with_an_example():
    with pytest.raises(CommandError, match="say what is to go wrong"):
        words.rule_of("", {})


def test_the_vocabulary_has_every_phrase():
    text = "\n".join(words.vocabulary())
    for phrase in (*WHO, *WHEN, *ACTIONS):
        assert phrase.sample in text


def test_a_sentence_of_any_length_is_read_in_no_time():
    with pytest.raises(CommandError, match="is not a rule"):
        from_sentence("x, when y gets " * 20_000)
