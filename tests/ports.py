"""Ports of 127.0.0.1 that are one test's own, also while nothing listens there.

A port that was only seen to be free may be another process's a moment later. These are held by
sockets that are bound and do not listen: the system gives them to nobody, and who connects is
refused.
"""

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_ROWS = range(20_000, 30_000)  # where the system does not take ports from by itself


@contextmanager
def unheard() -> Iterator[int]:
    """Lend a port at which nobody listens, and nobody can."""
    with ExitStack() as stack:
        yield _held(stack, 0, alone=True)


@contextmanager
def kept_port() -> Iterator[int]:
    """Lend a port for a server of the test: whoever asks for it, with SO_REUSEADDR, gets it."""
    with ExitStack() as stack:
        yield _held(stack, 0)


@contextmanager
def kept_row(count: int) -> Iterator[int]:
    """Lend so many ports in a row, of which this is the first."""
    for gate in _ROWS[:: count + 1]:
        with ExitStack() as stack:
            try:
                _held(stack, gate, alone=True)  # a second row is not held at the same place
                for port in range(gate + 1, gate + 1 + count):
                    _held(stack, port)
            except OSError:
                continue
            yield gate + 1
            return
    raise AssertionError("no free ports")


def _held(stack: ExitStack, port: int, alone: bool = False) -> int:
    """Bind a port until the stack ends; alone: so that nobody else can."""
    holder = stack.enter_context(socket.socket())
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, not alone)
    holder.bind(("127.0.0.1", port))
    number = int(holder.getsockname()[1])
    if sys.platform != "linux" and not alone:  # there no other socket could have it meanwhile
        holder.close()
    return number
