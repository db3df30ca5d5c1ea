"""Ports of 127.0.0.1 that are somebody's own, also while nothing listens there.

A port that was only seen to be free may be another process's a moment later. These are held by
sockets that are bound and do not listen: the system gives them to nobody, and who connects is
refused.
"""

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def kept_port() -> Iterator[int]:
    """Lend a port for a server: whoever asks for just this one, with SO_REUSEADDR, gets it."""
    with ExitStack() as stack:
        yield held(stack, 0)


def held(stack: ExitStack, port: int, alone: bool = False) -> int:
    """Bind a port, 0 for any, until the stack ends; alone: so that nobody else can."""
    holder = stack.enter_context(socket.socket())
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, not alone)
    holder.bind(("127.0.0.1", port))
    number = int(holder.getsockname()[1])
    if sys.platform != "linux" and not alone:  # there no other socket could have it meanwhile
        holder.close()
    return number
