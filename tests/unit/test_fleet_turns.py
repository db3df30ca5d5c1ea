"""Whose hand-shake goes on next: who began goes before who begins, in order, a few at a time."""

from host_tools.fleet.turns import Turns


class Loop:
    """A loop whose turns are taken by hand."""

    def __init__(self):
        self.soon = []
        self.turns = Turns(self.soon.append)

    def turn(self):
        steps, self.soon[:] = list(self.soon), []
        for step in steps:
            step()


def test_what_has_begun_goes_on_before_anything_begins():
    loop, done = Loop(), []
    for name in "ab":
        loop.turns.begin(lambda name=name: done.append(f"{name} begins"))
    loop.turns.go_on(lambda: done.append("c goes on"))
    loop.turn()
    assert done == ["c goes on", "a begins", "b begins"]
    assert loop.soon == []


def test_the_network_is_looked_at_in_between():
    loop, done = Loop(), []
    for number in range(40):
        loop.turns.begin(lambda number=number: done.append(number))
    loop.turn()
    first = len(done)
    assert 0 < first < 40
    loop.turns.go_on(lambda: done.append("urgent"))
    loop.turn()
    assert done[first] == "urgent"
    while loop.soon:
        loop.turn()
    assert [one for one in done if one != "urgent"] == list(range(40))


def test_a_step_may_ask_for_the_next():
    loop, done = Loop(), []

    def step():
        done.append(len(done))
        if len(done) < 3:
            loop.turns.go_on(step)

    loop.turns.begin(step)
    while loop.soon:
        loop.turn()
    assert done == [0, 1, 2]
