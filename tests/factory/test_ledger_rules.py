"""The ledger's rules under any order of calls by two stations, each of which may die anywhere."""

import shutil
import tempfile
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from host_tools.batch import Unit
from host_tools.ledger import (
    BadEvent,
    BatchUsedUp,
    ForeignBoard,
    Scrapped,
    UnknownBoard,
    Unproven,
    WrongAttempt,
    open_ledger,
    rules,
)
from host_tools.ledger.appending import Writer
from host_tools.ledger.reserving import reserve
from tests.factory.ledger_conduct import CHIP, batch, mac

BOARDS = st.integers(0, 4)  # one more than there are units
STATIONS = st.integers(0, 1)
STEPS = st.sampled_from(["flashed", "verified", "booted", "proven", "registered"])
ENDINGS = st.sampled_from(["flashed", "proven", "good", "failed"])


class Killed(BaseException):
    """The station's process ends here."""


@dataclass
class Board:
    """What is expected of one board."""

    name: str
    serial: str
    state: str = "reserved"
    attempt: int = 0
    running: bool = False
    proven: bool = False
    good_in: list[int] = field(default_factory=list)


class Line(RuleBasedStateMachine):
    """Two stations, four serials, one of them another's by name, five boards."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.mkdtemp(prefix="keystead-ledger-")
        self.place = f"{self.folder}/ledger"
        self.boards: dict[int, Board] = {}
        self.stations = [self._open(0), self._open(1)]

    def teardown(self):
        for station in self.stations:
            station.close()
        shutil.rmtree(self.folder)

    def _open(self, number):
        return open_ledger(self.place, f"line-{number}", create=True)

    @initialize()
    def plan(self):
        named = Unit("named", mac=mac(2))
        free = [Unit(f"s{n}") for n in range(3)]
        self.stations[0].create_batch(batch(template="{serial}"), [free[0], named, *free[1:]])

    @rule(station=STATIONS)
    def the_process_is_killed_between_two_calls(self, station):
        self.stations[station].close()
        self.stations[station] = self._open(station)

    @rule(station=STATIONS, board=BOARDS, kind=st.sampled_from(["reserve", "good"]))
    def the_process_is_killed_within_a_transaction(self, station, board, kind):
        ledger = self.stations[station]
        known = self.boards.get(board)

        def work(connection):
            writer = Writer(connection, ledger._database.dialect, "2026", "x")
            if kind == "reserve" or known is None:
                reserve(writer, "A", mac(board), CHIP)
            else:
                writer.of_board(known.name, "good", {"attempt": known.attempt})
            raise Killed

        refused = (Killed, BatchUsedUp, ForeignBoard, Scrapped, WrongAttempt, Unproven)
        with pytest.raises(refused):
            ledger._database.write(work)
        self.the_process_is_killed_between_two_calls(station)

    @rule(station=STATIONS, board=BOARDS)
    def a_board_is_put_on_the_line(self, station, board):
        known, ledger = self.boards.get(board), self.stations[station]
        if known and known.state == "scrapped":
            with pytest.raises(Scrapped):
                ledger.reserve("A", mac(board), CHIP)
            return
        given = {one.serial for one in self.boards.values()}
        left = [f"s{n}" for n in range(3) if f"s{n}" not in given]
        if known is None and board != 2 and not left:
            with pytest.raises(BatchUsedUp if 2 in self.boards else ForeignBoard):
                ledger.reserve("A", mac(board), CHIP)
            return
        one = ledger.reserve("A", mac(board), CHIP)
        if known is None:
            wanted = "named" if board == 2 else left[0]
            self.boards[board] = known = Board(one.registration_id, wanted)
        assert (one.serial, one.registration_id, one.state) == (
            known.serial,
            known.name,
            known.state,
        )

    @rule(station=STATIONS, board=BOARDS, kind=st.sampled_from(rules.BEGINNINGS))
    def an_attempt_begins(self, station, board, kind):
        known, ledger = self.boards.get(board), self.stations[station]
        if known is None:
            with pytest.raises(UnknownBoard):
                ledger.begin_attempt(f"s{board}-nobody", kind)
        elif known.state == "scrapped":
            with pytest.raises(Scrapped):
                ledger.begin_attempt(known.name, kind)
        else:
            known.attempt += 1
            known.state, known.running, known.proven = kind, True, False
            assert ledger.begin_attempt(known.name, kind) == known.attempt

    def _step(self, station, board, kind, back, **facts):
        """Append to an attempt `back` before the last; return the board if that was right."""
        known = self.boards.get(board)
        if known is None:
            return None
        ledger, number = self.stations[station], known.attempt - back
        refusal = None
        if known.state == "scrapped":
            refusal = Scrapped
        elif back or not known.running:
            refusal = WrongAttempt
        elif kind == "good" and not known.proven:
            refusal = Unproven
        if refusal:
            with pytest.raises(refusal):
                ledger.append(known.name, kind, attempt=number, **facts)
            return None
        ledger.append(known.name, kind, attempt=number, **facts)
        known.state = kind
        return known

    @rule(station=STATIONS, board=BOARDS, kind=STEPS, back=st.integers(-1, 1))
    def a_step_is_done(self, station, board, kind, back):
        known = self._step(station, board, kind, back)
        if known and kind == "proven":
            known.proven = True

    @rule(station=STATIONS, board=BOARDS, kinds=st.lists(ENDINGS, max_size=4))
    def a_board_goes_a_long_way(self, station, board, kinds):
        self.a_board_is_put_on_the_line(station, board)
        self.an_attempt_begins(station, board, "flashing")
        for kind in kinds:
            if kind == "good":
                self.it_is_called_good(station, board, 0)
            elif kind == "failed":
                self.it_fails(station, board, 0)
            else:
                self.a_step_is_done(station, board, kind, 0)

    @rule(station=STATIONS, board=BOARDS, back=st.integers(0, 1))
    def it_fails(self, station, board, back):
        known = self._step(station, board, "failed", back, reason="no-boot")
        if known:
            known.running = False

    @rule(station=STATIONS, board=BOARDS, back=st.integers(0, 1))
    def it_is_called_good(self, station, board, back):
        known = self._step(station, board, "good", back)
        if known:
            known.running = False
            known.good_in.append(known.attempt)

    @precondition(lambda self: self.boards)
    @rule(station=STATIONS, board=BOARDS)
    def it_is_called_good_without_an_attempt(self, station, board):
        known = self.boards.get(board)
        if known and known.state != "scrapped":
            with pytest.raises(WrongAttempt):
                self.stations[station].append(known.name, "good")

    @rule(station=STATIONS, board=BOARDS)
    def it_is_scrapped(self, station, board):
        known = self.boards.get(board)
        if known and known.state != "scrapped":
            self.stations[station].append(known.name, "scrapped", reason="cracked")
            known.state, known.running = "scrapped", False

    @rule(station=STATIONS, board=BOARDS)
    def it_is_refused(self, station, board):
        known = self.boards.get(board)
        event = self.stations[station].refuse("A", mac(board), CHIP, reason="wrong-chip")
        assert event.registration_id == (known.name if known else None)

    @rule(station=STATIONS, board=BOARDS)
    def it_is_restored(self, station, board):
        known, ledger = self.boards.get(board), self.stations[station]
        if known and known.state == "scrapped":
            ledger.append(known.name, "restored", reason="wrong label")
            known.state, known.running, known.proven = "reserved", False, False
        elif known:
            with pytest.raises(BadEvent):
                ledger.append(known.name, "restored")

    @invariant()
    def the_ledger_says_what_happened_and_nothing_else(self):
        ledger = self.stations[0]
        found = {one.mac: one for one in ledger.identities()}
        assert set(found) == {mac(board) for board in self.boards}
        for board, known in self.boards.items():
            one = found[mac(board)]
            assert (one.registration_id, one.serial) == (known.name, known.serial)
            assert (one.state, one.attempt) == (known.state, known.attempt)
        names = [one.registration_id for one in found.values()]
        assert len(names) == len(set(names))

    @invariant()
    def no_unproven_board_was_ever_good(self):
        proven, good = set(), []
        for event in self.stations[1].events():
            key = (event.registration_id, event.facts.get("attempt"))
            if event.kind == "proven":
                proven.add(key)
            elif event.kind == "good":
                assert key in proven
                good.append(key)
        wanted = [(one.name, n) for one in self.boards.values() for n in one.good_in]
        assert sorted(good) == sorted(wanted)

    @invariant()
    def the_chain_is_whole(self):
        self.stations[1].verify()


TestLine = Line.TestCase
TestLine.settings = settings(
    max_examples=15,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
