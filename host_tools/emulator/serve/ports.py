"""Ports: listen on one, and say what is wrong when that can not be done.

Owns the choice of a free port for all addresses of a name, and the words. Doesn't own what is
spoken there.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Callable

from host_tools.errors import CommandError

_BACKLOG = 8192  # a fleet that lost power together comes back together
_AT_ONCE = 32  # of it are let in, then those who are in get their turn
_TRIES = 20  # for a port that is free for both IPv4 and IPv6


async def listen(
    protocol: Callable[[], asyncio.BaseProtocol], host: str, port: int, option: str
) -> asyncio.Server:
    """Listen on host and port (0: a free one); option: names the port on the command line.

    Raises CommandError.
    """
    if not host:
        raise CommandError("the host to listen on is empty: name one with --host")
    try:
        return await _listen(protocol, host, port)
    except OSError as error:
        raise CommandError(_why(error, host, port, option)) from None


def port_of(server: asyncio.Server) -> int:
    """Return the port that a server listens on."""
    port: int = server.sockets[0].getsockname()[1]
    return port


async def _listen(
    protocol: Callable[[], asyncio.BaseProtocol], host: str, port: int
) -> asyncio.Server:
    loop, taken = asyncio.get_running_loop(), port
    for _ in range(_TRIES):
        try:
            # to asyncio, how many it accepts before it looks at anybody else
            server = await loop.create_server(protocol, host, taken, backlog=_AT_ONCE)
        except OSError:
            if taken == port:
                raise
            taken = port  # free for one family, not for the other: another free one, then
            continue
        ports = [one.getsockname()[1] for one in server.sockets]
        if len(set(ports)) == 1:
            _queue(server)
            return server
        # a name with two addresses, each with a free port of its own: the first for both
        server.close()
        taken = ports[0]
    raise OSError(errno.EADDRINUSE, "no port is free for all addresses of this name")


# how many may wait to be accepted is the kernel's business
def _queue(server: asyncio.Server) -> None:
    for one in server.sockets:
        with socket.socket(fileno=os.dup(one.fileno())) as same:
            same.listen(_BACKLOG)


def _why(error: OSError, host: str, port: int, option: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is in use: stop the program that has it"
            f" (`ss -ltnp 'sport = :{port}'` names it) or choose another with {option}"
        )
    if error.errno == errno.EACCES:
        return f"port {port} needs rights you do not have: choose one above 1023 with {option}"
    return f"can not listen on {host}, port {port}: {error.strerror or error}"
