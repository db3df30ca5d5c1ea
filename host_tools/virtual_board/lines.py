"""A plain TCP line to a board's serial port, socket://: no reset lines and no rate.

Owns the listener and the one client that it takes. Doesn't own the board, nor what RFC 2217 puts
around the bytes (rfc2217_line).
"""

import asyncio
from contextlib import suppress
from typing import Protocol

from host_tools.errors import CommandError

_GRACE = 0.25  # seconds that a second client waits for the first to leave
_FAREWELL = 2.0  # seconds that it has to read why it was refused
_MOST_UNREAD = 1 << 20  # bytes that a client may leave unread before more are lost, as on a UART


class Port(Protocol):
    """What a line needs of a board."""

    def opened(self) -> None:
        """A host has opened the port."""

    def closed(self) -> None:
        """A host has closed the port."""

    def received(self, data: bytes, baud: int | None) -> None:
        """A host has sent data at this rate."""

    def set_lines(self, **asserted: bool) -> None:
        """A host has asserted or released dtr, rts or both."""


class TcpLine:
    """A listener and its one client."""

    scheme = "socket"

    def __init__(self, port: Port):
        self.port, self.url = port, ""
        self.client: Client | None = None
        self.waiting: list[Client] = []
        self.all: set[Client] = set()
        self._server: asyncio.Server | None = None

    @property
    def baud(self) -> int | None:
        """A plain socket has no rate."""
        return None

    async def listen(self, host: str, port: int) -> None:
        """Open the port; raise CommandError."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self.connection, host, port)
        except OSError as error:
            raise CommandError(f"can not listen on {host}:{port}: {error.strerror}") from None
        bound = self._server.sockets[0].getsockname()[1]
        self.url = f"{self.scheme}://{f'[{host}]' if ':' in host else host}:{bound}"

    async def close(self) -> None:
        """Close the port and all connections."""
        if self._server:
            self._server.close()
        for client in self.all:
            client.transport.abort()
        while self.all:  # sockets that are left to the end of the loop would never be closed
            await asyncio.sleep(0)

    def connection(self) -> "Client":
        """Return what talks to the next client."""
        return Client(self)

    def send(self, data: bytes) -> None:
        """Give the client what arrives there."""
        if self.client:
            self.client.send(data)


class Client(asyncio.Protocol):
    """One connection: the line's client, or one that waits for its turn."""

    def __init__(self, line: TcpLine):
        self.line = line
        self.transport: asyncio.Transport
        self._timer: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Become the client, or wait for the one that is there to leave."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.line.all.add(self)
        if self.line.client is None:
            self._accept()
            return
        # whoever reconnects quickly may come before its own hanging up has been heard
        transport.pause_reading()
        self.line.waiting.append(self)
        self._timer = asyncio.get_running_loop().call_later(_GRACE, self._refuse)

    def _accept(self) -> None:
        self.line.client = self
        self.line.port.opened()
        self.accepted()

    def _refuse(self) -> None:
        first = self.line.client
        if first is None or first.transport.is_closing():  # heard just now: it is all but gone
            self._timer = asyncio.get_running_loop().call_later(_GRACE, self._refuse)
            return
        self.line.waiting.remove(self)
        host, port = first.transport.get_extra_info("peername")[:2]
        self.transport.write(f"port is in use by {host}:{port}\r\n".encode())
        with suppress(OSError):  # it did not wait for that
            self.transport.write_eof()
        # what it has sent must be read, or else closing would take back the line above
        self.transport.resume_reading()
        asyncio.get_running_loop().call_later(_FAREWELL, self.transport.abort)

    def accepted(self) -> None:
        """Begin to speak."""

    def data_received(self, data: bytes) -> None:
        """Pass on what the client sends."""
        if self.line.client is self:
            self.line.port.received(data, self.line.baud)

    def send(self, data: bytes) -> None:
        """Give the client bytes of the board."""
        if self.transport.get_write_buffer_size() < _MOST_UNREAD:
            self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Make room for the next one."""
        self.line.all.discard(self)
        if self in self.line.waiting:
            self._leave_queue()
        elif self.line.client is self:
            self.line.client = None
            self.left()
            self.line.port.closed()
            if self.line.waiting:
                self.line.waiting[0].take_turn()

    def take_turn(self) -> None:
        """Be the client from now on."""
        self._leave_queue()
        self.transport.resume_reading()
        self._accept()

    def _leave_queue(self) -> None:
        self._timer.cancel()
        self.line.waiting.remove(self)

    def left(self) -> None:
        """Take note that the client is gone."""
