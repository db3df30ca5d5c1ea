"""The raw REPL: code goes to a board, what it printed comes back.

Owns the protocol, as MicroPython's docs ("The MicroPython Interactive Interpreter Mode") and its
shared/runtime/pyexec.c have it. Doesn't own what is run; files.py moves files by it.
"""

import secrets
import struct
import time
from collections.abc import Callable

from host_tools.repl.errors import NoAnswer, Raised, ReplError
from host_tools.repl.files import Entry, get, listing, put, sha256
from host_tools.repl.reader import Line, Reader, lost
from host_tools.repl.value import plain
from keystead.failure import printable

_INTERRUPT, _RAW, _FRIENDLY, _END = b"\x03", b"\x01", b"\x02", b"\x04"
_PASTE = b"\x05A\x01"
_BANNER = b"raw REPL; CTRL-B to exit\r\n>"
_PATIENCE = 30.0  # seconds for an answer: flash that must be erased first takes a while
_ATTEMPT = 0.25  # seconds for the first attempt to stop what runs; each next has twice that
_LONGEST_ATTEMPT = 2.0
_UNSAID = "an exception; what it said is not repeated, as its key was on this line"
_PIECE, _PAUSE = 256, 0.01  # bytes, seconds: for boards without raw paste


class Repl:
    """A board's REPL on a line that is open; use enter() first. All raise ReplError."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._reader = Reader(line)
        self._pastes = True  # until the board says no

    @property
    def hushed(self) -> bool:
        """Whether what the board says is repeated nowhere any more."""
        return self._reader.hushed

    def hush(self) -> None:
        """Repeat in no error what the board says from now on: a secret was on the line."""
        self._reader.hushed = True

    def enter(self, timeout: float = 10) -> None:
        """Stop what runs on the board and get to its raw REPL, within so many seconds."""
        deadline = time.monotonic() + timeout
        attempts = 1
        while not self._entered(self._patience(attempts), deadline):
            if time.monotonic() >= deadline:
                raise NoAnswer(
                    f"no REPL answers within {timeout:g} s: is MicroPython on the board, and is"
                    f" it running{self._reader.last_words()}"
                )
            attempts += 1

    @staticmethod
    def _patience(attempt: int) -> float:
        return min(_LONGEST_ATTEMPT, _ATTEMPT * (1 << min(attempt, 8) - 1))

    def _entered(self, patience: float, deadline: float) -> bool:
        self._send(b"\r" + _INTERRUPT)
        self._reader.clear()
        self._send(b"\r" + _RAW)
        word = secrets.token_hex(4).encode()
        try:
            self._reader.until(_BANNER, min(deadline, time.monotonic() + patience), "raw REPL")
            # earlier attempts have banners too, however late: all of them come before this word
            self._send(b"print('%s')" % word + _END)
            within = min(deadline, time.monotonic() + _LONGEST_ATTEMPT)
            self._reader.until(word + b"\r\n\x04\x04>", within, "answer")
        except NoAnswer:
            return False
        return True

    def exec(self, code: str, timeout: float = _PATIENCE) -> str:
        """Run code on the board; return what it printed, lines ended by "\\n".

        timeout: seconds until it must have ended. Raises Raised if the code did.
        """
        deadline = time.monotonic() + timeout
        self.start(code, deadline)
        printed = self._reader.until(_END, deadline, "end of what the code prints")
        traceback = self._reader.until(_END, deadline, "end of the code")
        self._reader.until(b">", deadline, "prompt")
        if traceback:
            raise Raised(_UNSAID if self.hushed else traceback.decode("utf-8", "replace"))
        return printed.decode("utf-8", "replace").replace("\r\n", "\n")

    def start(self, code: str, deadline: float | None = None) -> None:
        """Run code and do not wait for its end, as when it resets the board."""
        deadline = time.monotonic() + _PATIENCE if deadline is None else deadline
        source = code.encode()
        if self._pastes:
            self._send(_PASTE)
            answer = self._reader.exactly(2, deadline, "answer to raw paste")
            if answer == b"R\x01":
                self._paste(source, deadline)
                return
            self._pastes = False
            if answer != b"R\0":  # it knows nothing of it: "ra" of the banner
                self._reader.until(_BANNER[2:], deadline, "raw REPL")
        self._write(source, deadline)

    def _paste(self, source: bytes, deadline: float) -> None:
        """Send source, never more than the board has room for."""
        [window] = struct.unpack("<H", self._reader.exactly(2, deadline, "window of raw paste"))
        room, at = window, 0
        while at < len(source):
            more = self._reader.exactly(1, deadline, "more room") if not room else b""
            more = more or self._reader.arrived()
            if more == b"\x01":
                room += window
            elif more:
                self._send(_END)
                raise ReplError("the board did not take the code: it broke off raw paste")
            else:
                self._send(source[at : at + room])
                at, room = at + room, max(0, at + room - len(source))
        self._send(_END)
        self._reader.until(_END, deadline, "end of raw paste")

    def _write(self, source: bytes, deadline: float) -> None:
        for at in range(0, len(source), _PIECE):
            self._send(source[at : at + _PIECE])
            time.sleep(_PAUSE)  # there is no flow control: it must keep up
        self._send(_END)
        if (answer := self._reader.exactly(2, deadline, "OK")) != b"OK":
            said = "" if self.hushed else f": it said {answer!r}"
            raise ReplError(f"the board did not take the code{said}")

    def evaluate(self, code: str, timeout: float = _PATIENCE) -> object:
        """Return the value of an expression: numbers, text, bytes and what is made of them."""
        return self.evaluate_printed(f"print(repr(({code})))", timeout)

    def evaluate_printed(self, code: str, timeout: float = _PATIENCE) -> object:
        """Return the value that code prints as its repr(), and prints nothing else."""
        printed = self.exec(code, timeout).strip()
        said = "" if self.hushed else f": {printable(printed[:80])}"
        return plain(printed, f"the board's answer is not a plain value{said}")

    def soft_reset(self, timeout: float = _PATIENCE) -> None:
        """Start MicroPython again, without main.py; the REPL stays the raw one."""
        deadline = time.monotonic() + timeout
        self._send(_END)
        self._reader.until(b"soft reboot\r\n", deadline, "soft reset")
        self._reader.until(_BANNER, deadline, "raw REPL")

    def leave(self) -> None:
        """Give the board back to people: the friendly REPL. Nothing is started."""
        self._send(b"\r" + _FRIENDLY)

    def line(self, timeout: float) -> str | None:
        """Return the next line that a program on the board prints; None if none comes."""
        try:
            text = self._reader.until(b"\n", time.monotonic() + timeout, "line")
        except NoAnswer:
            return None
        return text.decode("utf-8", "replace").rstrip("\r")

    def put(self, path: str, data: bytes, moved: Callable[[int], None] | None = None) -> None:
        """Write a file on the board; moved: is told how many more bytes are there."""
        put(self, path, data, moved)

    def get(
        self, path: str, moved: Callable[[int], None] | None = None, size: int | None = None
    ) -> bytes:
        """Return a file's bytes; size: how many the listing has, more or fewer are refused."""
        return get(self, path, moved, size)

    def listing(self, folder: str = "/") -> list[Entry]:
        """Return all files and folders in a folder and in those in it, without other disks."""
        return listing(self, folder)

    def hash(self, path: str) -> str:
        """Return the SHA-256 of a file, 64 hex digits, as the board reads it."""
        return sha256(self, path)

    def _send(self, data: bytes) -> None:
        with lost():
            self._line.write(data)
