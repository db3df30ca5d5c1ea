"""socket, as on an ESP32: lwIP's error numbers, a limit of sockets, and its way with time-outs.

Copied from MicroPython's modsocket.c. A socket that nobody refers to is closed when garbage is
collected. What is done seldom is in lwip.py, which leaves the heap again: it is a chip's.
"""

import gc
import sys

import chip
import time_server
import uio
import uselect
import usocket
from usocket import AF_INET, SOCK_DGRAM, SOCK_STREAM  # noqa: F401

_MOST = 12  # CONFIG_LWIP_MAX_ACTIVE_TCP of MicroPython's images
_ENFILE, _EINVAL = 23, 22
_POLL, _CLOSE, _FILENO = 3, 4, 10  # requests to MicroPython's streams


def _lwip(name, *arguments):
    import lwip

    try:
        return getattr(lwip, name)(*arguments)
    finally:
        del sys.modules["lwip"]


_others = _lwip("count")  # the bench's own


class Socket(uio.IOBase):
    """A TCP or UDP socket. What is not here is as the Unix port has it."""

    def __init__(self, *kind):
        if _lwip("count") - _others >= _MOST:
            gc.collect()
            if _lwip("count") - _others >= _MOST:
                raise OSError(_ENFILE)
        self._raw = usocket.socket(*kind)
        self._file = uio.open(self._raw.fileno(), "rb")  # closes the socket when it is collected
        self._poller = None

    def __getattr__(self, name):
        return getattr(self._raw, name)

    def connect(self, address):
        try:
            self._raw.connect(address)
        except OSError as error:
            raise OSError(_lwip("number", error))

    def setblocking(self, flag):
        self._raw.settimeout(None if flag else 0)

    def settimeout(self, seconds):
        self._raw.settimeout(seconds and seconds / chip.SPEED)

    def read(self, *size):
        try:
            return self._raw.read(*size)
        except OSError as error:
            raise OSError(_lwip("number", error))

    def readinto(self, buffer):
        try:
            return self._raw.readinto(buffer)
        except OSError as error:
            return -_lwip("number", error)  # so says a stream of Python what went wrong

    def write(self, data):
        try:
            return self._raw.write(data)
        except OSError as error:
            return -_lwip("number", error)

    def ioctl(self, request, argument):
        if request == _FILENO:
            return self._raw.fileno()
        if request == _POLL:  # asked by TLS only; select.poll() asks the host
            return self._events(argument)
        if request != _CLOSE:
            return -_EINVAL
        self._file.close()
        return 0

    def _events(self, wanted):
        if self._poller is None:
            self._poller = uselect.poll()
            self._poller.register(self._raw)
        self._poller.modify(self._raw, wanted)
        for _, events in self._poller.ipoll(0):
            return events
        return 0

    def close(self):
        self._file.close()


def socket(family=AF_INET, *rest):
    """Return a socket; what getaddrinfo() said of a time server leads to time_server.py."""
    return time_server.Line() if family == time_server.FAMILY else Socket(family, *rest)


def getaddrinfo(*question):
    return _lwip("getaddrinfo", *question)
