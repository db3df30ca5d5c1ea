"""The board that runs: its console, its REPL, and whether another one was put in its place.

Owns the lines of the console as they come over the serial line. What they mean is in console.py,
the chip in its loader in worker.py.
"""

import time
from typing import Any

import serial  # type: ignore[import-untyped]

from host_tools.flash.failure import FlashFailure
from host_tools.repl import LineLost, Repl, ReplError

BAUD = 115_200  # bits/s, of MicroPython's console
LINE_ERRORS = (serial.SerialException, OSError)
_WINDOW = 1.0  # seconds of one look at the console
_COMES_BACK, _AGAIN = 5.0, 0.1  # seconds
_PROOF = 20.0  # seconds: HMAC in Python takes well under one
_LONGEST = 4096  # bytes of a line without an end
_POWERED = "(POWERON"  # what a ROM prints when power comes, or the RESET button was pressed


class Running:
    """A board that runs, at the other end of a serial.SerialBase."""

    def __init__(self, line: Any, comes_back: bool) -> None:
        """comes_back: the port may vanish at a reset: a chip with USB of its own."""
        self._line = line
        self._comes_back = comes_back
        self._rest = b""
        self._expected = False  # a reset by us, of which the ROM has not told yet
        self._came = False  # a board was powered, and that was not us

    def expect_boot(self) -> None:
        """Forget what was said; we are about to reset the chip."""
        self._line.baudrate = BAUD
        self._line.reset_input_buffer()
        self._rest, self._expected = b"", True

    def line(self, seconds: float) -> str | None:
        """Return the next line of the console; see roles.Port."""
        try:
            return self._next_line(seconds)
        except LINE_ERRORS:
            if not self._comes_back:
                raise
            self._reopen()
            return None

    def _reopen(self) -> None:
        end = time.monotonic() + _COMES_BACK
        while True:
            self._line.close()
            try:
                self._line.open()
                return
            except LINE_ERRORS:
                if time.monotonic() > end:
                    raise
                time.sleep(_AGAIN)

    def _next_line(self, seconds: float) -> str | None:
        self._line.timeout = min(_WINDOW, seconds)
        while b"\n" not in self._rest and len(self._rest) < _LONGEST:
            data = self._line.read(max(1, min(self._line.in_waiting, _LONGEST)))
            if not data:
                return None
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        text = line.decode("ascii", "replace").rstrip("\r")
        if _POWERED in text:
            self._came, self._expected = not self._expected, False
        return text

    def newcomer(self, seconds: float) -> bool:
        """Wait so long for a board to be put on the port: it is powered, or the port comes."""
        try:
            if not self._line.is_open:
                time.sleep(seconds)
                self._line.open()
                return True
            self.line(seconds)
        except LINE_ERRORS:
            self._line.close()
        came, self._came = self._came, False
        return came

    def prove(self, nonce: str) -> str:
        """Have the board sign a nonce; see roles.Port."""
        repl = Repl(self._line)
        try:
            repl.enter()
            told = repl.exec(f"from rim.proof import prove\nprove({nonce!r})", timeout=_PROOF)
        except LineLost as error:
            raise FlashFailure("port-lost", str(error)) from None
        except ReplError as error:
            what = f"the board can not prove itself ({error})"
            raise FlashFailure("proof-absent", what) from None
        return next((line for line in reversed(told.splitlines()) if line.strip()), "")
