"""Dialling: from a host name to a stream on which TLS can begin.

Owns name, addresses and TCP. Loaded to connect, forgotten once connected.
"""

import errno
import select
import socket
import time

from keystead.failure import Failure
from rim.stream import Stream


def open_stream(host: str, port: int, context, limit: int) -> Stream:
    """Return a TCP stream to host, ready for the TLS hand-shake, which the first flush makes.

    context: a tls.SSLContext with roots; host goes out as SNI and must be in the certificate.
    limit: milliseconds for TCP, all of host's addresses together. Raises Failure.
    """
    raw = _dial(_addresses(host, port), time.ticks_add(time.ticks_ms(), limit))
    try:
        # 6, 1: TCP, NODELAY; packets are whole, waiting to fill a segment only costs 40 ms
        raw.setsockopt(6, 1, 1)
        # a hand-shake inside the constructor could not be bounded; so the first write makes it
        encrypted = context.wrap_socket(raw, server_hostname=host, do_handshake_on_connect=False)
        return Stream(raw, encrypted)
    except OSError as error:
        raw.close()
        raise Failure("tls-failed", "before the hand-shake", error.args[0])
    except BaseException:  # MemoryError, Ctrl-C: twelve sockets are all a board has
        raw.close()
        raise


def _addresses(host: str, port: int) -> list:
    try:
        return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    except OSError as error:  # -202 on ESP32
        raise Failure("name-unknown", host, error.args[0])


def _dial(addresses: list, ends):
    """Return a connected non-blocking socket to the first address that answers before ends."""
    failure = Failure("name-unknown", "it has no address")
    for address in addresses:
        try:
            raw = socket.socket(address[0], socket.SOCK_STREAM)
        except OSError as error:
            raise Failure("sockets-exhausted", "none is left", error.args[0])
        try:
            _connect(raw, address[-1], ends)
            return raw
        except OSError as error:
            raw.close()
            failure = Failure("unreachable", code=error.args[0])
        except BaseException:  # the time for all addresses is up, or Ctrl-C
            raw.close()
            raise
    raise failure


def _connect(raw, address, ends) -> None:
    raw.setblocking(False)
    try:
        raw.connect(address)
    except OSError as error:
        if error.args[0] != errno.EINPROGRESS:
            raise
    poller = select.poll()
    # lwIP calls a failed connection writable; only who asks for POLLHUP hears of the failure
    poller.register(raw, select.POLLOUT | select.POLLHUP)
    events = None
    while not events:
        left = time.ticks_diff(ends, time.ticks_ms())
        if left <= 0:
            raise Failure("no-answer", "waiting for the TCP connection")
        events = poller.poll(left)
    if events[0][1] & (select.POLLERR | select.POLLHUP):
        raw.read(1)  # raises what the connection met
        raise OSError(errno.ECONNREFUSED)
