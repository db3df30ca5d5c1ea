"""Words: what a person at a shell says about faults, and is told.

Owns the lines that `keystead cloud fault ...` prints and the rule its options make. Doesn't own
the command line, nor how a running cloud is reached.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from host_tools.emulator.faults.action import ACTIONS
from host_tools.emulator.faults.phrases import Phrase
from host_tools.emulator.faults.rule import KEYS, Rule
from host_tools.emulator.faults.scenario import load_scenario
from host_tools.emulator.faults.when import WHEN
from host_tools.emulator.faults.who import WHO
from host_tools.errors import CommandError

_TABLES: tuple[tuple[str, tuple[Phrase[Any], ...]], ...] = (
    ("who", WHO),
    ("when", WHEN),
    ("gets", ACTIONS),
)


def rule_of(sentence: str, options: Mapping[str, Any]) -> Rule:
    """Return the rule in a sentence, "" for none, and options by key; raise CommandError.

    An option that is None was not given; one that is given counts more than the sentence.
    """
    document = Rule.from_json(sentence).as_json() if sentence else {}
    given = {key: options[key] for key in KEYS if options.get(key) is not None}
    if not document and "gets" not in given:
        raise CommandError(
            'say what is to go wrong: "the 3rd board, when it registers, gets 429, twice",'
            " or --gets with --who and --when; `words` lists all there is to say"
        )
    return Rule.from_json({**document, **given})


def listed(faults: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return lines for what Faults.list() gave, which a REST call may have carried."""
    lines = [
        f"{one['id']:>4}  {one['sentence']}: {_struck(one['struck'], one['boards'])}"
        for one in faults
    ]
    return lines or ["no rule is in force: all is well"]


def told(path: Path) -> list[str]:
    """Return a scenario file as a story, line by line; raise CommandError if it is none."""
    return load_scenario(path).story()


def vocabulary() -> list[str]:
    """Return every phrase there is, with what it means."""
    lines: list[str] = []
    for key, phrases in _TABLES:
        width = min(max(len(phrase.sample) for phrase in phrases), 36)
        lines.append(f"{key}:")
        lines += [f"  {one.sample:<{width}}  {one.meaning}".rstrip() for one in phrases]
    return lines


def _struck(times: int, boards: int) -> str:
    if not times:
        return "not yet"
    return f"{times} time{'s' * (times > 1)}, {boards} board{'s' * (boards > 1)}"
