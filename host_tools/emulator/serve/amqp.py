"""Serve AMQP 1.0 over TLS, for service clients.

Owns the port, its connections and their pace. Doesn't own TLS (secured.py) nor a word of AMQP:
bytes go to amqp/session.py and come from there. Azure's SDKs dial 5671 (IANA's amqps) when they
are told no port: Python's does always, Node's takes the one in the connection string, which is
that of the REST interface; http.py hands such connections over.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

from host_tools.emulator.amqp.door import Door
from host_tools.emulator.amqp.session import AmqpSession
from host_tools.emulator.host_names import place
from host_tools.emulator.serve import ports
from host_tools.emulator.serve.ending import FAREWELL
from host_tools.emulator.serve.secured import Secured
from host_tools.emulator.trace.trace import Spoken
from host_tools.emulator.trace.traces import Traces

PORT = 5671
BEGINNING = b"AMQP"  # of every connection
_SWEEP = 0.25  # seconds between two looks at all deadlines
_PART = 4096  # bytes that a session is fed at once: all its answers to them are in memory
_GRACE = 1.0  # second for a client to hang up after our last word


@asynccontextmanager
async def serve_amqp(
    door: Door,
    context: ssl.SSLContext,
    host: str = "127.0.0.1",
    port: int = PORT,
    failed: Callable[[str, str], object] = lambda address, why: None,
    traces: Traces | None = None,
) -> AsyncIterator["AmqpListener"]:
    """Serve on host and port (0: a free one) until the block ends; CommandError.

    failed: told an address, and why its TLS hand-shake failed.
    """
    listener = AmqpListener(AmqpSessions(door, traces), context, failed)
    await listener.open(host, port)
    try:
        yield listener
    finally:
        await listener.close()


class AmqpListener:
    """One listening port and all connections that came in by it."""

    def __init__(
        self,
        sessions: "AmqpSessions",
        context: ssl.SSLContext,
        failed: Callable[[str, str], object],
    ) -> None:
        self.port = 0
        self._sessions = sessions
        self._context = context
        self._failed = failed
        self.connections: set[Secured] = set()

    async def open(self, host: str, port: int) -> None:
        """Listen; raise CommandError."""
        self._server = await ports.listen(self._connection, host, port, "--amqp-port")
        self.port = ports.port_of(self._server)

    def _connection(self) -> Secured:
        return Secured(self._context, self._sessions.protocol, self.connections, self._failed)

    async def close(self) -> None:
        """Stop listening and end every connection, the stubborn ones by force."""
        self._server.close()
        await self._sessions.close()
        for connection in list(self.connections):
            connection.abort()
        while self.connections:
            await asyncio.sleep(0)
        await self._server.wait_closed()


class AmqpSessions:
    """All AMQP connections by one door, whichever ports they came in by."""

    def __init__(self, door: Door, traces: Traces | None = None) -> None:
        self.door = door
        self._traces = traces
        self._live: set[AmqpProtocol] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    def watcher(self, address: str) -> Spoken | None:
        """Begin a connection's time line, if connections are traced."""
        trace = self._traces.open(address, time.time()) if self._traces else None
        return Spoken(trace) if trace else None

    def protocol(self) -> "AmqpProtocol":
        """Return a protocol for one more connection."""
        return AmqpProtocol(self)

    def add(self, connection: "AmqpProtocol") -> None:
        """Count a connection in."""
        self._live.add(connection)
        if self._sweeper is None:
            self._sweep()

    def remove(self, connection: "AmqpProtocol") -> None:
        """Count a connection out."""
        self._live.discard(connection)

    async def close(self) -> None:
        """End every connection in order, and wait a moment for it."""
        for connection in list(self._live):
            connection.close("the cloud stops")
        gone = [connection.gone for connection in self._live]
        if gone:
            await asyncio.wait(gone, timeout=FAREWELL)
        if self._sweeper:
            self._sweeper.cancel()

    def _sweep(self) -> None:
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP, self._sweep)
        now, tick = time.time(), time.monotonic()
        for connection in list(self._live):
            connection.expire(now, tick)


class AmqpProtocol(asyncio.Protocol):
    """One connection, decrypted, and the session on it."""

    def __init__(self, sessions: AmqpSessions) -> None:
        self.gone = asyncio.get_running_loop().create_future()
        self._sessions = sessions
        self._unheard = b""  # what the client said and the session was not yet told
        self._full = False  # the client does not take what it is sent
        self._next: asyncio.Handle | None = None  # the turn that is due

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        host, port, *_ = transport.get_extra_info("peername") or ("", 0)
        address = place(host, port)
        self._session = AmqpSession(
            self._sessions.door,
            self._send,
            self._hang_up,
            time.monotonic(),
            address,
            self._sessions.watcher(address),
        )
        self._sessions.add(self)

    def data_received(self, data: bytes) -> None:
        """Carry bytes in, and what is answered out."""
        if not self._session.closed:
            self._unheard += data
            self._go_on()

    def connection_lost(self, error: Exception | None) -> None:
        """Note that the connection is gone."""
        self._sessions.remove(self)
        self.close("the connection broke" if error else "it closed the connection")
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

    def expire(self, now: float, tick: float) -> None:
        """Look at the deadlines."""
        self._session.expire(now, tick)

    # part by part: a client that asks a lot in one breath and does not read the answers would
    # fill the memory with them, and one that does read them would keep all others waiting
    def _go_on(self) -> None:
        if self._unheard and not self._full:
            part, self._unheard = self._unheard[:_PART], self._unheard[_PART:]
            self._session.receive(part, time.time(), time.monotonic())
        if self._session.closed:
            return
        if self._unheard or self._full:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
        if self._unheard and not self._full and self._next is None:
            self._next = asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._next = None
        self._go_on()

    def _send(self, data: bytes) -> None:
        self._transport.write(data)

    # the client hangs up when it has read our last word: closing under bytes that are on their
    # way to us would reset the connection, and it might never read why
    def _hang_up(self) -> None:
        self._unheard = b""
        if not self._transport.is_closing():
            self._transport.resume_reading()
            asyncio.get_running_loop().call_later(_GRACE, self._transport.close)
