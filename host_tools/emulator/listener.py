"""Serve a Cloud over TLS: the only file of the emulator that owns sockets.

Owns listening, connections, their end and the wall clock. Doesn't own a word of MQTT: bytes go
to session.py and come from there.
"""

import asyncio
import errno
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from host_tools.emulator.cloud import Cloud
from host_tools.emulator.session import Session
from host_tools.emulator.tls import TlsError, TlsServer
from host_tools.errors import CommandError

HOST, PORT = "127.0.0.1", 8883
_BACKLOG = 1024  # a fleet that lost power together comes back together
_SWEEP = 0.25  # seconds between two looks at all deadlines
_GRACE = 1  # second for a device to close its half after we closed ours


@asynccontextmanager
async def serve(cloud: Cloud, host: str = HOST, port: int = PORT) -> AsyncIterator["Listener"]:
    """Serve cloud on host and port (0: a free one) until the block ends; CommandError."""
    listener = Listener(cloud, cloud.tls_context(host))
    await listener.open(host, port)
    try:
        yield listener
    finally:
        await listener.close()


class Listener:
    """One listening port and all connections that came in by it."""

    def __init__(self, cloud: Cloud, context: ssl.SSLContext) -> None:
        self.cloud = cloud
        self.context = context
        self.port = 0
        self._connections: set[Connection] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    async def open(self, host: str, port: int) -> None:
        """Listen; raise CommandError."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: Connection(self), host, port, backlog=_BACKLOG
            )
        except OSError as error:
            raise CommandError(_why(error, host, port)) from None
        self.port = self._server.sockets[0].getsockname()[1]
        self._sweeper = loop.call_later(_SWEEP, self._sweep)

    async def close(self) -> None:
        """Stop listening and end every connection, the stubborn ones by force."""
        self._server.close()
        self._sweeper.cancel()
        for connection in list(self._connections):
            connection.close("the cloud stops")
        try:
            await asyncio.wait_for(self._empty.wait(), _GRACE)
        except TimeoutError:
            for connection in list(self._connections):
                connection.abort()
            await self._empty.wait()
        await self._server.wait_closed()

    def add(self, connection: "Connection") -> None:
        """Count a connection in."""
        self._connections.add(connection)
        self._empty.clear()

    def remove(self, connection: "Connection") -> None:
        """Count a connection out."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def _sweep(self) -> None:
        now = time.time()
        for connection in list(self._connections):
            connection.expire(now)
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP, self._sweep)


class Connection(asyncio.Protocol):
    """One TCP connection: TLS and a session on it."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._tls = TlsServer(listener.context)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; asyncio has set TCP_NODELAY."""
        self._transport = cast(asyncio.Transport, transport)
        host, port, *_ = transport.get_extra_info("peername") or ("", 0)
        self._session = Session(
            self._listener.cloud, self._send, self._hang_up, time.time(), f"{host}:{port}"
        )
        self._forced = float("inf")  # when patience with a closed connection ends
        self._listener.add(self)

    def data_received(self, data: bytes) -> None:
        """Carry bytes in, and what is answered out."""
        try:
            plain = self._tls.receive(data)
        except TlsError as error:
            self.close(f"TLS: {error}")
            return
        if plain:
            self._session.receive(plain, time.time())
        self._flush()
        if self._tls.ended:
            self.close("it closed the connection")

    def eof_received(self) -> None:
        """Note that the other side sends nothing more; the transport then closes itself."""
        if self._tls.established:
            self.close("it closed the connection")
        else:
            self.close("it gave up the TLS hand-shake: does it trust the CA?")

    def connection_lost(self, error: Exception | None) -> None:
        """Note that the connection is gone."""
        self.close("the connection broke")
        self._listener.remove(self)

    def pause_writing(self) -> None:
        """Take nothing more from a device that does not take what it is sent."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._transport.resume_reading()

    def close(self, why: str) -> None:
        """End the connection in order."""
        self._session.close(why, time.time())

    def abort(self) -> None:
        """End the connection now."""
        self._transport.abort()

    def expire(self, now: float) -> None:
        """Look at the deadline."""
        self._session.expire(now)
        if now > self._forced:
            self.abort()

    def _send(self, data: bytes) -> None:
        self._tls.send(data)
        self._flush()

    def _hang_up(self) -> None:
        self._tls.end()
        self._flush()
        self._forced = time.time() + _GRACE
        try:
            # only our half: closing both under bytes on their way would reset the connection,
            # and the device might never read why
            self._transport.write_eof()
        except OSError:
            self._transport.abort()

    def _flush(self) -> None:
        data = self._tls.take()
        if data:
            self._transport.write(data)


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is in use: stop the program that has it"
            f" (`ss -ltnp 'sport = :{port}'` names it) or choose another with --port"
        )
    if error.errno == errno.EACCES:
        return f"port {port} needs rights you do not have: choose one above 1023 with --port"
    return f"can not listen on {host}, port {port}: {error.strerror or error}"
