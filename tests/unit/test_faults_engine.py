"""Rules in force: who is struck, how often, in which order, and always in the same way."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.emulator.faults import in_force
from host_tools.emulator.faults import when as at
from host_tools.emulator.faults.action import Kind
from host_tools.emulator.faults.faults import Faults, Struck
from host_tools.emulator.faults.in_force import Moment
from host_tools.emulator.faults.rule import Rule

NOW = 1_700_000_000.0


def faults_of(*rules: object, seed: int = 0, tell=lambda event: None) -> Faults:
    faults = Faults(tell, seed)
    for rule in rules:
        faults.add(Rule.from_json(rule), NOW)
    return faults


def registers(faults: Faults, name: str, now: float = NOW) -> str | None:
    """What a board gets that registers, in words."""
    trouble = faults.ask(Moment(at.DPS, at.REGISTER, name, now))
    return trouble.action.phrase if trouble else None


def test_without_a_rule_nothing_is_asked():
    faults = Faults()
    assert not faults.active
    assert registers(faults, "a") is None
    assert faults.list() == []


def test_a_rule_strikes_each_board_so_often():
    faults = faults_of("every board, when it registers, gets 429, twice")
    said = [registers(faults, name) for name in "aabab"]
    assert said == ["429", "429", "429", None, "429"]


def test_the_3rd_board_is_the_third_that_came_whatever_it_does():
    faults = faults_of("the 3rd board, when it registers, gets 429")
    for name in ("a", "b", "c", "d"):
        faults.meet(name)
    assert [registers(faults, name) for name in ("d", "c", "b", "a")] == [None, "429", None, None]


def test_boards_are_counted_before_there_is_a_rule():
    faults = Faults()
    for name in ("a", "b"):
        faults.meet(name)
    faults.add(Rule.from_json("the 2nd board, when it registers, gets 429"), NOW)
    assert registers(faults, "b") == "429"


def test_a_board_with_two_names_is_counted_once():
    faults = faults_of("the 2nd board gets 429")
    assert faults.meet("reg-1") == 1
    faults.also("reg-1", "Pump-7")
    assert (faults.meet("pump-7"), faults.meet("reg-2")) == (1, 2)


def test_the_first_boards_and_every_nth():
    names = [f"b{number}" for number in range(1, 8)]
    first = faults_of("the first 2 boards, when it registers, gets 429")
    third = faults_of("every 3rd board, when it registers, gets 429")
    assert [name for name in names if registers(first, name)] == ["b1", "b2"]
    assert [name for name in names if registers(third, name)] == ["b3", "b6"]


def test_a_name_may_have_stars_and_its_case_does_not_count():
    faults = faults_of("SN-*-7, when it registers, gets 429")
    said = [registers(faults, name) for name in ("sn-1-7", "Sn-2-7", "sn-7", "x")]
    assert said == ["429", "429", None, None]


def test_one_in_10_is_the_same_boards_in_every_step():
    faults = faults_of(
        "one in 10, when it registers, gets 429", "one in 10, when it pings, gets no answer"
    )
    names = [f"board-{number}" for number in range(2000)]
    struck = {name for name in names if registers(faults, name)}
    assert 130 < len(struck) < 270
    silent = {name for name in names if faults.ask(Moment(at.HUB, at.PING, name, NOW))}
    assert silent == struck


def test_a_chance_is_drawn_each_time():
    faults = faults_of({"when": "it registers", "gets": "429", "chance": "30 %"})
    said = Counter(registers(faults, "a") for _ in range(2000))
    assert 500 < said["429"] < 700


def test_skip_and_at_most():
    rule = {"when": "it registers", "gets": "429", "skip": 1, "at_most": 3}
    faults = faults_of(rule)
    said = [registers(faults, name) for name in "aaabbbb"]
    assert said == [None, "429", "429", None, "429", None, None]


def test_a_rule_has_its_time():
    faults = faults_of({"when": "it registers", "gets": "429", "from": "10 s", "until": "20 s"})
    times = [9.9, 10, 19.9, 20]
    assert [registers(faults, "a", NOW + time) for time in times] == [None, "429", "429", None]


def test_one_event_gets_one_fault_the_first_that_applies():
    faults = faults_of(
        "every board, when it registers, gets 429, twice",
        "every board, when it registers, gets 500, once",
    )
    assert [registers(faults, "a") for _ in range(4)] == ["429", "429", "500", None]


def test_a_group_of_doings_strikes_only_where_the_fault_can_be():
    faults = faults_of("every board, when it does anything, gets status failed")
    assert registers(faults, "a") == "status failed"
    assert faults.ask(Moment(at.HUB, at.TELEMETRY, "a", NOW)) is None


def test_a_mark_is_passed_once():
    faults = faults_of("every board, when it sends its 3rd packet, gets a dropped socket")
    asked = [
        faults.ask(Moment(at.HUB, at.PACKET_IN, "a", NOW, (number - 1, number)))
        for number in range(1, 6)
    ]
    assert [trouble is not None for trouble in asked] == [False, False, True, False, False]


def test_a_name_that_is_looked_up_counts():
    faults = faults_of("every board, when it looks up *.azure-devices.net, gets NXDOMAIN")
    names = ("Hub.Azure-Devices.net", "pool.ntp.org")
    asked = [faults.ask(Moment(at.DNS, at.NAME, "::1", NOW, name=name)) for name in names]
    assert [trouble is not None for trouble in asked] == [True, False]


def test_rules_go_one_by_one_or_all():
    faults = Faults()
    numbers = [
        faults.add(Rule.from_json(f"x, when it registers, gets {code}"), NOW)
        for code in (401, 404)
    ]
    assert faults.active
    assert faults.remove(numbers[0])
    assert not faults.remove(numbers[0])
    assert registers(faults, "x") == "404"
    faults.clear()
    assert not faults.active
    assert registers(faults, "x") is None
    assert faults.add(Rule.from_json("x gets 429"), NOW) not in numbers


def test_what_struck_is_counted_and_told():
    events = []
    faults = faults_of("every board, when it registers, gets 429, twice", tell=events.append)
    for name in ("a", "a", "a", "b\x1b"):
        registers(faults, name)
    (entry,) = faults.list()
    assert (entry["struck"], entry["boards"], entry["gets"], entry["times"]) == (3, 2, "429", 2)
    assert events[0] == Struck(NOW, "dps", "a", "register", "429", 1)
    assert events[2].line() == "b. gets 429 (register at dps, rule 1)"


def test_http_handlers_are_told_what_to_do():
    faults = faults_of(
        "a gets 429, retry after 7 s",
        "b gets its answer 2 s late",
        "c gets no answer",
        "d gets ignored",
        "e gets an empty body",
        "f gets a dropped socket",
        "g gets the wrong rid",
        "h gets 503 with an empty body",
        "i, when it registers, gets status failed with 400208",
    )

    def trouble(name):
        return faults.request(at.DPS, name, at.REGISTER, NOW)

    error = trouble("a").error
    assert (error.code, error.status, error.retry_after) == (429001, 429, 7)
    assert trouble("b").delay == 2
    assert (trouble("c").silent, trouble("c").undone) == (True, False)
    assert (trouble("d").silent, trouble("d").undone) == (True, True)
    assert trouble("e").empty
    assert trouble("f").drop
    assert trouble("g") is None
    assert (trouble("h").error.status, trouble("h").empty) == (503, True)
    assert (trouble("i").action.text, trouble("i").action.code) == ("failed", 400208)
    assert Faults().request(at.DPS, "a", at.REGISTER, NOW) is None


def test_a_program_at_the_service_api_is_struck_by_its_own_rules_only():
    faults = faults_of("pump-7, when a program calls the service API, gets 503")
    assert faults.request(at.REST, "pump-7", at.REQUEST, NOW).error.status == 503
    assert faults.request(at.REST, "pump-8", at.REQUEST, NOW) is None
    assert faults.request(at.DPS, "pump-7", at.REGISTER, NOW) is None


def test_a_program_that_asks_about_a_board_does_not_make_it_come():
    faults = faults_of("the first board, when a program calls the service API, gets 503")
    assert faults.request(at.REST, "later", at.REQUEST, NOW) is None
    assert faults.meet("early") == 1
    assert faults.request(at.REST, "early", at.REQUEST, NOW)
    assert faults.request(at.REST, "", at.REQUEST, NOW) is None


def test_a_clock_is_wrong_where_tokens_are_checked():
    faults = faults_of(
        "every board, when it connects to DPS, gets a clock 1 h behind",
        "every board, when a program calls the service API, gets a clock 5 s ahead",
    )
    assert faults.clock(at.DPS, "a", NOW) == NOW - 3600
    assert faults.clock(at.HUB, "a", NOW) == NOW
    assert faults.clock(at.REST, "", NOW) == NOW + 5
    assert Faults().clock(at.DPS, "a", NOW) == NOW


def test_a_move_is_asked_for_by_the_assignment_alone():
    faults = faults_of("a, when it registers, gets assigned to Other.Azure-Devices.net, once")
    assert registers(faults, "a") is None
    assert faults.hub_for("a", NOW) == "other.azure-devices.net"
    assert faults.hub_for("a", NOW) is None
    assert Faults().hub_for("a", NOW) is None


def test_who_makes_up_names_does_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(in_force, "TOLD_APART", 100)
    faults = faults_of("every board, when it registers, gets 429, once")
    for number in range(1000):
        registers(faults, f"made-up-{number}")
    assert len(faults._places) == 100
    assert len(next(iter(faults._rules.values())).met) == 100
    assert faults.meet("one more") == 1001


RULES = st.lists(
    st.sampled_from(
        [
            "the 2nd board, when it registers, gets 429, twice",
            "every board, when it registers, gets 503, once",
            "one in 2, when it registers, gets no answer",
            {"when": "it registers", "gets": "500", "chance": "40 %"},
            {"when": "it registers", "gets": "404", "chance": "60 %", "skip": 2},
        ]
    ),
    max_size=4,
)
EVENTS = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 60)), max_size=40)


@given(RULES, EVENTS, st.integers(0, 2**32 - 1))
def test_the_same_seed_and_the_same_events_give_the_same_faults(rules, events, seed):
    def run():
        faults = faults_of(*rules, seed=seed)
        asked = [
            faults.ask(Moment(at.DPS, at.REGISTER, name, NOW + time)) for name, time in events
        ]
        return [(one.rule, one.action, one.lot) if one else None for one in asked]

    assert run() == run()


@given(EVENTS, st.integers(0, 2**32 - 1), st.randoms())
def test_what_a_board_gets_does_not_depend_on_what_others_do(events, seed, random):
    rules = [
        {"when": "it registers", "gets": "500", "chance": "40 %", "times": 3},
        {"who": "one in 2", "when": "it registers", "gets": "404", "skip": 1},
    ]

    def fates(names):
        faults = faults_of(*rules, seed=seed)
        said = {}
        for name in names:
            said.setdefault(name, []).append(registers(faults, name))
        return said

    names = [name for name, _ in events]
    shuffled = list(names)
    random.shuffle(shuffled)
    assert fates(names) == fates(shuffled)


@pytest.mark.parametrize("seed", [1, 2])
def test_another_seed_is_another_story(seed):
    rule = {"when": "it registers", "gets": "500", "chance": "50 %"}
    said = [
        [registers(faults, "a") for _ in range(64)]
        for faults in (faults_of(rule, seed=0), faults_of(rule, seed=seed))
    ]
    assert said[0] != said[1]


def test_the_kinds_that_are_asked_elsewhere_do_not_use_up_others():
    faults = faults_of({"when": "it connects", "gets": "a clock 1 h ahead", "times": 1})
    assert faults.ask(Moment(at.HUB, at.CONNECT, "a", NOW)) is None
    assert faults.ask(Moment(at.HUB, at.CONNECT, "a", NOW), (Kind.CLOCK,))
