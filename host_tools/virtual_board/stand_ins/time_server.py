"""A time server for the bench: says what the chip file's "ntp" has, in NTP's own 48 bytes."""

import io

import chip
import world

PORT = 123
FAMILY = -1  # of its address, see socket.py
_SINCE_1900 = 2208988800  # seconds before 1970
_POLL, _POLLIN = 3, 1  # MP_STREAM_POLL and what it asks for


class Line(io.IOBase):
    """A UDP socket whose other end is a time server."""

    def __init__(self):
        self._answer = None

    def setblocking(self, flag):
        pass

    def connect(self, address):
        pass

    def close(self):
        pass

    # leap, version, mode | stratum | ... | origin | receive | transmit time stamp
    def send(self, question):
        wrong_by = chip.NTP.pop(0) if len(chip.NTP) > 1 else chip.NTP[0]
        if wrong_by is not None and world.carries():
            seconds = (world.unix_time() + wrong_by + _SINCE_1900) % (1 << 32)
            stamp = seconds.to_bytes(4, "big") + bytes(4)
            self._answer = b"\x24\x01" + bytes(22) + question[40:48] + stamp + stamp
        return len(question)

    def recv(self, size):
        answer, self._answer = self._answer, None
        if answer is None:
            raise OSError(11)  # EAGAIN
        return answer[:size]

    def ioctl(self, request, argument):
        """Tell select.poll() whether an answer is there."""
        if request != _POLL:
            return -22  # EINVAL
        return argument & _POLLIN if self._answer else 0
