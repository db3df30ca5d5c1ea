"""Outlet: lines on their way to stdout, by a thread of its own.

Owns the queue and its limit: who does not read what the cloud prints may miss lines, but never
holds the cloud up. Doesn't own what the lines say (report.py).
"""

import os
import select
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

ROOM = 1024 * 1024  # bytes of lines that wait; one line may be longer
_LOOK = 0.25  # seconds between two looks whether anybody reads
_PACE = 0.02  # seconds between two writes: each wakes this thread, and halts the one that serves
_PATIENCE = 1  # second for what is left at the end


class Outlet:
    """A file descriptor that is written to in the background; None for nowhere."""

    def __init__(
        self,
        file: int | None,
        on_failed: Callable[[OSError], object],
        missed: Callable[[int], str],
    ) -> None:
        """on_failed: told, in the thread, why nothing more can be written.

        missed: words the line that stands for so many lines.
        """
        self._file = file
        self._on_failed = on_failed
        self._missed = missed
        self._lines: list[bytes] = []
        self._size = 0
        self._dropped = 0
        self._ended = file is None
        self._change = threading.Condition()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._carry, name="outlet", daemon=True)
        self._thread.start()

    def put(self, text: str, at_any_rate: bool = False) -> None:
        """Send one or more lines on their way, or count them as missed if there is no room."""
        line = text.encode(encoding(), "backslashreplace") + b"\n"
        with self._change:
            if self._ended:
                return
            full = self._size and self._size + len(line) > ROOM
            if (full or self._dropped) and not at_any_rate:
                self._dropped += 1
                return
            self._lines.append(line)
            self._size += len(line)
            self._change.notify()

    def close(self) -> None:
        """Write what is left, but wait no longer than a second for a reader."""
        with self._change:
            self._ended = True
            self._change.notify()
        self._over.set()
        self._thread.join(_PATIENCE)

    def _carry(self) -> None:
        try:
            while data := self._take():
                self._write(data)
                self._over.wait(_PACE)
        except OSError as error:
            with self._change:
                self._ended = True
                self._lines.clear()
            self._on_failed(error)

    # b"" at the end
    def _take(self) -> bytes:
        with self._change:
            while not self._lines and not self._ended:
                if not self._change.wait(_LOOK):
                    self._look()
            data = b"".join(self._lines)
            if self._dropped:
                data += self._missed(self._dropped).encode() + b"\n"
            self._lines.clear()
            self._size = self._dropped = 0
            return data

    # `... | head -1` is gone after the first line, and there may be no second for hours
    def _look(self) -> None:
        poll = select.poll()
        assert self._file is not None
        poll.register(self._file, 0)
        if poll.poll(0):
            raise BrokenPipeError("nobody reads any more")

    # past sys.stdout: its lock, held by a write that waits, would hold up the end of the program
    def _write(self, data: bytes) -> None:
        assert self._file is not None
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._file, rest) :]
            except BlockingIOError:  # whoever gave us this pipe set it so
                select.select([], [self._file], [])


def encoding() -> str:
    """Return how stdout spells text."""
    return getattr(sys.stdout, "encoding", None) or "utf-8"


def stdout() -> int | None:
    """Return stdout's file descriptor; None if it was closed before the program began."""
    with suppress(AttributeError, OSError, ValueError):
        return sys.stdout.fileno()
    return None
