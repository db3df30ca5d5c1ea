"""Line: a conversation on a TCP connection, as asyncio carries it.

Owns the socket, its end and the alarm clock. Doesn't own a word that is said: bytes go to a
Conversation and come from there.
"""

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import cast

from host_tools.fleet.conversation import NEVER, Conversation
from host_tools.fleet.place import Place, unreachable
from host_tools.fleet.tls import TlsClient
from host_tools.fleet.turns import Turns
from keystead.failure import Failure

_ROOM = 64 * 1024
# one for all lines: what is read is in OpenSSL's hands before the next socket is read. Without it
# asyncio would ask for 256 KiB afresh for every few bytes, which costs more than all the rest
_room = memoryview(bytearray(_ROOM))


class Line(asyncio.BufferedProtocol):
    """One connection of one device; fails once, and then for good."""

    def __init__(self, conversation: Conversation, context: ssl.SSLContext, turns: Turns) -> None:
        """turns: the hand-shakes of all lines of this loop."""
        self.failure: Failure | None = None
        self._conversation = conversation
        self._tls = TlsClient(context, conversation.host)
        self._turns = turns
        self._shakes = False  # its turn will come
        self._transport: asyncio.Transport | None = None
        self._condition: Callable[[], bool] = self.is_open
        self._waiter: asyncio.Future[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = NEVER

    async def open(self, place: Place) -> None:
        """Connect, and shake hands; raise Failure."""
        self._conversation.dial(time.monotonic())
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._conversation.limit):
                await loop.create_connection(lambda: self, *place)
        except OSError as error:  # TimeoutError is one, too
            self._fail(unreachable(error))
        await self.until(self.is_open)

    def is_open(self) -> bool:
        """Tell whether TLS stands."""
        return self._tls.established

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is true of the conversation; raise Failure if it can not be."""
        while not condition():
            if self.failure:
                raise self.failure
            self._condition = condition
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            except asyncio.CancelledError:  # who waits no longer needs no connection
                self.close()
                raise

    def send(self, data: bytes) -> None:
        """Send what the conversation says unasked; raise Failure if the line is dead."""
        if self.failure:
            raise self.failure
        self._say(data)
        self._flush()
        self._look()

    def close(self) -> None:
        """Hang up, whatever is under way."""
        self._fail(Failure("connection-lost", "we hung up"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; asyncio has set TCP_NODELAY."""
        self._transport = cast(asyncio.Transport, transport)
        if self.failure:
            self._transport.abort()
            return
        self._set_alarm()
        self._turns.begin(self._begin)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Say where to read to."""
        return _room

    def buffer_updated(self, nbytes: int) -> None:
        """Carry bytes in, and what is answered out."""
        if self.failure or self._conversation.over:
            return
        if self._tls.established:
            self._carry(_room[:nbytes])
            return
        self._tls.hold(_room[:nbytes])
        if not self._shakes:
            self._shakes = True
            self._turns.go_on(self._shake)

    def _begin(self) -> None:
        if self._transport and not self.failure:
            self._transport.write(self._tls.begin())

    def _shake(self) -> None:
        if self._shakes and not self.failure:
            self._shakes = False
            self._carry(b"")

    def _carry(self, data: bytes | memoryview) -> None:
        stood = self._tls.established
        try:
            plain = self._tls.receive(data)
            if not stood and self._tls.established:
                self._say(self._conversation.begin(time.time(), time.monotonic()))
            if plain:
                self._say(self._conversation.receive(plain, time.monotonic()))
        except Failure as failure:
            self._flush()  # TLS tells the other side why
            self._fail(failure)
            return
        self._flush()
        self._look()
        if self._tls.ended:
            self.eof_received()

    def eof_received(self) -> None:
        """Note that the server sends nothing more; the transport then closes itself."""
        if self._shakes:  # its last word may say why
            self._shake()
        self._fail(Failure("connection-lost", "the server closed it"))

    def connection_lost(self, error: Exception | None) -> None:
        """Note that the connection is gone."""
        if self._shakes:
            self._shake()
        why = getattr(error, "strerror", None) or "it broke"
        during = "" if self._tls.established else " in the TLS hand-shake"
        self._fail(Failure("connection-lost", why + during))

    def _say(self, data: bytes) -> None:
        if data:
            self._tls.send(data)

    def _flush(self) -> None:
        data = self._tls.take()
        if data and self._transport:
            self._transport.write(data)

    # after each change: is what somebody waits for true, is all said, when is the next alarm?
    def _look(self) -> None:
        conversation = self._conversation
        if conversation.over:
            self._hang_up()
        elif conversation.due < self._alarm_at:
            self._set_alarm()
        if self._waiter and self._condition():
            self._wake_waiter()

    def _hang_up(self) -> None:
        self._stop_alarm()
        self._tls.end()
        self._flush()
        if self._transport:
            self._transport.close()

    def _fail(self, failure: Failure) -> None:
        if self.failure or self._conversation.over:
            return
        self.failure = failure
        self._stop_alarm()
        if self._transport and self._transport.get_write_buffer_size():
            self._transport.abort()  # who does not read what we sent reads no goodbye
        elif self._transport:
            self._transport.close()
        self._wake_waiter()

    def _wake_waiter(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)
        self._waiter = None

    # an alarm that rings too early is set again; only what is due earlier sets it anew
    def _set_alarm(self) -> None:
        self._stop_alarm()
        self._alarm_at = self._conversation.due
        if self._alarm_at < NEVER:
            delay = self._alarm_at - time.monotonic()
            self._alarm = asyncio.get_running_loop().call_later(max(delay, 0), self._ring)

    def _stop_alarm(self) -> None:
        self._alarm_at = NEVER
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None

    def _ring(self) -> None:
        self._alarm, self._alarm_at = None, NEVER
        tick = time.monotonic()
        try:
            if tick >= self._conversation.due:
                self._say(self._conversation.wake(tick))
        except Failure as failure:
            self._fail(failure)
            return
        self._flush()
        self._look()
