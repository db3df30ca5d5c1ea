"""Boards that a retrofit must not call good: who can not prove it, whose flash is worn, whose
record is another's. And when it may."""

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import keystead
from host_tools import boards
from host_tools.errors import CommandError
from host_tools.images import board_files
from host_tools.ledger import BadEvent
from host_tools.retrofit import plan
from host_tools.retrofit.board_facts import BoardFacts
from host_tools.retrofit.failure import reason_of
from host_tools.retrofit.meeting import Meeting
from host_tools.retrofit.order import Order
from host_tools.retrofit.record import Found
from host_tools.retrofit.steps import Retrofit
from host_tools.toolchain import micropython
from host_tools.virtual_board.farm import VirtualBoard
from keystead.record import FactoryRecord
from tests.board.repl_bench import running
from tests.board.retrofit_bench import (
    NAME,
    OWN,
    PATIENCE,
    Owner,
    Quiet,
    files_of,
    flash,
    nvs_of,
    plugged,
    record,
)

RECORD = ("keystead", "record")


@dataclass
class Notes(Owner):
    """Whoever has one record to give, and keeps what happened; on: is called at each."""

    gives: FactoryRecord = field(default_factory=record)
    on: Callable[[str], None] = lambda kind: None
    kinds: list[str] = field(default_factory=list)

    def begin(self, record: FactoryRecord, facts: BoardFacts) -> "Notes":  # type: ignore[override]
        return self

    def note(self, kind: str, **facts: Any) -> None:
        self.kinds.append(kind)
        self.on(kind)


@pytest.fixture(scope="module")
def content() -> dict[str, bytes]:
    return board_files.content(boards.get("ESP32_GENERIC_C3"))


def run(
    board: VirtualBoard, content: Mapping[str, bytes], owner: Owner, told: Quiet | None = None
) -> None:
    order = Order(lambda facts: content, given=(), backup=None, version=keystead.__version__)
    with plugged(board) as port:
        Retrofit(Meeting(port, order, owner, told or Quiet(board), PATIENCE)).run()


def test_a_board_is_good_when_it_is_sure_that_it_stays_so(
    tmp_path: Path, content: dict[str, bytes]
) -> None:
    seen = {}

    def look(kind: str) -> None:
        seen[kind] = {f"/{path}" for path in files_of(board)} & {plan.MARKER, plan.DONE}

    owner = Notes(on=look)
    with running(micropython=False, flash=flash(tmp_path)) as board:
        run(board, content, owner)
    assert owner.kinds == ["retrofitted", "verified", "booted", "proven", "good"]
    assert (seen["proven"], seen["good"]) == ({plan.MARKER}, {plan.DONE})


FORGED = """
import json
import machine
from keystead.record import unpack
from rim import flash
from keystead.proof import claims
def prove(nonce):
    answer = claims(unpack(flash.load_record(), machine.unique_id()), bytes(32))
    {change}
    print(json.dumps(answer))
"""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("pass", "signed the nonce with another key"),  # that of another time
        ("answer = 'good'", "the board answered"),
    ],
)
def test_a_board_that_can_not_prove_its_key_is_put_back(
    tmp_path: Path, content: dict[str, bytes], change: str, why: str
) -> None:
    source, compiled = tmp_path / "proof.py", tmp_path / "proof.mpy"
    source.write_text(FORGED.format(change=change))
    subprocess.run([*micropython.mpy_cross(), "-o", str(compiled), str(source)], check=True)
    assert "lib/rim/proof.mpy" in content
    owner = Notes()
    with running(micropython=False, flash=flash(tmp_path)) as board:
        with pytest.raises(CommandError, match=why):
            run(board, {**content, "lib/rim/proof.mpy": compiled.read_bytes()}, owner)
        assert files_of(board) == OWN
        assert RECORD not in nvs_of(board)
    assert owner.kinds == ["retrofitted", "verified", "booted", "failed"]


def test_what_fails_with_words_like_a_key_is_noted_without_them(
    tmp_path: Path, content: dict[str, bytes]
) -> None:
    class Strict(Notes):
        def note(self, kind: str, **facts: Any) -> None:
            if kind == "booted":
                raise CommandError("the board says what looks like a key")
            if "detail" in facts:
                raise BadEvent("a fact looks like a key")
            super().note(kind, **facts)

    owner = Strict()
    with running(micropython=False, flash=flash(tmp_path)) as board:
        with pytest.raises(CommandError, match=r"looks like a key$"):
            run(board, content, owner)
        assert files_of(board) == OWN
    assert owner.kinds == ["retrofitted", "verified", "failed"]


def test_a_fault_of_ours_before_the_first_change_is_noted_too(
    tmp_path: Path, content: dict[str, bytes]
) -> None:
    class Faulty(Notes):
        def record(self, facts: BoardFacts, found: Found | None) -> FactoryRecord:
            raise KeyError("unforeseen")

        def refuse(self, facts: BoardFacts, step: str, error: CommandError) -> None:
            self.kinds.append(reason_of(error))

    owner = Faulty()
    with running(micropython=False, flash=flash(tmp_path)) as board:
        with pytest.raises(CommandError, match="KeyError"):
            run(board, content, owner)
        assert files_of(board) == OWN
    assert owner.kinds == ["bug"]


class Wearing(Quiet):
    """At a step, has some bytes of the flash go, once they are there."""

    def __init__(self, board: VirtualBoard, at: str, what: bytes) -> None:
        super().__init__(board)
        self._board, self._when, self._what = board, at, what
        self._now = False

    def step(self, name: str, total: int = 0) -> None:
        self._now = name == self._when
        self.moved(0)

    def moved(self, size: int) -> None:
        image = self._board.flash.read(0, self._board.flash.size) if self._now else b""
        if self._what in image:
            self._board.flash.write(image.index(self._what), bytes(len(self._what)))


@pytest.mark.parametrize(("step", "before"), [("copy", []), ("verify", ["retrofitted"])])
def test_a_file_that_the_flash_does_not_keep_is_noticed(
    tmp_path: Path, content: dict[str, bytes], step: str, before: list[str]
) -> None:
    largest = max(content.values(), key=len)
    owner = Notes()
    with running(micropython=False, flash=flash(tmp_path)) as board:
        worn = Wearing(board, step, largest[2000:2032])
        with pytest.raises(CommandError, match=r"1 of \d+ files on the board are not what was"):
            run(board, content, owner, worn)
        assert files_of(board) == OWN
        assert RECORD not in nvs_of(board)
    assert owner.kinds == [*before, "failed"]


def test_a_record_that_nvs_does_not_keep_is_noticed(
    tmp_path: Path, content: dict[str, bytes]
) -> None:
    owner = Notes()
    with running(micropython=False, flash=flash(tmp_path)) as board:
        worn = Wearing(board, "verify", record().pack())
        with pytest.raises(CommandError, match="NVS does not keep the record"):
            run(board, content, owner, worn)
        assert files_of(board) == OWN
    assert owner.kinds == ["retrofitted", "failed"]


def test_a_record_of_another_board_is_not_overwritten(
    tmp_path: Path, content: dict[str, bytes]
) -> None:
    theirs = FactoryRecord(bytes.fromhex("a0b1c2d3e4f6"), "0ne1", NAME, bytes(32)).pack()
    owner = Notes()
    with running(micropython=False, flash=flash(tmp_path, OWN, theirs)) as board:
        with pytest.raises(CommandError, match="of another board with MAC a0:b1:c2:d3:e4:f6"):
            run(board, content, owner)
        assert files_of(board) == OWN
        assert nvs_of(board) == {RECORD: theirs}
    assert owner.kinds == []
