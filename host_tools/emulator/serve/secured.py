"""Secured: TLS between a socket and a protocol of asyncio's, as asyncio's own would be.

Owns the hand-shake, its deadline and its failures, which are told, and the farewell. Doesn't own
records (tls.py) nor what is said in them. A connection can be ended before its hand-shake is
through, which asyncio's own TLS allows only from Python 3.13 on.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, cast

from host_tools.emulator.host_names import place
from host_tools.emulator.serve.tls import TlsError, TlsServer

_PATIENCE = 20.0  # seconds for a hand-shake, and for who does not take the last of what we said
_GAVE_UP = "it gave up the TLS hand-shake: does it trust the CA?"


class Secured(asyncio.Protocol):
    """One connection: TLS, and behind it a protocol that knows nothing of it."""

    def __init__(
        self,
        context: ssl.SSLContext,
        inner: Callable[[], asyncio.Protocol],
        connections: set["Secured"],
        failed: Callable[[str, str], object],
    ) -> None:
        """inner: makes the protocol when the hand-shake is through; connections: all there are.

        failed: told an address, and why its hand-shake failed.
        """
        self._context = context
        self._make = inner
        self._connections = connections
        self._failed = failed
        self._tls = TlsServer(context)
        self._inner: asyncio.Protocol | None = None
        self._closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)
        self._forced = asyncio.get_running_loop().call_later(_PATIENCE, self._too_late)

    def data_received(self, data: bytes) -> None:
        """Carry bytes in."""
        if self._closing:  # OpenSSL might answer, and our half is closed
            return
        try:
            plain = self._tls.receive(data)
        except TlsError as error:
            self._fail(f"TLS: {error}")
            return
        self._flush()
        if self._tls.established and self._inner is None:
            self._forced.cancel()
            self._inner = self._make()
            self._inner.connection_made(SecuredTransport(self))
        if self._inner and plain:
            self._inner.data_received(plain)
        if self._tls.ended:
            self.close()

    def eof_received(self) -> None:
        """Note that the other side sends nothing more; the transport then closes itself."""
        if not self._tls.established:
            self._fail(_GAVE_UP)
        self.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Note that the connection is gone."""
        self._forced.cancel()
        self._connections.discard(self)
        if self._inner:
            self._inner.connection_lost(error)
        elif not self._closing:
            self._fail(_GAVE_UP)
        self._closing = True  # nothing is left to be closed
        self._forced.cancel()

    def pause_writing(self) -> None:
        """Pass on that the other side does not take what it is sent."""
        if self._inner:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that it does again."""
        if self._inner:
            self._inner.resume_writing()

    def send(self, data: bytes) -> None:
        """Send bytes, unless the connection closes already."""
        if data and not self._closing:
            self._tls.send(data)
            self._flush()

    def close(self) -> None:
        """End the connection when all was sent, by force if that takes too long."""
        if self._closing:
            return
        self._closing = True
        self._tls.end()
        self._flush()
        self._transport.close()
        self._forced.cancel()
        self._forced = asyncio.get_running_loop().call_later(_PATIENCE, self._transport.abort)

    def abort(self) -> None:
        """End the connection now."""
        self._closing = True
        self._transport.abort()

    def _too_late(self) -> None:
        self._fail("its TLS hand-shake took too long")
        self.abort()

    def _fail(self, why: str) -> None:
        if not self._closing:
            peer = self._transport.get_extra_info("peername") or ("", 0)
            self._failed(place(peer[0], peer[1]), why)
            self.close()

    def _flush(self) -> None:
        data = self._tls.take()
        if data:
            self._transport.write(data)


class SecuredTransport(asyncio.Transport):
    """What the inner protocol writes to."""

    def __init__(self, secured: Secured) -> None:
        super().__init__()
        self._secured = secured
        self._raw = secured._transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the connection."""
        if name == "sslcontext":
            return self._secured._context
        return self._raw.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes."""
        self._secured.send(bytes(data))

    def close(self) -> None:
        """End the connection when all was sent."""
        self._secured.close()

    def abort(self) -> None:
        """End the connection now."""
        self._secured.abort()

    def is_closing(self) -> bool:
        """Tell whether the connection ends."""
        return self._secured._closing or self._raw.is_closing()

    def pause_reading(self) -> None:
        """Take nothing more."""
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Go on."""
        self._raw.resume_reading()

    def is_reading(self) -> bool:
        """Tell whether bytes are taken."""
        return self._raw.is_reading()

    def can_write_eof(self) -> bool:
        """Tell that one half alone can not be closed."""
        return False

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait."""
        return self._raw.get_write_buffer_size()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let another protocol take over."""
        self._secured._inner = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol behind this transport."""
        assert self._secured._inner is not None
        return self._secured._inner
