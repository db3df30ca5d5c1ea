"""What a person sees of the set-up: a numbered line for each step, with the time it takes."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_ERASE = "\r\x1b[K"
_COLOURS = {"green": "\x1b[32m", "red": "\x1b[31m", "dim": "\x1b[2m"}
_PLAIN = "\x1b[0m"


class Progress:
    """The lines of one set-up; on a terminal the running line counts seconds."""

    def __init__(self, stream: TextIO, steps: int) -> None:
        self._stream = stream
        self._steps = steps
        self._number = 0
        self._terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._coloured = self._terminal and not os.environ.get("NO_COLOR")

    @contextmanager
    def step(self, label: str) -> Iterator[None]:
        """Show one step from its beginning to its end, good or bad."""
        self._number += 1
        head = f"[{self._number}/{self._steps}] {label} ... "
        began = time.monotonic()
        self._write(head)
        try:
            with self._counting(head, began):
                yield
        except BaseException as trouble:
            result = "stopped" if isinstance(trouble, KeyboardInterrupt) else "failed"
            self._end(head, self._colour("red", result))
            raise
        self._end(head, self._colour("green", elapsed(time.monotonic() - began)))

    def say(self, text: str) -> None:
        """Show a line between steps."""
        self._write(f"{text}\n")

    @contextmanager
    def _counting(self, head: str, began: float) -> Iterator[None]:
        if not self._terminal:
            yield
            return
        over = threading.Event()
        counter = threading.Thread(target=self._count, args=(head, began, over), daemon=True)
        counter.start()
        try:
            yield
        finally:
            over.set()
            counter.join()

    def _count(self, head: str, began: float, over: threading.Event) -> None:
        while not over.wait(0.2):
            passed = elapsed(time.monotonic() - began)
            self._write(_ERASE + head + self._colour("dim", passed))

    def _end(self, head: str, result: str) -> None:
        self._write(f"{_ERASE}{head}{result}\n" if self._terminal else f"{result}\n")

    def _colour(self, colour: str, text: str) -> str:
        return f"{_COLOURS[colour]}{text}{_PLAIN}" if self._coloured else text

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def elapsed(seconds: float) -> str:
    """Return a time the way people say it: `0.4 s`, `6 s`, `1 min 05 s`."""
    if seconds < 0.95:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
