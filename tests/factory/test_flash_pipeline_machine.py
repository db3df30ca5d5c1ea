"""Whatever ends a run, at any point: no ID twice, no unproven board good, and it can go on."""

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from host_tools import keys
from host_tools.errors import CommandError
from host_tools.flash.failure import FlashFailure
from host_tools.ledger import DiskFull, Identity, open_ledger
from host_tools.virtual_board.unix_board import chip_folder
from tests.factory import model_line
from tests.factory.model_line import (
    BATCH,
    FLASH,
    GROUP_KEY,
    LOADS,
    UNITS,
    Fuse,
    Killed,
    ModelBoard,
    ModelPort,
    Struck,
)

BOARDS = 4
_boards = st.integers(0, BOARDS - 1)


class FactoryLine(RuleBasedStateMachine):
    """Boards come to a port, faults strike; the ledger is a real SQLite file."""

    def __init__(self) -> None:
        super().__init__()
        self._chip = chip_folder()  # in memory: each event of a ledger waits for the disk
        self._place = str(self._chip.__enter__() / "ledger.db")
        with open_ledger(self._place, create=True) as ledger:
            ledger.create_batch(BATCH, UNITS)
        self._boards = [ModelBoard(model_line.mac(number)) for number in range(BOARDS)]
        self._load = LOADS[0]
        self._names: dict[bytes, str] = {}

    @initialize(seed=st.integers(0, 9))
    def dirty(self, seed: int) -> None:
        """One board was used for something else before."""
        self._boards[0].flash[:] = random.Random(seed).randbytes(FLASH)

    # ---- what happens on the line

    @rule(board=_boards, points=st.none() | st.integers(0, 90), fault=st.sampled_from("kpsld"))
    def flash(self, board: int, points: int | None, fault: str) -> None:
        """Flash a board; at some point the station is killed, the power goes, ..."""
        fuse = Fuse(points)
        port = ModelPort(self._boards[board], fuse)
        fuse.strike = {
            "k": self._kill,
            "p": lambda _: self._cut(port),
            "s": lambda _: self._swap(port, (board + 1) % BOARDS),
            "l": self._lose,
            "d": self._refuse,
        }[fault]
        with open_ledger(self._place) as ledger:
            book = Struck(ledger, fuse, self._judge)
            try:
                model_line.line(port, book, model_line.order(self._load)).flash()
            except (Killed, CommandError) as end:
                assert points is not None
                assert getattr(end, "reason", "") != "bug"  # as a judge's refusal is told

    @rule(board=_boards, at=st.integers(0, FLASH - 1), bit=st.integers(0, 7))
    def rot(self, board: int, at: int, bit: int) -> None:
        """A bit of a board's flash changes while nobody looks."""
        self._boards[board].flash[at] ^= 1 << bit

    @rule(which=st.sampled_from(LOADS))
    def change(self, which: Any) -> None:
        """From now on the boards get other files."""
        self._load = which

    # ---- what is true at any time

    @invariant()
    def nothing_is_issued_twice(self) -> None:
        with open_ledger(self._place) as ledger:
            ledger.verify()
            issued = [e.registration_id for e in ledger.events() if e.kind == "reserved"]
            assert len(issued) == len(set(issued))
            for identity in ledger.identities():
                assert self._names.setdefault(identity.mac, identity.registration_id) == (
                    identity.registration_id
                )

    @invariant()
    def no_unproven_board_is_good(self) -> None:
        with open_ledger(self._place) as ledger:
            for identity in ledger.identities(state="good"):
                events = list(ledger.events(identity.registration_id))
                kinds = [e.kind for e in events if e.facts.get("attempt") == identity.attempt]
                assert kinds == ["flashing", "flashed", "verified", "booted", "proven", "good"]

    def teardown(self) -> None:
        """Whatever happened: now every board can be made."""
        try:
            for number in range(BOARDS):
                self.flash(number, None, "k")
            with open_ledger(self._place) as ledger:
                assert len(list(ledger.identities(state="good"))) == BOARDS
        finally:
            self._chip.__exit__(None, None, None)

    # ---- faults, and the judge

    def _judge(self, identity: Identity) -> None:
        """The ledger is about to call a board good: is it?"""
        board = next(board for board in self._boards if board.mac == identity.mac)
        record = board.record()
        assert record.registration_id == identity.registration_id
        assert record.keys()[0] == keys.derive_device_key(GROUP_KEY, identity.registration_id)
        assert board.files() == self._load.files

    @staticmethod
    def _kill(_: str) -> bool:
        raise Killed

    @staticmethod
    def _lose(place: str) -> bool:
        if place == "port":
            raise FlashFailure("port-lost", "unplugged")
        return False

    @staticmethod
    def _refuse(place: str) -> bool:
        if place == "ledger":
            raise DiskFull("no room for another event")
        return False

    @staticmethod
    def _cut(port: ModelPort) -> bool:
        port.board.loader = False
        return True

    def _swap(self, port: ModelPort, other: int) -> bool:
        port.board = self._boards[other]
        port.board.loader = False
        return True


class LongFactoryLine(FactoryLine):
    """The same, for hours if need be: `pytest -m soak`."""


_PHASES = Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink  # explaining takes minutes
_SETTINGS = settings(
    max_examples=20,
    stateful_step_count=10,
    deadline=None,
    phases=_PHASES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestFactoryLine = FactoryLine.TestCase
TestFactoryLine.settings = _SETTINGS
TestLongFactoryLine = pytest.mark.timeout(3600)(pytest.mark.soak(LongFactoryLine.TestCase))
TestLongFactoryLine.settings = settings(_SETTINGS, max_examples=1000, stateful_step_count=30)
