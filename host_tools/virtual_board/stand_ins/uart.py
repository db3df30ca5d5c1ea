"""machine.UART, as on an ESP32: a serial line to the tty, pipe or file the chip file names."""

import array
import io
import select
import time

import chip
import ffi

_libc = ffi.open(None)
_open = _libc.func("i", "open", "si")
_close = _libc.func("i", "close", "i")
_read = _libc.func("i", "read", "ipL")
_write = _libc.func("i", "write", "iPL")
_waiting = _libc.func("i", "ioctl", "iLp")
_FIONREAD = 0x541B
_RDWR_NOCTTY_NONBLOCK = 0o2 | 0o400 | 0o4000


class UART(io.IOBase):
    """One serial line. Nothing there to read is None.

    timeout: milliseconds to wait for a first byte; timeout_char: for each that follows.
    """

    def __init__(self, number, baudrate=115200, **settings):
        if str(number) not in chip.UARTS:
            raise ValueError("UART(%d) does not exist" % number)
        self._path = chip.UARTS[str(number)]
        self._fd = -1
        self._timeout = self._timeout_char = 0
        self.init(baudrate, **settings)

    def init(self, baudrate=115200, bits=8, parity=None, stop=1, *, timeout=-1, timeout_char=-1,
             tx=None, rx=None, rts=None, cts=None, txbuf=256, rxbuf=256, invert=0,
             flow=0):  # fmt: skip
        if bits not in (5, 6, 7, 8):
            raise ValueError("invalid data bits")
        if stop not in (1, 2):
            raise ValueError("invalid stop bits")
        if timeout >= 0:
            self._timeout = timeout
        if timeout_char >= 0:
            self._timeout_char = timeout_char
        if self._fd < 0:
            self._fd = _open(self._path, _RDWR_NOCTTY_NONBLOCK)
            if self._fd < 0:
                raise OSError(19)  # ENODEV
            self._poller = select.poll()
            self._poller.register(self._fd, select.POLLIN)

    def deinit(self):
        if self._fd >= 0:
            _close(self._fd)
            self._fd = -1

    def any(self):
        count = array.array("i", [0])
        return 0 if _waiting(self._fd, _FIONREAD, count) < 0 else count[0]

    def _take(self, buffer):
        """Do what the chip's driver does: fill buffer as far as bytes follow soon."""
        got = 0
        wait = self._timeout
        while got < len(buffer):
            if not self.any():
                self._poller.poll(wait)
                if not self.any():
                    break
            wait = self._timeout_char
            # the driver waits for a first byte on its own
            size = min(self.any(), len(buffer) - got) if got else 1
            got += max(0, _read(self._fd, memoryview(buffer)[got:], size))
        return got

    def _fill(self, buffer):
        """Do what MicroPython does on top: ask again until it is full or nothing comes."""
        got = 0
        while got < len(buffer):
            more = self._take(memoryview(buffer)[got:])
            if not more:
                break
            got += more
        return got

    def read(self, size=-1):
        if size >= 0:
            buffer = bytearray(size)
            got = self._fill(buffer)
            return bytes(buffer[:got]) if got or not size else None
        data = b""
        more = self.read(256)
        while more:
            data += more
            more = self.read(256) if len(more) == 256 else None
        return data or None

    def readinto(self, buffer, size=-1):
        if size >= 0:
            buffer = memoryview(buffer)[:size]
        return self._fill(buffer) or None

    def readline(self):
        line = b""
        while not line.endswith(b"\n"):
            byte = self.read(1)
            if byte is None:
                break
            line += byte
        return line or None

    def write(self, data):
        if isinstance(data, str):
            data = data.encode()
        sent = 0
        while sent < len(data):
            count = _write(self._fd, bytes(memoryview(data)[sent:]), len(data) - sent)
            if count > 0:
                sent += count
            else:  # the driver's buffer is full: it waits for the line
                time.sleep_ms(1)
        return sent

    def flush(self):
        pass

    def txdone(self):
        return True

    def ioctl(self, request, argument):
        """Answer the Unix port's select.poll(): it wants to know which file to look at."""
        return self._fd if request == 10 else -22  # MP_STREAM_GET_FILENO, else EINVAL
