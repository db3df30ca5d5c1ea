"""A board's files, moved by its REPL.

Owns the code that is run for it on the board; it needs os, hashlib and binascii there. Base64
makes 4 characters of 3 bytes, which is the least that a text REPL allows.
"""

import binascii
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from host_tools.repl.errors import ReplError
from host_tools.repl.value import plain
from keystead.failure import printable

_PIECE = 1536  # bytes at a time; as text, twice that fits into any board's heap
_TIME = 30  # seconds for one piece: flash that must be erased first takes a while
_SLOWEST = 500  # bytes a second; a line of 115200 baud moves 8000
_LARGEST = 1 << 26  # bytes of all files; no ESP32 has more flash
Moved = Callable[[int], None] | None


class Runs(Protocol):
    """What runs code on a board: Repl."""

    def exec(self, code: str, timeout: float = ...) -> str:
        """Return what it printed."""


@dataclass(frozen=True)
class Entry:
    """A file or a folder: its full path, and a file's size in bytes."""

    path: str
    is_folder: bool
    size: int


# other disks (SD cards, ROM) are known by their statvfs()
_LISTING = """\
import os
_all = []
_disk = os.statvfs({folder!r})
def _walk(folder):
    for entry in os.ilistdir(folder):
        path = folder.rstrip("/") + "/" + entry[0]
        is_folder = entry[1] & 0x4000 != 0
        if is_folder and (os.statvfs(path)[:3] != _disk[:3] or os.statvfs(path)[5:] != _disk[5:]):
            continue
        print(repr((path, is_folder, 0 if is_folder else os.stat(path)[6])) + ",")
        if is_folder:
            _walk(path)
print("[")
_walk({folder!r})
print("]")
"""
_HASH = """\
import hashlib, binascii
_hash = hashlib.sha256()
_buffer = memoryview(bytearray(512))
with open({path!r}, "rb") as _file:
    while True:
        _size = _file.readinto(_buffer)
        if not _size:
            break
        _hash.update(_buffer[:_size])
print(binascii.hexlify(_hash.digest()).decode())
"""


def put(repl: Runs, path: str, data: bytes, moved: Moved = None) -> None:
    """Write a file; the file that was there is gone once this begins."""
    repl.exec(f"import binascii\n_file = open({path!r}, 'wb')", _TIME)
    try:
        for at in range(0, len(data), _PIECE):
            piece = data[at : at + _PIECE]
            text = binascii.b2a_base64(piece, newline=False)
            repl.exec(f"_file.write(binascii.a2b_base64({text!r}))", _TIME)
            if moved:
                moved(len(piece))
    finally:
        repl.exec("_file.close()", _TIME)


def get(repl: Runs, path: str, moved: Moved = None, size: int | None = None) -> bytes:
    """Read a file; size: how many bytes it must have, None for any number."""
    most = _LARGEST if size is None else size
    end = time.monotonic() + _TIME + most / _SLOWEST
    repl.exec(f"import binascii\n_file = open({path!r}, 'rb')", _TIME)
    data = bytearray()
    while piece := _piece(repl, path):
        data += piece
        if len(piece) > _PIECE or len(data) > most or time.monotonic() > end:
            raise _garbled(path)
        if moved:
            moved(len(piece))
    repl.exec("_file.close()", _TIME)
    if size not in (None, len(data)):
        raise _garbled(path)
    return bytes(data)


def _piece(repl: Runs, path: str) -> bytes:
    text = repl.exec(f"print(binascii.b2a_base64(_file.read({_PIECE})).decode())", _TIME)
    try:
        return binascii.a2b_base64(text.strip())
    except ValueError:  # also of what is no ASCII
        raise _garbled(path) from None


def _garbled(path: str) -> ReplError:
    return ReplError(f"the board sent {printable(path)} garbled: try again")


def listing(repl: Runs, folder: str) -> list[Entry]:
    """Return all in a folder, folders before what is in them."""
    garbled = f"the board's list of {folder} is garbled: try again"
    found = plain(repl.exec(_LISTING.format(folder=folder), _TIME).strip(), garbled)
    if not isinstance(found, list) or not all(map(_is_entry, found)):
        raise ReplError(garbled)
    entries = [Entry(*row) for row in found]
    if sum(entry.size for entry in entries) > _LARGEST:
        raise ReplError(garbled)
    return entries


def _is_entry(row: object) -> bool:
    """Tell whether it is a path that can be asked for again, a truth and a size."""
    if not (isinstance(row, tuple) and tuple(map(type, row)) == (str, bool, int)):
        return False
    path, _, size = row
    return path.startswith("/") and _is_text(path) and 0 <= size <= _LARGEST


def _is_text(path: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in path)


def sha256(repl: Runs, path: str) -> str:
    """Return the SHA-256 of a file on the board."""
    return repl.exec(_HASH.format(path=path), _TIME).strip()


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 of bytes here, as sha256() does of a file there."""
    return hashlib.sha256(data).hexdigest()
