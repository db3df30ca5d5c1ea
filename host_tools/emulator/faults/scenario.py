"""Scenario: a file that tells, step by step, what is to go wrong.

Owns the file's keys and the complaint about one, with file, line and what was expected. Doesn't
own what a step says: that is rule.py.

    title = "A bad Monday"
    seed = 7                                  decides every lot; 0 when absent

    [[step]]
    who = "the 3rd board"
    when = "it registers"
    gets = "429, retry after 5 s"
    times = 2                                 for each board; always when absent
"""

from dataclasses import dataclass
from pathlib import Path

from host_tools.emulator.faults import rule as rules
from host_tools.emulator.faults.faults import Faults
from host_tools.emulator.faults.phrases import shown, suggestion
from host_tools.emulator.faults.rule import KEYS, Rule
from host_tools.emulator.toml_table import TomlTable

_TOP = ("title", "seed", "step")
_SEEDS = range(1 << 32)


@dataclass(frozen=True)
class Scenario:
    """Rules in their order, and the seed of all lots."""

    title: str
    seed: int
    rules: tuple[Rule, ...]

    def play(self, faults: Faults, now: float) -> None:
        """Put these rules in force, and no other."""
        faults.clear()
        faults.seed = self.seed
        for rule in self.rules:
            faults.add(rule, now)

    def story(self) -> list[str]:
        """Return the scenario as people tell it, a line for each step."""
        return [self.title, *(f"{number}. {one.sentence}" for number, one in self._numbered())]

    def _numbered(self) -> list[tuple[int, Rule]]:
        return list(enumerate(self.rules, 1))


def load_scenario(path: Path) -> Scenario:
    """Return the scenario in a file; raise CommandError."""
    file = TomlTable.load(path)
    _check_keys(file, _TOP)
    steps = file.tables("step")
    for step in steps:
        _check_keys(step, KEYS)
    if not steps:
        raise file.error("step", "is missing: a scenario has one [[step]] or more")
    scenario = Scenario(
        title=file.text("title", path.stem),
        seed=file.number("seed", _SEEDS, 0),
        rules=tuple(rules.read(step) for step in steps),
    )
    file.end()
    return scenario


def _check_keys(table: TomlTable, known: tuple[str, ...]) -> None:
    for key in table.keys:
        if key not in known:
            raise table.error(shown(key), f"no such key here{suggestion(key, known)}")
