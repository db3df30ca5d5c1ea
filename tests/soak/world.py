"""The world of a soak: who has something to do now, and when there is something to do next.

Owns the turns. The cloud's loop and the board never run at the same time: the loop runs until it
has nothing left to do, then the board until it waits, and only when both wait time goes by. So a
soak is the same each time it is run.
"""

from collections.abc import Callable

from tests.soak.air import Air
from tests.soak.board import FOREVER, POWER_ON, WATCHDOG, Board, Question
from tests.soak.timeline import Timeline


class Stuck(Exception):
    """Nobody waits for anything: time would stand still for ever."""


class World:
    """A timeline, a board on it and the air around it."""

    def __init__(self, timeline: Timeline, stopped: Callable[[str], object]) -> None:
        """stopped: told why the board has stopped, "" if its power failed in a write."""
        self.timeline = timeline
        self.air = Air(self.stir)
        self.board: Board | None = None
        self.turns = 0  # questions that the board asked
        self.on_turn: Callable[[], object] = lambda: None
        self._stopped = stopped
        self._stirred = False

    def stir(self) -> None:
        """Take note that there is something for the board to see."""
        self._stirred = True

    def idle(self, due: int | None) -> None:
        """Let the board go on, or time go by, up to due at most."""
        board = self.board
        if board is None or board.question is None:  # it is off
            if due is None:
                raise Stuck
            self.timeline.now = due
        elif self._stirred and board.question.listens:
            self._answer(board, due)
        else:
            self._pass(board, board.question, due)

    def _pass(self, board: Board, question: Question, due: int | None) -> None:
        wakes = board.since + question.wait if question.wait != FOREVER else None
        bites = board.since + question.bite if question.bite >= 0 else None
        times = [time for time in (due, wakes, bites) if time is not None]
        if not times:
            raise Stuck
        now = self.timeline.now = min(times)
        if now == due:  # the loop first; what it does the board sees when it wakes
            return
        if now == wakes:
            self._answer(board, due)
        else:
            self.air.forget_board()
            board.end(WATCHDOG)
            self._stopped("the watchdog bit")

    def _answer(self, board: Board, due: int | None) -> None:
        arrived, self._stirred = self._stirred, False
        free = 0 if due is None else due - self.timeline.now
        board.answer(self.timeline.now, self.air.flags + 4 * arrived, free)
        self.timeline.now = board.since
        self.heard(board)

    def heard(self, board: Board) -> None:
        """Take note that the board went on."""
        self.turns += 1
        if board.question is None:
            self.air.forget_board()
            self._stopped(f"it ended with exit code {board.ended()}")
        elif board.question.wait < 0:
            self.air.forget_board()
            board.end(POWER_ON)
            self._stopped("")
        else:
            self.on_turn()
