"""A board's files, moved by its REPL.

Owns the code that is run for it on the board; it needs os, hashlib and binascii there. Base64
makes 4 characters of 3 bytes, which is the least that a text REPL allows.
"""

import ast
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

from host_tools.repl.errors import ReplError

_PIECE = 1536  # bytes at a time; as text, twice that fits into any board's heap
_TIME = 30  # seconds for one piece: flash that must be erased first takes a while
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


def get(repl: Runs, path: str, moved: Moved = None) -> bytes:
    """Read a file."""
    repl.exec(f"import binascii\n_file = open({path!r}, 'rb')", _TIME)
    data = bytearray()
    while text := repl.exec(f"print(binascii.b2a_base64(_file.read({_PIECE})).decode())", _TIME):
        try:
            piece = binascii.a2b_base64(text.strip())
        except binascii.Error:
            raise ReplError(f"the board sent {path} garbled: try again") from None
        if not piece:
            break
        data += piece
        if moved:
            moved(len(piece))
    repl.exec("_file.close()", _TIME)
    return bytes(data)


def listing(repl: Runs, folder: str) -> list[Entry]:
    """Return all in a folder, folders before what is in them."""
    printed = repl.exec(_LISTING.format(folder=folder), _TIME)
    try:
        found = cast(list[tuple[str, bool, int]], ast.literal_eval(printed.strip()))
        return [Entry(str(path), bool(is_folder), int(size)) for path, is_folder, size in found]
    except (ValueError, SyntaxError, TypeError):
        raise ReplError(f"the board's list of {folder} is garbled: try again") from None


def sha256(repl: Runs, path: str) -> str:
    """Return the SHA-256 of a file on the board."""
    return repl.exec(_HASH.format(path=path), _TIME).strip()


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 of bytes here, as sha256() does of a file there."""
    return hashlib.sha256(data).hexdigest()
