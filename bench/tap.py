"""A tap: a TCP proxy that counts the TLS records a client sends between two answers.

Owns the record headers, which are in clear, and the sockets that carry them through unchanged.
Source: RFC 5246, section 6.2.1.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

APPLICATION_DATA = 23
_HEADER = 5  # type, version (2), length (2)


class Records:
    """One direction of a TLS connection, cut into its records."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Take pieces of any size; give (type, bytes with header) of each whole record."""
        self._buffer += data
        while len(self._buffer) >= _HEADER:
            size = _HEADER + int.from_bytes(self._buffer[3:5], "big")
            if len(self._buffer) < size:
                return
            kind, self._buffer = self._buffer[0], self._buffer[size:]
            yield kind, size


@dataclass
class Turn:
    """What a client said before it was answered: records of application data, their bytes."""

    records: int = 0
    size: int = 0


@dataclass
class Turns:
    """A conversation, as a list of what was answered; hand-shake and alerts don't count."""

    answered: list[Turn] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._open = Turn()
        self._client, self._server = Records(), Records()

    def from_client(self, data: bytes) -> None:
        """Count what the client sends."""
        for kind, size in self._client.feed(data):
            if kind == APPLICATION_DATA:
                self._open.records += 1
                self._open.size += size

    def from_server(self, data: bytes) -> None:
        """Let an answer end the turn."""
        for kind, _ in self._server.feed(data):
            if kind == APPLICATION_DATA and self._open.records:
                self.answered.append(self._open)
                self._open = Turn()


@contextmanager
def tapped(port: int) -> Iterator[tuple[int, Turns]]:
    """Lead one connection to port on loopback; give where to dial, and what is counted."""
    turns = Turns()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        carrier = threading.Thread(target=_carry, args=(listener, port, turns), daemon=True)
        carrier.start()
        yield listener.getsockname()[1], turns


def _carry(listener: socket.socket, port: int, turns: Turns) -> None:
    with suppress(OSError):  # either end may hang up as it likes
        client, _ = listener.accept()
        with client, socket.create_connection(("127.0.0.1", port)) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(
                target=_pump, args=(server, client, turns.from_server), daemon=True
            )
            back.start()
            _pump(client, server, turns.from_client)


# what is counted is counted before it is passed on: nobody can answer sooner
def _pump(source: socket.socket, sink: socket.socket, count: Callable[[bytes], None]) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            count(data)
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
