"""socket, with the bench's DNS in front: names of the chip file lead to the bench."""

import chip
import time_server
import usocket
import world
from usocket import *

_NO_NAME = -202  # EAI_FAIL, as lwIP numbers it


def socket(family=usocket.AF_INET, *rest):
    """Return a socket; what getaddrinfo() said of a time server leads to time_server.py."""
    return time_server.Line() if family == time_server.FAMILY else usocket.socket(family, *rest)


def _known(host, port):
    """Return what the chip file calls a host at a port, None if it has no word for it."""
    names = ["%s:%d" % (host, port), host, "*:%d" % port]
    if port != time_server.PORT:  # of time servers the chip file has a list: see chip.py
        names.append("*")
    for name in names:
        if name in chip.HOSTS:
            return name


def getaddrinfo(host, port, *rest):
    """Look host up on the bench first, then on the network; the bench may move the port too."""
    if not world.reaches():
        raise OSError(_NO_NAME)
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
