"""The port that a board is on, and its REPL: over resets, and over ports that go with the board.

Owns opening, and opening again: a chip with a USB port of its own takes the port with it when it
is reset. Doesn't own what is said.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from host_tools import serial_line
from host_tools.repl import LineLost, Repl
from host_tools.serial_line import LineError

_LOOK = 0.2
_RESET = "import machine\nmachine.reset()"


class Port:
    """A board's REPL at a URL. A context manager.

    opener: returns the line at a URL, or raises LineError; back: seconds for it to come back.
    """

    def __init__(
        self, url: str, opener: Callable[[str], Any] = serial_line.open_line, back: float = 10.0
    ) -> None:
        """Open it; raises LineError."""
        self.url = url
        self._opener, self._back = opener, back
        self._line = opener(url)
        self.repl = Repl(self._line)

    def __enter__(self) -> "Port":
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):  # pyserial's errors are OSErrors: it may be gone already
            self._line.close()

    def restart(self) -> None:
        """Reset the board from its raw REPL: boot.py and main.py run."""
        with suppress(LineLost):  # the port may go with it
            self.repl.start(_RESET)

    def watch(self, take: Callable[[str], bool], seconds: float) -> bool:
        """Give take the console's lines until it says that is enough; False if it never does."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                line = self.repl.line(left)
            except LineLost:
                self.reopen()
                continue
            if line is not None and take(line):
                return True
        return False

    def reopen(self) -> None:
        """Wait for a port that went, and open it again. Raises LineLost."""
        self.__exit__()
        end = time.monotonic() + self._back
        while True:
            try:
                self._line = self._opener(self.url)
                hushed = self.repl.hushed
                self.repl = Repl(self._line)
                if hushed:
                    self.repl.hush()
                return
            except LineError as error:
                if time.monotonic() >= end:
                    raise LineLost(f"the board's port did not come back: {error}") from None
                time.sleep(_LOOK)
