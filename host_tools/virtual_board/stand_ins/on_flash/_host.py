"""The way to the silicon: one question to the host at a time, one answer, on a socket of its own.

nvs_service.py and program.py answer. A question is a head (letter, size of its text, number) and
the text; an answer is a number, and so many bytes if it is positive, an error if negative.
"""

import json
import struct

import ffi

with open("/.chip/flash.json") as _file:
    SETTING = json.load(_file)

_libc = ffi.open(None)
_write = _libc.func("i", "write", "iPi")
_recv = _libc.func("i", "recv", "ipii")
_mask = _libc.func("i", "sigprocmask", "iPi")
_BLOCK, _UNBLOCK, _WAIT_FOR_ALL = 0, 1, 0x100
_signals = bytearray(128)  # SIGINT and SIGUSR1: an answer must be read whole
_signals[0], _signals[1] = 1 << 1, 1 << 1
_socket = SETTING["socket"]
_question = bytearray(8)
_answer = bytearray(4)
_nothing = bytearray(1)


def ask(letter, number=0, text=b"", answer=_nothing):
    """Return the answer's number; its bytes, if there are any, go into `answer`."""
    struct.pack_into("<BxHi", _question, 0, ord(letter), len(text), number)
    _mask(_BLOCK, _signals, 0)
    _write(_socket, _question, 8)
    _write(_socket, text, len(text))
    _recv(_socket, _answer, 4, _WAIT_FOR_ALL)
    size = struct.unpack("<i", _answer)[0]
    if size > 0:
        _recv(_socket, answer, size, _WAIT_FOR_ALL)
    _mask(_UNBLOCK, _signals, 0)
    return size
