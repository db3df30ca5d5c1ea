"""Who appends to a ledger looks first whether an old event was changed, by whatever command."""

import argparse
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_tools import cli
from host_tools.labels.boards import labelled
from host_tools.ledger import open_ledger
from tests.factory.ledger_conduct import CHIP, batch, mac, make, units
from tests.factory.test_ledger import change

PLACE = ("--board", "ESP32_GENERIC_C3", "--id-scope", "0ne00002193")
GOOD, SCRAPPED = (f"sn-sn00{n}-mac-02-00-00-00-00-0{n}" for n in (1, 2))
TAMPERED = (
    "the ledger was tampered with: event 5: flashing was changed: its hash is not its own; so"
    " nothing was done: keep this ledger as it is, and go on as docs/ledger.md says under 'Going"
    " on after tampering'\n"
)
APPENDING = {
    "check": ["check", "LABEL"],
    "scrap": ["ledger", "scrap", GOOD, "--reason", "dropped"],
    "restore": ["ledger", "restore", SCRAPPED, "--reason", "found"],
    "import": ["ledger", "import", "old.csv", "--batch", "old", *PLACE],
    "create": ["batch", "create", "new", "--serials", "9001..9002", *PLACE],
    "create, tried": ["batch", "create", "new", "--serials", "9001..9002", *PLACE, "--dry-run"],
}


@pytest.fixture
def label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A ledger with a good board and a scrapped one, in a folder of its own; the first's label."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEYSTEAD_LEDGER", "factory.db")
    Path("old.csv").write_text("serial,mac\n7001,02:00:00:00:70:01\n")
    with open_ledger("factory.db", "line-1", create=True) as ledger:
        ledger.create_batch(batch(), units(3))
        good, other = (ledger.reserve("A", mac(n), CHIP) for n in (1, 2))
        make(ledger, good)
        ledger.append(other.registration_id, "scrapped", reason="broken")
        return labelled(ledger.identity(good.registration_id)).code


def tamper() -> None:
    change("factory.db", "UPDATE event SET station = 'elsewhere' WHERE kind = 'flashing'")


def words_of(command: str, label: str) -> list[str]:
    return [label if word == "LABEL" else word for word in APPENDING[command]]


@pytest.mark.parametrize("command", APPENDING)
def test_nothing_is_appended_to_a_ledger_whose_old_events_were_changed(
    label: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = words_of(command, label)
    tamper()
    before = Path("factory.db").read_bytes()
    assert cli.main(words) == 1
    assert capsys.readouterr() == ("", f"keystead {words[0]}: {TAMPERED}")
    assert Path("factory.db").read_bytes() == before
    assert cli.main([*words, "--unverified"]) == 0
    assert "tampered" not in capsys.readouterr().err


@pytest.mark.parametrize("command", APPENDING)
def test_a_ledger_in_order_is_appended_to(label: str, command: str) -> None:
    assert cli.main(words_of(command, label)) == 0
    with open_ledger("factory.db") as ledger:
        assert ledger.verify().events == 11 + {"create, tried": 0, "import": 2}.get(command, 1)


class Scanner:
    """What is on stdin: the same label twice; before the second somebody changes an old event."""

    def __init__(self, label: str) -> None:
        self._labels = iter([label, label, ""])

    def readline(self, longest: int) -> str:
        """Return the next scan."""
        scan = next(self._labels)
        with open_ledger("factory.db") as ledger:
            if ledger.head().startswith("12:"):
                tamper()
        return scan

    def isatty(self) -> bool:
        """Tell that nobody types."""
        return False


def test_at_packing_the_chain_is_read_at_the_start_and_not_at_each_scan(
    label: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Scanner(label))
    assert cli.main(["check", "--again"]) == 0
    assert capsys.readouterr().out.count("PACK") == 2
    assert cli.main(["check", label, "--again"]) == 1
    assert TAMPERED in capsys.readouterr().err


def parsers(parser: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, set[str]]]:
    """Give each command with its options."""
    yield name, set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, inner in action.choices.items():
                yield from parsers(inner, f"{name} {word}")


def test_every_command_that_names_its_station_checks_the_chain_unless_told_not_to() -> None:
    found = {}
    for verb, (module, _) in cli.VERBS.items():
        parser = argparse.ArgumentParser()
        importlib.import_module(f"host_tools.{module}").add_arguments(parser)
        found.update(parsers(parser, verb))
    writing = {name for name, options in found.items() if "--unverified" in options}
    assert writing == {name for name, options in found.items() if "--station" in options} == {
        "flash", "retrofit", "check", "batch create", "ledger import", "ledger scrap",
        "ledger restore",
    }  # fmt: skip
