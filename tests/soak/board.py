"""The board of a soak: the real firmware in a process, which lets time go by only as it is told.

Owns the process, its console, its power and the socket on which it asks for time. Doesn't own how
much time it gets: that is the world's business.

    question: wait in milliseconds (-1: the power goes in the middle of a write to flash),
              milliseconds that it slept without asking, milliseconds until the watchdog bites
              (-1: there is none), the chip's clock, writes to flash so far, bytes of them,
              whether it listens meanwhile
    answer:   milliseconds that went by, seconds by which its clock was set off, bytes to flash
              until the power goes (-1: no change), 1: the radio reaches the network + 2: the
              network reaches the world + 4: something arrived, milliseconds that it may sleep
              without asking
"""

import os
import signal
import socket
import struct
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from host_tools.virtual_board.unix_board import UnixBoard

FOREVER = 0x3FFFFFFF
OVERLAY = Path(__file__).parent / "on_board"
POWER_ON, WATCHDOG = 1, 3  # as machine.reset_cause() has them
_ENDS = (2, 4, 5)  # exit codes of resets that the firmware asked for
_HUNG = 60  # real seconds without a question: it computes for ever
_QUESTION = struct.Struct("<iiiiIIB")
_ANSWER = struct.Struct("<IiiBI")


class Question(NamedTuple):
    """What the board waits for."""

    wait: int
    slept: int
    bite: int
    clock: int
    writes: int
    written: int
    listens: bool


class Hung(Exception):
    """The board computes and does not come back."""


class Board:
    """One board, on or off."""

    def __init__(self, unix: UnixBoard, say: Callable[[str], object]) -> None:
        """say: told each line of its console."""
        self.unix = unix
        self.question: Question | None = None  # None: it is off
        self.since = 0  # when it asked, on the timeline
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._step = 0
        self._cut = -1
        self._rest = b""
        (unix.folder / "drafts").mkdir(exist_ok=True)

    @property
    def is_on(self) -> bool:
        """Tell whether it has power."""
        return self._process is not None

    def power_on(self, now: int, unix_time: float, ticks: int, chance: int, air: int) -> None:
        """Start it, with ticks and dice that begin here; see the answer for air."""
        assert self._process is None
        ours, its = socket.socketpair()
        self.unix.world = {
            "line": its.fileno(),
            "ticks": ticks,
            "unix": int(unix_time),
            "milliseconds": int(unix_time * 1000) % 1000,
            "air": air,
            "cut": self._cut,
            "chance": chance,
            "drafts": str(self.unix.folder / "drafts"),
        }
        console = self.unix.folder / "console"
        with its, console.open("wb") as file:
            self._process = subprocess.Popen(
                self.unix.command(),
                cwd=self.unix.flash,
                env=self.unix.environment(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                pass_fds=[its.fileno()],
            )
        self._console = console.open("rb", buffering=0)
        self._line = ours
        self._line.settimeout(_HUNG)
        self._listen(now)

    def set_clock_off(self, seconds: int) -> None:
        """Have its clock jump, at its next look at the time."""
        self._step += seconds

    def cut_after(self, written: int) -> None:
        """Have its power go in the middle of the write to flash that goes beyond these bytes."""
        self._cut = written

    def answer(self, now: int, air: int, free: int) -> None:
        """Tell it the time; it goes on until it asks again, or ends."""
        self._line.sendall(_ANSWER.pack(now - self.since, self._step, self._cut, air, free))
        self._keep_step()
        self._step, self._cut = 0, -1
        self._listen(now)

    def end(self, cause: int) -> None:
        """End it: its power goes, or it resets."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGKILL)
        self._gone(cause)

    def _listen(self, now: int) -> None:
        try:
            data = self._line.recv(_QUESTION.size, socket.MSG_WAITALL)
        except TimeoutError:
            self.end(POWER_ON)  # else the bench waits as long for it once more as it ends
            raise Hung from None
        self.question, self.since = None, now
        if len(data) == _QUESTION.size:
            self.question = Question._make(_QUESTION.unpack(data))
            self.since += self.question.slept
        self._read_console()

    # the clock that was set off is still so after a reset
    def _keep_step(self) -> None:
        file = self.unix.folder / "clock"
        if self._step and file.exists():
            shown, then = map(int, file.read_text().split())
            file.write_text(f"{shown + self._step} {then}")

    def ended(self) -> int:
        """Take note that it ended by itself; return its exit code."""
        assert self._process is not None
        code = self._process.wait(_HUNG)
        self._gone(code if code in _ENDS else POWER_ON)
        return code

    def _gone(self, cause: int) -> None:
        assert self._process is not None
        self._process.wait()
        self._read_console()
        self._process = self.question = None
        self._line.close()
        self._console.close()
        self._cut, self._step, self._rest = -1, 0, b""
        self.unix.cause = cause

    def _read_console(self) -> None:
        data = self._console.read()
        if data:
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._say(line.decode(errors="replace").rstrip("\r"))
