"""Serve AMQP 1.0 over TLS, for service clients.

Owns the port, its connections, their pace and their end. Doesn't own a word of AMQP: bytes go to
amqp/session.py and come from there. Azure's SDKs dial 5671 (IANA's amqps) when they are told no
port: Python's does always, Node's takes the one in the connection string.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from host_tools.emulator.amqp.door import Door
from host_tools.emulator.amqp.session import AmqpSession
from host_tools.emulator.host_names import place
from host_tools.emulator.serve.tls import TlsError, TlsServer
from host_tools.errors import CommandError

PORT = 5671
_BACKLOG = 128
_SWEEP = 0.25  # seconds between two looks at all deadlines
_PART = 4096  # bytes that a session is fed at once: all its answers to them are in memory
_TURN = 64 * 1024  # bytes sent to one client before the others get their turn
_GRACE = 1  # second for a client to close its half after we closed ours


@asynccontextmanager
async def serve_amqp(
    door: Door, context: ssl.SSLContext, host: str = "127.0.0.1", port: int = PORT
) -> AsyncIterator["AmqpListener"]:
    """Serve on host and port (0: a free one) until the block ends; CommandError."""
    listener = AmqpListener(door, context)
    await listener.open(host, port)
    try:
        yield listener
    finally:
        await listener.close()


class AmqpListener:
    """One listening port and all connections that came in by it."""

    def __init__(self, door: Door, context: ssl.SSLContext) -> None:
        self.door = door
        self.context = context
        self.port = 0
        self.connections: set[_Connection] = set()

    async def open(self, host: str, port: int) -> None:
        """Listen; raise CommandError."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: _Connection(self), host, port, backlog=_BACKLOG
            )
        except OSError as error:
            raise CommandError(
                f"can not listen for AMQP on {place(host, port)}: {error.strerror or error}"
            ) from None
        self.port = self._server.sockets[0].getsockname()[1]
        self._sweeper = loop.call_later(_SWEEP, self._sweep)

    async def close(self) -> None:
        """Stop listening and end every connection, the stubborn ones by force."""
        self._server.close()
        self._sweeper.cancel()
        for connection in list(self.connections):
            connection.close("the cloud stops")
        gone = [connection.gone for connection in self.connections]
        if gone:
            await asyncio.wait(gone, timeout=_GRACE)
        for connection in list(self.connections):
            connection.abort()
        await asyncio.gather(*gone)
        await self._server.wait_closed()

    def _sweep(self) -> None:
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP, self._sweep)
        now, tick = time.time(), time.monotonic()
        for connection in list(self.connections):
            connection.expire(now, tick)


class _Connection(asyncio.Protocol):
    """One TCP connection: TLS and an AMQP session on it."""

    def __init__(self, listener: AmqpListener) -> None:
        self.gone = asyncio.get_running_loop().create_future()
        self._listener = listener
        self._tls = TlsServer(listener.context)
        self._unheard = b""  # what the client said and the session was not yet told
        self._full = False  # the client does not take what it is sent
        self._sent = 0  # bytes, in this turn
        self._next: asyncio.Handle | None = None  # the turn that is due
        self._forced = float("inf")  # when patience with a closed connection ends

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; asyncio has set TCP_NODELAY."""
        self._transport = cast(asyncio.Transport, transport)
        host, port, *_ = transport.get_extra_info("peername") or ("", 0)
        self._session = AmqpSession(
            self._listener.door, self._send, self._hang_up, time.monotonic(), place(host, port)
        )
        self._listener.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Carry bytes in, and what is answered out."""
        if self._session.closed:  # OpenSSL might answer, and our half is closed
            return
        try:
            self._unheard += self._tls.receive(data)
        except TlsError as error:
            self._flush()  # the alert that says so
            self.close(f"TLS: {error}")
            return
        self._flush()
        self._go_on()

    def eof_received(self) -> None:
        """Note that the other side sends nothing more; the transport then closes itself."""
        if self._tls.established:
            self.close("it closed the connection")
        else:
            self.close("it gave up the TLS hand-shake: does it trust the CA?")

    def connection_lost(self, error: Exception | None) -> None:
        """Note that the connection is gone."""
        self._listener.connections.discard(self)
        self.close("the connection broke")
        self.gone.set_result(None)

    def pause_writing(self) -> None:
        """Take nothing more from a client that does not take what it is sent."""
        self._full = True

    def resume_writing(self) -> None:
        """Go on."""
        self._full = False
        self._go_on()

    def close(self, why: str) -> None:
        """End the connection in order."""
        self._session.close(why, time.time())

    def abort(self) -> None:
        """End the connection now."""
        self._transport.abort()

    def expire(self, now: float, tick: float) -> None:
        """Look at the deadlines."""
        self._session.expire(now, tick)
        if tick > self._forced:
            self.abort()

    # part by part: a client that asks a lot in one breath and does not read the answers would
    # fill the memory with them, and one that does read them would keep all others waiting
    def _go_on(self) -> None:
        self._sent = 0
        while self._unheard and not self._full and self._sent < _TURN:
            part, self._unheard = self._unheard[:_PART], self._unheard[_PART:]
            self._session.receive(part, time.time(), time.monotonic())
        if self._session.closed:
            return
        if self._unheard or self._full:
            self._transport.pause_reading()
            if not self._full and self._next is None:
                self._next = asyncio.get_running_loop().call_soon(self._take_turn)
            return
        self._transport.resume_reading()
        if self._tls.ended:
            self.close("it closed the connection")

    def _take_turn(self) -> None:
        self._next = None
        self._go_on()

    def _send(self, data: bytes) -> None:
        if self._tls.established and not self._transport.is_closing():
            self._tls.send(data)
            self._flush()

    def _hang_up(self) -> None:
        self._unheard = b""
        self._forced = time.monotonic() + _GRACE
        if self._transport.is_closing():
            return
        self._tls.end()
        self._flush()
        self._transport.resume_reading()  # to see that the client hangs up, too
        try:
            # only our half: closing both under bytes on their way would reset the connection,
            # and the client might never read why
            self._transport.write_eof()
        except OSError:
            self._transport.abort()

    def _flush(self) -> None:
        data = self._tls.take()
        if data:
            self._sent += len(data)
            self._transport.write(data)
