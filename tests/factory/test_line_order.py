"""What a flashed board's events may say, and when: nothing before it was seen."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from host_tools.flash.chip import Chip
from host_tools.flash.failure import FlashFailure
from host_tools.flash.steps import SLOW, StillThere
from host_tools.images.parts import Part
from host_tools.ledger import Ledger, open_ledger
from tests.factory.model_line import BATCH, UNITS, Fuse, ModelBoard, ModelPort, line, mac

MAC, OTHER = mac(1), mac(2)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(str(tmp_path / "ledger.db"), station="line-1", create=True) as book:
        book.create_batch(BATCH, UNITS)
        yield book


def told(ledger: Ledger) -> list[str]:
    """The kinds of all events of boards."""
    return [event.kind for event in ledger.events() if event.kind not in ("created", "batch")]


def refused(port: ModelPort, ledger: Ledger) -> FlashFailure:
    with pytest.raises(FlashFailure) as caught:
        line(port, ledger).flash()
    return caught.value


def test_a_proof_that_is_wrong_is_no_proof_in_the_ledger_either(ledger: Ledger) -> None:
    failure = refused(ModelPort(ModelBoard(MAC, key=bytes(32)), Fuse()), ledger)
    assert failure.reason == "proof-wrong"
    assert told(ledger) == ["reserved", "flashing", "flashed", "verified", "booted", "failed"]


@pytest.mark.parametrize(
    "changes", [{"main.py": b"run(1)"}, {"main.py": None}, {"evil.py": b"import os"}]
)
def test_files_that_are_not_as_written_are_not_verified(
    ledger: Ledger, changes: dict[str, Any]
) -> None:
    class Worn(ModelPort):
        def files(self, image: bytes) -> dict[str, bytes]:
            found = {**super().files(image), **changes}
            return {path: data for path, data in found.items() if data is not None}

    failure = refused(Worn(ModelBoard(MAC), Fuse()), ledger)
    assert (failure.reason, failure.step) == ("differs", "verify")
    assert told(ledger) == ["reserved", "flashing", "flashed", "failed"]


class Bad(ModelPort):
    """A line that is too fast for the board the first time; then it has what is there by then."""

    def __init__(self, there: bytes) -> None:
        super().__init__(ModelBoard(MAC), Fuse())
        self.there, self.bauds = there, list[int]()

    def connect(self, baud: int) -> Chip:
        self.bauds.append(baud)
        chip = super().connect(baud)
        return chip if len(self.bauds) == 1 else replace(chip, mac=self.there)

    def write(self, pieces: Sequence[Part]) -> int:
        if len(self.bauds) == 1:
            raise FlashFailure("write-failed", "the line is too fast")
        return super().write(pieces)


def test_what_a_line_is_too_fast_for_is_written_again_slowly(ledger: Ledger) -> None:
    port = Bad(there=MAC)
    line(port, ledger).flash()
    assert port.bauds == [460_800, SLOW]
    assert told(ledger)[-1] == "good"


def test_a_board_that_was_swapped_before_the_second_try_is_not_written_to(ledger: Ledger) -> None:
    port = Bad(there=OTHER)
    failure = refused(port, ledger)
    assert (failure.reason, failure.step) == ("board-swapped", "write")
    assert OTHER.hex(":") in str(failure)
    assert port.written == []
    assert told(ledger) == ["reserved", "flashing", "failed"]


def test_a_board_that_was_made_last_and_is_still_there_is_let_alone(ledger: Ledger) -> None:
    port = ModelPort(ModelBoard(MAC), Fuse())
    line(port, ledger).flash()
    head = ledger.head()
    again = line(port, ledger)
    again.but_not = MAC
    with pytest.raises(StillThere):
        again.flash()
    assert ledger.head() == head
    assert not port.board.loader, "it was to run again"
    again.but_not = OTHER
    assert again.flash().mac == MAC
