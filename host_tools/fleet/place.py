"""Place: where a fleet goes, one address and port for every host name, and why it can not.

Owns the look-up, made once for all devices, and the words for a connection that does not come
about.
"""

import errno
import os
import re
import socket

from host_tools.errors import CommandError
from keystead.failure import Failure

Place = tuple[str, int]  # address and port

_PROBE = 2  # seconds


def resolved(text: str, option: str) -> Place:
    """Return the address and port of HOST:PORT; raise CommandError."""
    match = re.fullmatch(r"\[?([^]\s]+?)\]?:([0-9]{1,5})", text)
    if not match or not 0 < int(match[2]) < 65536:
        raise CommandError(f"{option} {text[:80]!r}: write HOST:PORT, e.g. 127.0.0.1:8883")
    try:
        found = socket.getaddrinfo(match[1], int(match[2]), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "that is no host name"
        raise CommandError(f"{option} {text[:80]!r}: {why}") from None
    places = [(str(address[4][0]), int(match[2])) for address in found]
    return next(filter(_answers, places), places[0]) if len(places) > 1 else places[0]


# localhost is ::1 as well, where a cloud may not listen
def _answers(place: Place) -> bool:
    try:
        socket.create_connection(place, timeout=_PROBE).close()
    except OSError:
        return False
    return True


# not strerror: asyncio writes the address there
def _words(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)


def unreachable(error: OSError) -> Failure:
    """Return why there is no connection."""
    if isinstance(error, TimeoutError):
        return Failure("no-answer", "waiting for TCP")
    detail = {
        errno.EMFILE: "too many open files: raise `ulimit -n`",
        errno.ENFILE: "too many open files on this machine",
        errno.EADDRNOTAVAIL: "no local port is left: see docs/scale.md",
    }.get(error.errno or 0, _words(error))
    return Failure("unreachable", detail, error.errno or 0)
