"""The stream: verified TLS over TCP, in one-packet writes and bounded waits.

Owns the socket. It has the face of the socket that umqtt.simple makes for itself, without its
faults: what is written goes out as one TLS record when the caller next reads or flushes, a read
returns exactly what was asked for, and every wait ends at the deadline that start() set.
TLS is always verified: there is no way to ask for less.
"""

import select
import time

from keystead.failure import Failure

_BUFFER = 1024  # bytes; a CONNECT with two 128-character names and a SAS token fits
# made once and early: a full heap has no such piece left. There is one connection at a time
_out = bytearray(_BUFFER)


class Stream:
    """One connection. Not for two users at once; start() gives each operation its limit."""

    def __init__(self, raw, encrypted):
        """raw: a connected non-blocking socket; encrypted: TLS around it."""
        self._raw = raw
        self._tls = encrypted
        self._poller = select.poll()
        self._poller.register(raw, select.POLLIN)
        self._tls_poller = select.poll()
        self._tls_poller.register(encrypted, select.POLLIN)
        self._filled = 0
        self.is_open = True

    def start(self, limit: int, what: str) -> None:
        """Begin an operation that may take limit milliseconds; what: what it waits for."""
        self._ends = time.ticks_add(time.ticks_ms(), limit)
        self._what = what

    def left(self) -> int:
        """Return the milliseconds left. Raises Failure no-answer when there are none."""
        left = time.ticks_diff(self._ends, time.ticks_ms())
        if left <= 0:
            self.is_open = False  # whatever comes later is out of step
            raise Failure("no-answer", "waiting for " + self._what)
        return left

    def _broken(self, error: Exception) -> Failure:
        self.is_open = False
        from rim.broken import named

        return named(error)

    def _require_open(self) -> None:
        if not self.is_open:
            raise Failure("connection-lost", "it is closed")

    # ---- the face umqtt.simple knows

    def connect(self, address) -> None:
        """Do nothing: rim.dial connected already, and start() bounds every wait."""

    setblocking = settimeout = connect  # on ESP32 setblocking(True) would cancel a time-out

    def write(self, data, size: int = -1) -> None:
        """Take data, or its first size bytes, into the packet that goes out at the next flush."""
        if size < 0:
            size = len(data)
        elif size < len(data):
            data = memoryview(data)[:size]
        end = self._filled + size
        if end > _BUFFER:
            self.flush()
            end = size
        if size > _BUFFER:
            self._send(data, size)
            return
        _out[self._filled : end] = data
        self._filled = end

    def put(self, byte: int) -> None:
        """Take one byte; unlike write() it leaves no garbage behind."""
        if self._filled == _BUFFER:
            self.flush()
        _out[self._filled] = byte
        self._filled += 1

    def read(self, size: int) -> bytearray:
        """Return exactly size bytes; what was written goes out first. Raises Failure."""
        data = bytearray(size)
        self.readinto(data, size)
        return data

    def close(self) -> None:
        """Close both layers; safe at any time."""
        self.is_open = False
        for layer in (self._tls, self._raw):
            try:
                layer.close()
            except OSError:  # it is gone already, which is what we want
                pass

    # ---- bytes

    def flush(self) -> None:
        """Send what was written, as one TLS record."""
        size, self._filled = self._filled, 0
        if size:
            self._send(_out, size)

    def _send(self, data, size: int) -> None:
        self._require_open()
        sent = 0
        while sent < size:
            try:
                count = self._tls.write(data, sent, size - sent)
            except (OSError, ValueError) as error:
                raise self._broken(error)
            if count:
                sent += count
            elif sent < size:
                # TLS knows which direction its hand-shake waits for, the socket does not
                self._tls_poller.modify(self._tls, select.POLLOUT)
                self._tls_poller.poll(min(self.left(), 50))
                self._tls_poller.modify(self._tls, select.POLLIN)

    def readinto(self, buffer, size: int) -> None:
        """Fill the first size bytes of buffer. Raises Failure."""
        if self._filled:
            self.flush()
        self._require_open()
        got = 0
        while got < size:
            count = self.some(buffer, size - got)
            if count is None:
                # TLS has nothing decrypted left: then the socket may be asked, and ipoll() on a
                # socket sleeps in the kernel and leaves no garbage
                for _ in self._poller.ipoll(self.left()):
                    pass
            else:
                got += count
                if got < size:
                    buffer = memoryview(buffer)[count:]

    def some(self, buffer, size: int):
        """Take up to size bytes; None if there are none now. Raises Failure."""
        try:
            count = self._tls.readinto(buffer, size)
        except (OSError, ValueError) as error:
            raise self._broken(error)
        if count == 0:
            self.is_open = False
            raise Failure("connection-lost", "the server closed it")
        return count

    def readable(self, wait: int) -> bool:
        """Tell whether something came, waiting up to wait milliseconds: a byte, or TLS's own."""
        self.flush()
        # asks TLS, not the socket: it counts bytes that are decrypted already
        return bool(self._tls_poller.poll(wait))
