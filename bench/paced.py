"""A TCP line as slow as a UART: what one end sends reaches the other at so many bits a second.

Stands between a station and a virtual board, which itself is as fast as this machine.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

BITS = 10  # of a byte on a UART: start, eight, stop
_CHUNK = 0.01  # seconds of line at a time
_LATE = 0.002  # seconds that this machine may oversleep, made good by the next piece


@contextmanager
def paced(port: int, baud: int) -> Iterator[int]:
    """Lend a loopback port that leads to another, one client after the other, at this rate."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener, port, baud), daemon=True).start()
        yield listener.getsockname()[1]


def _serve(listener: socket.socket, port: int, baud: int) -> None:
    with suppress(OSError):  # closed: it is over
        while True:
            near = listener.accept()[0]
            far = socket.create_connection(("127.0.0.1", port))
            for end in (near, far):  # a UART waits for nobody's acknowledgement
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, target in ((near, far), (far, near)):
                words = (source, target, baud // BITS)
                threading.Thread(target=_carry, args=words, daemon=True).start()


def _carry(source: socket.socket, target: socket.socket, rate: int) -> None:
    free = time.monotonic()  # when the line has carried all there was
    with suppress(OSError):
        while data := source.recv(max(1, int(rate * _CHUNK))):
            free = max(free, time.monotonic() - _LATE) + len(data) / rate
            time.sleep(max(0.0, free - time.monotonic()))
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
            end.close()
