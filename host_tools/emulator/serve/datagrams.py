"""Serve the stand-ins for DNS and NTP over UDP.

Owns the sockets and the wait before a late answer. Doesn't own a byte of what is said: names.py
and clock.py.

    names = Names({"*.azure-devices.net": "192.0.2.1"}, cloud.faults)
    async with serve_datagrams(names.answer, "127.0.0.1", 0, "DNS") as port:
        ...
"""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

from host_tools.emulator.time_source import SYSTEM, TimeSource
from host_tools.errors import CommandError

# data, the other side's address, now -> the answer and the seconds it is late, or None
Answer = Callable[[bytes, str, float], tuple[bytes, float] | None]

_WAITING = 10_000  # late answers; more are not given


@asynccontextmanager
async def serve_datagrams(
    answer: Answer, host: str, port: int, what: str, clock: TimeSource = SYSTEM
) -> AsyncIterator[int]:
    """Answer datagrams on host and port (0: a free one) until the block ends; give the port.

    what: for the complaint, e.g. "DNS". Raises CommandError.
    """
    loop = asyncio.get_running_loop()
    try:
        transport, protocol = await loop.create_datagram_endpoint(
            lambda: _Datagrams(answer, clock), local_addr=(host, port)
        )
    except OSError as error:
        raise CommandError(_why(error, host, port, what)) from None
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()
        await protocol.closed.wait()


class _Datagrams(asyncio.DatagramProtocol):
    """One UDP socket."""

    def __init__(self, answer: Answer, clock: TimeSource) -> None:
        self.closed = asyncio.Event()
        self._answer = answer
        self._clock = clock
        self._late: set[asyncio.TimerHandle] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """Answer, at once or later."""
        answer = self._answer(data, address[0], self._clock.time())
        if answer is None:
            return
        body, delay = answer
        if not delay:
            self._transport.sendto(body, address)
        elif len(self._late) < _WAITING:
            self._send_later(delay, body, address)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget what is late."""
        for timer in self._late:
            timer.cancel()
        self.closed.set()

    def _send_later(self, delay: float, body: bytes, address: tuple[str, int]) -> None:
        def send() -> None:
            self._late.discard(timer)
            self._transport.sendto(body, address)

        timer = asyncio.get_running_loop().call_later(delay, send)
        self._late.add(timer)


def _why(error: OSError, host: str, port: int, what: str) -> str:
    if error.errno == errno.EACCES:
        return f"UDP port {port} for {what} needs rights you do not have: choose one above 1023"
    if error.errno == errno.EADDRINUSE:
        return f"UDP port {port} on {host} is in use: choose another for {what}"
    return f"can not answer {what} on {host}, UDP port {port}: {error.strerror or error}"
