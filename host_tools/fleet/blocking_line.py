"""BlockingLine: a conversation on a TCP connection, one step after the other.

Owns a blocking socket, made green where gevent has patched the standard library: there each
device is a greenlet, as Locust has it. Doesn't own a word that is said: see line.py, its twin.
"""

import socket
import ssl
import time
from collections.abc import Callable

from host_tools.fleet.conversation import NEVER, Conversation
from host_tools.fleet.place import Place, unreachable
from host_tools.fleet.tls import failure
from keystead.failure import Failure

_PART = 4096  # bytes taken at a time
_LONGEST = 3600  # seconds that a wait lasts at most


class BlockingLine:
    """One connection of one device."""

    def __init__(self, conversation: Conversation, context: ssl.SSLContext) -> None:
        self._conversation = conversation
        self._context = context
        self._socket: ssl.SSLSocket | None = None

    def open(self, place: Place) -> None:
        """Connect, shake hands and say the first word; raise Failure."""
        talk = self._conversation
        talk.dial(time.monotonic())
        try:
            raw = socket.create_connection(place, timeout=talk.limit)
        except OSError as error:
            raise unreachable(error) from None
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._socket = self._context.wrap_socket(raw, server_hostname=talk.host)
        except TimeoutError:
            raise Failure("no-answer", "waiting for TCP and TLS") from None
        except ssl.SSLError as error:
            raise failure(error) from None
        except OSError as error:
            detail = f"{error.strerror or error} in the TLS hand-shake"
            raise Failure("connection-lost", detail, error.errno or 0) from None
        self.send(talk.begin(time.time(), time.monotonic()))

    def until(self, condition: Callable[[], bool], seconds: float = NEVER) -> None:
        """Carry words until something is true, or for so many seconds; raise Failure."""
        end = time.monotonic() + seconds
        while not condition():
            tick = time.monotonic()
            if tick >= end:
                return
            if tick >= self._conversation.due:
                self.send(self._conversation.wake(tick))
                continue
            data = self._receive(min(end, self._conversation.due) - tick)
            if data:
                self.send(self._conversation.receive(data, time.monotonic()))
        if self._conversation.over:
            self.close()

    def send(self, data: bytes) -> None:
        """Send what the conversation says; raise Failure."""
        if not data:
            return
        if self._socket is None:
            raise Failure("connection-lost", "it is closed")
        self._socket.settimeout(self._conversation.limit)
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise _broken(error) from None

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    # b"" if nothing came in time
    def _receive(self, seconds: float) -> bytes:
        if self._socket is None:
            raise Failure("connection-lost", "it is closed")
        self._socket.settimeout(max(0.001, min(seconds, _LONGEST)))
        try:
            data = self._socket.recv(_PART)
        except TimeoutError:
            return b""
        except OSError as error:
            raise _broken(error) from None
        if not data:
            raise Failure("connection-lost", "the server closed it")
        return data


def _broken(error: OSError) -> Failure:
    return Failure("connection-lost", error.strerror or str(error), error.errno or 0)
