"""What a change is judged by has the same examples each time, whatever ran before it."""

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers

NUMBERS = range(1_000_003, 1_000_053)
WORDS = [f"word-{number}" for number in NUMBERS]


def drawn() -> list[tuple[int, str]]:
    """All examples of one test."""
    found: list[tuple[int, str]] = []

    @settings(max_examples=300)
    @given(st.integers(), st.text())
    def take(number: int, text: str) -> None:
        found.append((number, text))

    take()
    return found


@pytest.mark.skipif(not hasattr(providers, "_get_local_constants"), reason="see tests/conftest.py")
def test_examples_do_not_depend_on_the_modules_that_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = drawn()
    file = tmp_path / "constants.py"
    file.write_text(f"NUMBERS = {list(NUMBERS)}\nWORDS = {WORDS}\n")
    spec = importlib.util.spec_from_file_location("constants", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "constants", module)
    after = drawn()
    if settings.default.derandomize:  # not when make soak-tests looks for new ones
        assert before == after
