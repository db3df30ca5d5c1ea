"""MicroPython's image for a board: from a file or fetched, and only the one that is pinned."""

import hashlib
from pathlib import Path

from host_tools.boards import Board
from host_tools.errors import CommandError


def load(board: Board, file: Path | None = None, sha256: str | None = None) -> bytes:
    """Return the image: of file, else fetched with mpflash (extra `images`).

    sha256: of an image of your own, 64 hex digits, instead of the board's pin. CommandError tells
    the SHA-256 found where it differs.
    """
    if file is None:
        raise CommandError("give the MicroPython image with --micropython FILE")
    data = file.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    wanted = sha256 or board.pin.sha256
    if found != wanted.lower():
        raise CommandError(f"{file} has SHA-256 {found}, not {wanted}")
    return data
