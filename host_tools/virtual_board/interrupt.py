"""Ctrl-C on a virtual board: from a byte on its serial line to a KeyboardInterrupt in its program.

Owns which byte that is and when the signal is sent. The Unix port jumps out of whatever it does
when the signal comes, from collecting garbage and from writing to flash too: it is sent while the
program waits for something. A program that never waits gets it anyway, after a while.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress

OFF, STARTING = -1, -2  # in place of a character
_CTRL_C = 3
_PATIENCE = 200  # milliseconds


class Interrupt:
    """The interrupt character of one program, as micropython.kbd_intr() sets it."""

    def __init__(self, catch_up: Callable[[], bool]) -> None:
        """catch_up: answers what the program waits to be told; False if there was nothing."""
        self._catch_up = catch_up
        self._loop = asyncio.get_running_loop()
        self._character = STARTING
        self._wanted = False
        self._pid = 0

    def starting(self) -> None:
        """Take note that a process is about to be; Ctrl-C waits until that one can take it."""
        self._pid, self._character, self._wanted = 0, STARTING, False

    def started(self, pid: int) -> None:
        """Take note of the process; it may have called set() before anybody knew its number."""
        self._pid = pid
        self._go_on()

    def ended(self) -> None:
        """Take note that there is no process."""
        self._pid, self._character = 0, OFF

    def set(self, character: int) -> None:
        """Have this character interrupt from now on, OFF for none."""
        self._character = character
        if character == OFF:
            self._wanted = False  # what it was to interrupt ended by itself
        self._go_on()

    def _go_on(self) -> None:
        if self._wanted and self._pid:
            self._loop.call_soon(self._try, _PATIENCE)

    def take(self, data: bytes) -> bytes:
        """Return data without the characters that interrupt, having done what they say."""
        character = _CTRL_C if self._character == STARTING else self._character
        if character < 0 or character not in data:
            return data
        if not self._wanted:
            self._wanted = True
            self._try(_PATIENCE)
        return data.replace(bytes((character,)), b"")

    def _try(self, left: int) -> None:
        waits = _waits(self._pid)
        answered = self._catch_up()  # it may have ended by itself
        if not self._wanted or self._character in (STARTING, OFF) or not self._pid:
            return
        if left and (answered or not waits):  # it waited for us, or for nothing
            self._loop.call_later(0.001, self._try, left - 1)
            return
        self._wanted = False
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGINT)


def _waits(pid: int) -> bool:
    """Tell whether a process waits for something; True for one that is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "R"
    except OSError:
        return True
