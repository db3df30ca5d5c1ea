"""Serve a Cloud to devices: MQTT over TLS.

Owns listening, connections, their pace, their end and the clocks. Doesn't own a word of MQTT:
bytes go to session.py and come from there.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import cast

from host_tools.emulator.cloud import Cloud
from host_tools.emulator.faults import when
from host_tools.emulator.faults.action import Kind
from host_tools.emulator.faults.in_force import Moment
from host_tools.emulator.faults.wire import Wire
from host_tools.emulator.serve import ports
from host_tools.emulator.serve.ending import FAREWELL
from host_tools.emulator.serve.tls import TlsError, TlsServer
from host_tools.errors import CommandError

HOST, PORT = "127.0.0.1", 8883
SWEEP = 0.25  # seconds between two looks at all deadlines
_PART = 4096  # bytes that a session is fed at once: all its answers to them are in memory
_TURN = 64 * 1024  # bytes sent to one device before the others get their turn
_ROOM = 64 * 1024  # bytes read from a socket at once
_GRACE = 1  # second for a device to close its half after we closed ours


@asynccontextmanager
async def serve(
    cloud: Cloud, host: str = HOST, port: int = PORT, sweep: float = SWEEP
) -> AsyncIterator["Listener"]:
    """Serve cloud on host and port (0: a free one) until the block ends; CommandError.

    sweep: seconds between two looks at all deadlines.
    """
    listener = Listener(cloud, cloud.tls_context(host), sweep)
    await listener.open(host, port)
    try:
        yield listener
    finally:
        await listener.close()


class Listener:
    """One listening port and all connections that came in by it."""

    def __init__(self, cloud: Cloud, context: ssl.SSLContext, sweep: float = SWEEP) -> None:
        self.cloud = cloud
        self._pause = sweep
        self.context = context
        self.port = 0
        self._host = HOST
        self._faulty: dict[Kind, ssl.SSLContext] = {}
        # where to read to, one place for all: what is read is in OpenSSL's hands before the next
        # socket is read. asyncio itself would ask for 256 KiB afresh each time, which the C
        # library maps and unmaps: that costs more than all the rest of a message
        self.room = memoryview(bytearray(_ROOM))
        self._connections: set[Connection] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    async def open(self, host: str, port: int) -> None:
        """Listen; raise CommandError."""
        self._host = host
        self._prepare()
        self._server = await ports.listen(lambda: Connection(self), host, port, "--port")
        self.port = ports.port_of(self._server)
        self._sweeper = asyncio.get_running_loop().call_later(self._pause, self._sweep)

    async def close(self) -> None:
        """Stop listening and end every connection, the stubborn ones by force."""
        self._server.close()
        self._sweeper.cancel()
        for connection in list(self._connections):
            connection.close("the cloud stops")
        try:
            await asyncio.wait_for(self._empty.wait(), FAREWELL)
        except TimeoutError:
            for connection in list(self._connections):
                connection.abort()
            await self._empty.wait()
        await self._server.wait_closed()

    def faulty_context(self, flaw: Kind) -> ssl.SSLContext:
        """Return a context with one thing wrong."""
        if flaw not in self._faulty:
            self._faulty[flaw] = self.cloud.faulty_tls_context(self._host, flaw)
        return self._faulty[flaw]

    # an RSA key takes its time: not while a device waits in its hand-shake
    def _prepare(self) -> None:
        for flaw in self.cloud.faults.kinds(when.TLS, when.HAND_SHAKE) - {Kind.HANGS}:
            with suppress(CommandError):  # told to whom it concerns, in the hand-shake
                self.faulty_context(flaw)

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
        self._sweeper = asyncio.get_running_loop().call_later(self._pause, self._sweep)
        now, tick = self.cloud.clock.time(), self.cloud.clock.monotonic()
        for connection in list(self._connections):
            connection.expire(now, tick)
        self.cloud.expire(now, tick)
        self._prepare()


class Connection(asyncio.BufferedProtocol):
    """One TCP connection: TLS and a session on it."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._clock = listener.cloud.clock
        expected = listener.cloud.faults.expects(when.TLS, when.HAND_SHAKE)
        self._tls = TlsServer(listener.context, self._choose if expected else None)
        self._unheard = b""  # what the device said and the session was not yet told
        self._full = False  # the device does not take what it is sent
        self._held = False  # a rule lets it have that only slowly
        self._sent = 0  # bytes, in this turn
        self._next: asyncio.Handle | None = None  # the turn that is due

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; asyncio has set TCP_NODELAY."""
        self._transport = cast(asyncio.Transport, transport)
        address: tuple[str, int] = transport.get_extra_info("peername") or ("", 0)
        self._address, port, *_ = address
        name = f"{self._address}:{port}"
        self._watcher = self._listener.cloud.traces.open(name, self._clock.time())
        self._session = Wire(
            self._listener.cloud,
            self._send,
            self._hang_up,
            self.abort,
            self._clock.monotonic(),
            name,
            self._watcher,
        )
        self._forced = float("inf")  # when patience with a closed connection ends
        self._listener.add(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Say where to read to."""
        return self._listener.room

    def buffer_updated(self, nbytes: int) -> None:
        """Carry bytes in, and what is answered out."""
        if self._session.closed:  # OpenSSL might answer, and our half is closed
            return
        tls = self._tls
        shaken = tls.established
        try:
            plain = tls.receive(self._listener.room[:nbytes])
        except TlsError as error:
            self.close(f"TLS: {error}")
            return
        if self._watcher and tls.established and not shaken:
            self._watcher.note(tls.terms, self._clock.time())
        if self._unheard or self._full or self._held or tls.ended or len(plain) > _PART:
            self._unheard += plain
            self._go_on()
        elif plain:  # a packet or two, as nearly always
            self._session.receive(plain, self._clock.time(), self._clock.monotonic())
            if self._full or self._session.full:
                self._go_on()
        if tls.outgoing.pending:  # what TLS itself says; the session's answer took it along
            self._flush()

    def eof_received(self) -> None:
        """Note that the other side sends nothing more; the transport then closes itself."""
        if self._tls.established:
            self.close("it closed the connection")
        else:
            self.close("it gave up the TLS hand-shake: does it trust the CA?")

    def connection_lost(self, error: Exception | None) -> None:
        """Note that the connection is gone."""
        try:
            self.close("the connection broke")
        finally:
            self._listener.remove(self)

    def pause_writing(self) -> None:
        """Take nothing more from a device that does not take what it is sent."""
        self._full = True

    def resume_writing(self) -> None:
        """Go on."""
        self._full = False
        self._go_on()

    def close(self, why: str) -> None:
        """End the connection in order."""
        self._session.close(why, self._clock.time())

    def abort(self) -> None:
        """End the connection now."""
        self._transport.abort()

    def expire(self, now: float, tick: float) -> None:
        """Look at the deadlines."""
        self._session.expire(now, tick)
        if tick > self._forced:
            self.abort()
        elif self._held and not self._session.full:
            self._go_on()

    # part by part: a device that asks a lot in one breath and does not read the answers would
    # fill the memory with them, and one that does read them would keep all others waiting
    def _go_on(self) -> None:
        self._sent = 0
        while self._unheard and not self._stuck() and self._sent < _TURN:
            part, self._unheard = self._unheard[:_PART], self._unheard[_PART:]
            self._session.receive(part, self._clock.time(), self._clock.monotonic())
        if self._session.closed:
            return
        if self._unheard or self._stuck():
            self._transport.pause_reading()
            self._ask_for_a_turn()
            return
        self._transport.resume_reading()
        if self._tls.ended:
            self.close("it closed the connection")

    def _stuck(self) -> bool:
        self._held = self._session.full
        return self._full or self._held

    def _ask_for_a_turn(self) -> None:
        if not self._stuck() and self._next is None:
            self._next = asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._next = None
        self._go_on()

    # a rule may want something wrong with the certificate; None: the hand-shake hangs
    def _choose(self, name: str) -> ssl.SSLContext | None:
        moment = Moment(when.TLS, when.HAND_SHAKE, self._address, self._clock.time(), name=name)
        trouble = self._listener.cloud.faults.ask(moment)
        if trouble is None:
            return self._listener.context
        if trouble.action.kind is Kind.HANGS:
            self._session.mute()
            return None
        try:
            return self._listener.faulty_context(trouble.action.kind)
        except CommandError as error:
            raise TlsError(str(error)) from None

    def _send(self, data: bytes) -> None:
        self._tls.send(data)
        self._flush()

    def _hang_up(self) -> None:
        self._tls.end()
        self._flush()
        self._unheard = b""
        self._forced = self._clock.monotonic() + _GRACE
        self._transport.resume_reading()  # to see that the device hangs up, too
        try:
            # only our half: closing both under bytes on their way would reset the connection,
            # and the device might never read why
            self._transport.write_eof()
        except OSError:
            self._transport.abort()

    def _flush(self) -> None:
        data = self._tls.take()
        if data:
            self._sent += len(data)
            self._transport.write(data)
