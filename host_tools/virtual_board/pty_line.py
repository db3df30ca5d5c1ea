"""A pseudo terminal as the line to a board's serial port: no reset lines, but a rate.

Owns the terminal pair, and notices whether a host has it open. Doesn't own the board.
"""

import asyncio
import os
import select
import termios
import tty

from host_tools.errors import CommandError
from host_tools.virtual_board.lines import Port

_LOOK = 0.02  # seconds between two looks whether a host has opened it
_HELD = 1 << 20  # bytes that a host may be behind; the terminal itself takes 4 KiB
_SPEEDS = {
    getattr(termios, name): int(name[1:])
    for name in dir(termios)
    if name[0] == "B" and name[1:].isdigit()
}


class PtyLine:
    """A pseudo terminal; `url` is the path that a host opens."""

    def __init__(self, port: Port):
        self._port = port
        try:
            self._master, slave = os.openpty()
        except OSError as error:
            raise CommandError(f"no pseudo terminal to be had: {error.strerror}") from None
        self.url = os.ttyname(slave)
        tty.setraw(slave)
        os.close(slave)  # a slave that nobody holds is how an absent host is known
        os.set_blocking(self._master, False)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._waiting = bytearray()  # for room in the terminal
        self._look()

    @property
    def baud(self) -> int | None:
        """The rate that the host has set."""
        return _SPEEDS.get(termios.tcgetattr(self._master)[5])

    async def close(self) -> None:
        """Hang up."""
        if self._timer:
            self._timer.cancel()
        self._leave()
        os.close(self._master)

    def send(self, data: bytes) -> None:
        """Give the host what arrives there; what a host far behind has no room for is lost."""
        if not self._has_host():
            return
        self._waiting += data[: _HELD - len(self._waiting)]
        self._write()

    def _write(self) -> None:
        """Write what the terminal has room for, the rest when it has."""
        try:
            del self._waiting[: os.write(self._master, self._waiting)]
        except BlockingIOError:
            pass
        except OSError:  # the host has closed it: _read() sees that too
            self._waiting.clear()
        if self._waiting:
            self._loop.add_writer(self._master, self._write)
        else:
            self._loop.remove_writer(self._master)

    def _leave(self) -> None:
        self._waiting.clear()
        self._loop.remove_writer(self._master)
        self._loop.remove_reader(self._master)

    def _has_host(self) -> bool:
        poll = select.poll()
        poll.register(self._master, 0)
        return not any(events & select.POLLHUP for _, events in poll.poll(0))

    def _look(self) -> None:
        self._timer = None
        if self._has_host():
            self._port.opened()
            self._loop.add_reader(self._master, self._read)
        else:
            self._timer = self._loop.call_later(_LOOK, self._look)

    def _read(self) -> None:
        try:
            data = os.read(self._master, 1 << 16)
        except BlockingIOError:
            return
        except OSError:  # the host has closed it
            self._leave()
            self._port.closed()
            self._look()
            return
        self._port.received(data, self.baud)
