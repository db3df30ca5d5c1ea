"""What has come over a socket and was not read yet: waits without polling, hands out in bulk.

Owns the receiving half of a connection. Doesn't own what is sent, nor telnet (protocol_rfc2217).
"""

import selectors
import socket
import time
from collections.abc import Callable

from serial import PortNotOpenError, SerialException  # type: ignore[import-untyped]

_AT_ONCE = 1 << 16
_KEPT = 1 << 20  # bytes; who sends more than is read loses the oldest, as at a UART
_LOOK = 0.5  # seconds of one wait: a machine that stood still amid it has lost no more than that
_ROUNDS = 64  # times that what has come is taken at once: some send without end


class Inbox:
    """Bytes of one connection; decode: takes what came, returns what of it is data."""

    def __init__(
        self,
        connection: socket.socket,
        decode: Callable[[bytes], bytes] = bytes,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.data = bytearray()
        self.ended = False  # nothing more will come
        self._connection, self._decode, self._clock = connection, decode, clock
        self._selector = selectors.DefaultSelector()
        self._selector.register(connection, selectors.EVENT_READ)

    def close(self) -> None:
        """Give the waiting up; the connection is another's to close."""
        self._selector.close()

    def pull(self, timeout: float | None) -> bool:
        """Wait up to timeout seconds (None: for ever) and take what came; return whether any."""
        if self.ended or not self._selector.select(timeout):
            return False
        try:
            came = self._connection.recv(_AT_ONCE)
        except OSError:
            came = b""
        self.ended = not came
        self.data += self._decode(came)
        del self.data[:-_KEPT]
        return True

    def waiting(self) -> int:
        """Return how many bytes can be read at once."""
        for _ in range(_ROUNDS):
            if not self.pull(0) or self.ended:
                break
        return len(self.data)

    def look(self, left: float) -> tuple[bool, float]:
        """Wait a part of what is left and take what came; return whether any, and the rest."""
        begun, look = self._clock(), min(left, _LOOK)
        came = self.pull(look)
        return came, left - (min(self._clock() - begun, look) if came else look)

    def read(self, size: int, timeout: float | None) -> bytes:
        """Return size bytes, or what has come when timeout seconds are over.

        Time in which the machine stood still is not counted: the other end may have, too.
        """
        left = timeout
        while len(self.data) < size and not self.ended:
            if left is None:
                self.pull(None)
                continue
            _, left = self.look(left)
            if left == 0:
                self.waiting()  # takes what is there; not for ever, where commands never end
                break
        if self.ended and not self.data and size:
            raise SerialException("the other end has closed the connection")
        taken = bytes(self.data[:size])
        del self.data[:size]
        return taken


class InboxPort:
    """What a serial port does with its inbox: the half that pyserial's protocols have in common.

    Mixed into pyserial's own class, whose open() sets _inbox.
    """

    is_open: bool
    _inbox: Inbox
    _timeout: float | None  # pyserial's

    @property
    def in_waiting(self) -> int:
        """Return how many bytes can be read at once."""
        self._check()
        return self._inbox.waiting()

    def read(self, size: int = 1) -> bytes:
        """Return size bytes, or what has come within the port's time-out."""
        self._check()
        return self._inbox.read(size, self._timeout)

    def _check(self) -> None:
        if not self.is_open:
            raise PortNotOpenError()


def connect(address: tuple[str, int], url: str) -> socket.socket:
    """Return a connection; SerialException, with the errno, if there is none."""
    try:
        connection = socket.create_connection(address, timeout=10)
    except OSError as error:
        raise SerialException(error.errno, f"Could not open port {url}: {error}") from None
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection
