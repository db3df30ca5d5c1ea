"""A virtual board that runs MicroPython, its console, and its REPL over a socket."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from host_tools.images.stand_in import stand_in_image
from host_tools.repl import Repl
from host_tools.serial_line import open_line
from host_tools.virtual_board import farm
from host_tools.virtual_board.farm import BoardSetting, VirtualBoard

VFS = 0x200000  # where a 4 MB board's filesystem begins
NVS = 0x9000


class Console:
    """All that a board has said."""

    def __init__(self, board: VirtualBoard) -> None:
        self.said = b""
        self._news = threading.Condition()
        board.console(self._take)

    def _take(self, data: bytes) -> None:
        with self._news:
            self.said += data
            self._news.notify_all()

    def wait_for(self, words: bytes, seconds: float = 60) -> bytes:
        """Wait until these words have been said; return all up to them, and forget that."""
        with self._news:
            assert self._news.wait_for(lambda: words in self.said, seconds), self.said[-500:]
            before, _, self.said = self.said.partition(words)
            return before


@contextmanager
def running(**setting: Any) -> Iterator[VirtualBoard]:
    """Power a board that was bought with MicroPython, with a socket for a serial port."""
    wanted: dict[str, Any] = {"micropython": True, "rfc2217": None, "socket": ("127.0.0.1", 0)}
    with farm.started([BoardSetting(**{**wanted, **setting})]) as [board]:
        yield board


@contextmanager
def repl_of(board: VirtualBoard) -> Iterator[Repl]:
    """Lend the board's REPL, entered."""
    line = open_line(board.urls[0])
    try:
        repl = Repl(line)
        repl.enter(60)
        yield repl
        repl.leave()
    finally:
        line.close()


def image() -> bytes:
    """Return what a flash holds that has MicroPython and a blank filesystem."""
    return stand_in_image("esp32c3", 4 << 20)
