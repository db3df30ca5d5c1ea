"""What the program asks of the chip's silicon, one question at a time: see on_flash/_host.py.

Owns the framing on the socket between them. Doesn't own the answers (program.py, nvs_service.py).
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

_QUESTION = struct.Struct("<BxHi")  # letter, size of the text behind, number
_ANSWER = struct.Struct("<i")  # bytes that follow, or an error
_PIECE = 65536  # bytes
# letter, number, text to (number of bytes or error, bytes); None: there is nobody to answer
Answering = Callable[[str, int, bytes], tuple[int, bytes] | None]


class Silicon:
    """A pair of sockets; `far` is the number of the program's end, which outlives programs."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._loop = asyncio.get_running_loop()
        self._near, self._far = socket.socketpair()
        self._asked = bytearray()
        self._loop.add_reader(self._near, self.receive)

    @property
    def far(self) -> int:
        """The file by which the program asks."""
        return self._far.fileno()

    def receive(self) -> bool:
        """Answer all that was asked up to now; False if nothing was."""
        answered = False
        with suppress(BlockingIOError):
            while data := self._near.recv(_PIECE, socket.MSG_DONTWAIT):
                self._asked += data
        while len(self._asked) >= _QUESTION.size:
            letter, size, number = _QUESTION.unpack_from(self._asked)
            end = _QUESTION.size + size
            if len(self._asked) < end:
                break
            text = bytes(self._asked[_QUESTION.size : end])
            del self._asked[:end]
            answered = True
            answer = self._answering(chr(letter), number, text)
            if answer:
                self._near.sendall(_ANSWER.pack(answer[0]) + answer[1])
        return answered

    def reset(self) -> None:
        """Forget a question that was not whole: whoever asked it is gone."""
        self._asked.clear()

    def close(self) -> None:
        """Give the sockets back."""
        self._loop.remove_reader(self._near)
        self._near.close()
        self._far.close()
