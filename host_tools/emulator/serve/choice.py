"""Choice: what a connection speaks, known by its first bytes.

Owns the wait for them. Doesn't own what is spoken then.
"""

import asyncio
from collections.abc import Callable
from typing import cast


class Choice(asyncio.Protocol):
    """A connection that has not spoken yet."""

    def __init__(
        self,
        beginning: bytes,
        one: Callable[[], asyncio.Protocol],
        other: Callable[[], asyncio.Protocol],
        patience: float,
    ) -> None:
        """one: for who says beginning; other: for everybody else; patience: seconds."""
        self._beginning = beginning
        self._one = one
        self._other = other
        self._patience = patience
        self._said = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait."""
        self._transport = cast(asyncio.Transport, transport)
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(self._patience, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        """Choose as soon as that can be done."""
        self._said += data
        start = self._said[: len(self._beginning)]
        if start == self._beginning:
            self._choose(self._one())
        elif not self._beginning.startswith(start):
            self._choose(self._other())

    def connection_lost(self, error: Exception | None) -> None:
        """Wait no longer."""
        self._deadline.cancel()

    def _choose(self, protocol: asyncio.Protocol) -> None:
        self._deadline.cancel()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(self._said)
