"""The catalogue of failures and the firmware agree, and so does the page made from it."""

import ast
from pathlib import Path

import pytest

from host_tools.failures_page import page
from keystead.catalogue import CATALOGUE, entry

ROOT = Path(__file__).parents[2]


def reasons_raised() -> set[str]:
    """Every text that the firmware hands to Failure() as a reason."""
    texts: set[str] = set()
    for path in (ROOT / "firmware").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Failure":
                texts |= _texts(node.args[0])
            if isinstance(node, ast.Assign | ast.Return) and path.name == "dps.py":
                texts |= {text for text in _texts(node) if text.startswith("dps-")}
            if path.name == "opening.py":  # whose two services refuse in the same way
                endings = {text for text in _texts(node) if text.startswith("-")}
                texts |= {service + ending for service in ("dps", "hub") for ending in endings}
    return texts


def _texts(tree: ast.AST) -> set[str]:
    constants = [part for part in ast.walk(tree) if isinstance(part, ast.Constant)]
    return {part.value for part in constants if isinstance(part.value, str)}


def test_every_reason_the_firmware_gives_is_in_the_catalogue() -> None:
    names = {name for _, name, _, _ in CATALOGUE}
    raised = reasons_raised()
    assert len(raised) > 20
    assert raised - names == set()


def test_every_reason_of_the_catalogue_is_given_somewhere() -> None:
    assert {name for _, name, _, _ in CATALOGUE} - reasons_raised() == set()


def test_numbers_and_names_are_unique_and_can_be_blinked() -> None:
    numbers = [number for number, _, _, _ in CATALOGUE]
    assert numbers == sorted(set(numbers))
    assert len({name for _, name, _, _ in CATALOGUE}) == len(CATALOGUE)
    assert all(number // 10 in range(1, 10) and number % 10 in range(1, 10) for number in numbers)


def test_an_unknown_reason_is_an_error_of_the_firmware() -> None:
    with pytest.raises(KeyError):
        entry("nonsense")


def test_the_page_on_failures_is_made_from_the_catalogue() -> None:
    assert (ROOT / "docs" / "failures.md").read_text() == page(), "run `make docs`"
