"""The serial line of the process that plays a board's program: its standard input and output.

Owns what is on its way in either direction. Doesn't own the line to the host (lines.py).
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

_PIECE = 65536  # bytes


class SerialPipe:
    """A pair of sockets; `far` is the number of the process's end, which outlives processes."""

    def __init__(self, output: Callable[[bytes], None]) -> None:
        """output: is given what was printed, as a board sends it: lines end with CR LF."""
        self._output = output
        self._loop = asyncio.get_running_loop()
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._waiting = bytearray()  # for room in the other end
        self._loop.add_reader(self._near, self.receive)

    @property
    def far(self) -> int:
        """The file that the process has as its standard input, output and error."""
        return self._far.fileno()

    def send(self, data: bytes) -> None:
        """Have the process read data, at once or when it has room."""
        self._waiting += data
        self._go_on()

    def _go_on(self) -> None:
        with suppress(BlockingIOError):
            del self._waiting[: self._near.send(self._waiting)]
        if self._waiting:
            self._loop.add_writer(self._near, self._go_on)
        else:
            self._loop.remove_writer(self._near)

    def receive(self) -> None:
        """Pass on all that was printed up to now."""
        with suppress(BlockingIOError):
            while data := self._near.recv(_PIECE):
                self._output(data.replace(b"\n", b"\r\n"))

    def close(self) -> None:
        """Give the sockets back; what is on its way is lost."""
        self._loop.remove_reader(self._near)
        self._loop.remove_writer(self._near)
        self._near.close()
        self._far.close()
