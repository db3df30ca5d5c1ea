"""The TCP lines to a board's serial port: rfc2217:// with its reset lines, socket:// without.

Owns listeners, the one client that each takes, and the telnet around the bytes. Doesn't own the
board. Source: RFC 2217, through pyserial's PortManager.
"""

import asyncio
from typing import Protocol

from serial import rfc2217  # type: ignore[import-untyped]

from host_tools.errors import CommandError

_IAC = b"\xff"  # with which telnet's commands begin
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
        self.client: _Client | None = None
        self.waiting: list[_Client] = []
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
        """Close the port and its client."""
        for client in [self.client, *self.waiting]:
            if client:
                client.transport.abort()
        if self._server:
            self._server.close()

    def connection(self) -> "_Client":
        """Return what talks to the next client."""
        return _Client(self)

    def send(self, data: bytes) -> None:
        """Give the client what arrives there."""
        if self.client:
            self.client.send(data)


class Rfc2217Line(TcpLine):
    """A listener for RFC 2217."""

    scheme = "rfc2217"

    @property
    def baud(self) -> int | None:
        """The rate that the client has set."""
        client = self.client
        return client.serial.baudrate if isinstance(client, _Rfc2217Client) else None

    def connection(self) -> "_Client":
        """Return what talks to the next client."""
        return _Rfc2217Client(self)


class _Client(asyncio.Protocol):
    def __init__(self, line: TcpLine):
        self.line = line
        self.transport: asyncio.Transport
        self._timer: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
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
        self.line.waiting.remove(self)
        host, port = (self.line.client or self).transport.get_extra_info("peername")[:2]
        self.transport.write(f"port is in use by {host}:{port}\r\n".encode())
        self.transport.write_eof()
        # what it has sent must be read, or else closing would take back the line above
        self.transport.resume_reading()
        asyncio.get_running_loop().call_later(_FAREWELL, self.transport.abort)

    def accepted(self) -> None:
        """Begin to speak."""

    def data_received(self, data: bytes) -> None:
        if self.line.client is self:
            self.line.port.received(data, self.line.baud)

    def send(self, data: bytes) -> None:
        """Give the client bytes of the board."""
        if self.transport.get_write_buffer_size() < _MOST_UNREAD:
            self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
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


class _Rfc2217Client(_Client):
    def __init__(self, line: TcpLine):
        super().__init__(line)
        self.serial = _Serial(line.port)
        self._telnet: rfc2217.PortManager

    def accepted(self) -> None:
        self._telnet = rfc2217.PortManager(self.serial, self)

    def write(self, data: bytes) -> None:
        """Send telnet's own bytes."""
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        if self.line.client is not self:
            return
        start, plain = 0, bytearray()
        while start < len(data):
            if self._is_plain():
                end = data.find(_IAC, start)
                end = len(data) if end < 0 else end
                plain += data[start:end]
                start = end
            if self._is_plain() and data[start : start + 2] == _IAC + _IAC:
                plain += _IAC
                start += 2
            elif start < len(data):
                self._pass_on(plain)  # before a command that may change rate or lines
                plain += b"".join(self._telnet.filter(data[start : start + 1]))
                start += 1
        self._pass_on(plain)

    def _is_plain(self) -> bool:
        return self._telnet.mode is rfc2217.M_NORMAL and self._telnet.suboption is None

    def _pass_on(self, plain: bytearray) -> None:
        if plain:
            self.line.port.received(bytes(plain), self.serial.baudrate)
            plain.clear()

    def send(self, data: bytes) -> None:
        super().send(data.replace(_IAC, _IAC + _IAC))

    def left(self) -> None:
        # both at once: one after the other might pass through a reset
        self.line.port.set_lines(dtr=False, rts=False)


class _Serial:
    """The serial port that pyserial's PortManager manages: rates are noted, lines act."""

    def __init__(self, port: Port):
        self._port = port
        self._dtr = self._rts = False
        self.baudrate = 115200
        self.bytesize, self.parity, self.stopbits = 8, "N", 1
        self.xonxoff = self.rtscts = self.break_condition = False
        self.cts = self.dsr = self.cd = True
        self.ri = False

    @property
    def dtr(self) -> bool:
        return self._dtr

    @dtr.setter
    def dtr(self, asserted: bool) -> None:
        self._dtr = asserted
        self._port.set_lines(dtr=asserted)

    @property
    def rts(self) -> bool:
        return self._rts

    @rts.setter
    def rts(self, asserted: bool) -> None:
        self._rts = asserted
        self._port.set_lines(rts=asserted)

    def reset_input_buffer(self) -> None:
        """Nothing is held back here."""

    def reset_output_buffer(self) -> None:
        """Nothing is held back here."""
