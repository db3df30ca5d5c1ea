"""What lwIP does seldom: look up a name, run out of sockets, fail. socket.py loads it to ask.

The bench's DNS stands before the network's: names of the chip file lead to the bench. The member
"dns" of the file chip.AIR, see network.py, is -1 where there is no name it knows, 0 where no DNS
server answers, and null where lwIP never comes back, as boards in the field say of it.
"""

import os

import chip
import time_server
import usocket
import world
from network import air

_NO_NAME = -202  # EAI_FAIL
_SILENCE = 14_000  # milliseconds: DNS_MAX_RETRIES, after 1, 1, 2 and 3 s, of two servers
# Linux's errno to what lwIP says of the same, as newlib numbers it. lwIP calls EPIPE ENOTCONN,
# ECONNREFUSED ECONNRESET and ENETUNREACH EHOSTUNREACH
_ERRNO = {
    32: 128, 98: 112, 101: 118, 103: 113, 106: 127, 107: 128, 110: 116, 111: 104, 113: 118,
    114: 120, 115: 119,
}  # fmt: skip


def number(error):
    """Return lwIP's errno of an OSError of Linux."""
    return _ERRNO.get(error.args[0], error.args[0])


def count():
    """Return how many sockets are open."""
    count = 0
    for name, *_ in os.ilistdir(chip.FILES):
        try:
            count += os.stat(chip.FILES + "/" + name)[0] & 0o170000 == 0o140000
        except OSError:  # the list's own
            pass
    return count


def _known(host, port):
    """Return what the chip file calls a host at a port, None if it has no word for it."""
    names = ["%s:%d" % (host, port), host, "*:%d" % port]
    if port != time_server.PORT:  # of time servers the chip file has a list: see chip.py
        names.append("*")
    for name in names:
        if name in chip.HOSTS:
            return name


def _ask():
    """Take as long as DNS servers do, and longer where there is none."""
    dns = air().get("dns", 1)
    while dns is None:
        world.sleep_ms(60_000)
    if not dns:
        world.sleep_ms(_SILENCE)
    if dns < 1 or not world.reaches():
        raise OSError(_NO_NAME)


def getaddrinfo(host, port, *rest):
    """Look host up on the bench first, then on the network; the bench may move the port too."""
    _ask()
    name = _known(host, port)
    if name is None and port == time_server.PORT:
        return [(time_server.FAMILY, usocket.SOCK_DGRAM, 0, "", host)]
    place = chip.HOSTS.get(name, (host, port))
    if place is None:
        raise OSError(_NO_NAME)
    try:
        return usocket.getaddrinfo(*place, *rest)
    except OSError:  # the Unix port has a text in it
        raise OSError(_NO_NAME)
