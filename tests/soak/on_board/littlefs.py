"""The filesystem in flash, as power cuts know it: a file changes when it is flushed or closed.

Until then it is as it was; then it is new, all of it or nothing. So does LittleFS on the chip.
Paths from the root are the bench's own and not in flash.
"""

import io
from builtins import open as _open

import uos
import world

_PART = 512  # bytes


def open(path, mode="r", **named):
    """Open a file of the flash, or of the bench."""
    writes = "w" in mode or "a" in mode or "+" in mode
    if writes and isinstance(path, str) and path[0] != "/":
        return _File(path, mode)
    return _open(path, mode, **named)


def rename(old, new):
    """Rename a file, in one piece."""
    if old[0] != "/":
        world.write(1)
    uos.rename(old, new)


def remove(path):
    """Remove a file, in one piece."""
    if path[0] != "/":
        world.write(1)
    uos.remove(path)


def _copy(source, target):
    with _open(source, "rb") as old, _open(target, "wb") as new:
        part = old.read(_PART)
        while part:
            new.write(part)
            part = old.read(_PART)


class _File(io.IOBase):
    def __init__(self, path, mode):
        self._path = path
        self._draft = world.drafts + "/" + path.replace("/", "+")
        self._size = 0
        if "w" not in mode:
            try:
                _copy(path, self._draft)
            except OSError:
                if "a" not in mode:
                    raise
                _open(self._draft, "wb").close()
        self._file = _open(self._draft, mode)  # noqa: SIM115
        self.read = self._file.read
        self.readline = self._file.readline
        self.seek = self._file.seek
        self.tell = self._file.tell

    def readinto(self, buffer):
        return self._file.readinto(buffer)

    def write(self, data):
        self._size += len(data)
        return self._file.write(data)

    def flush(self):
        world.write(self._size)
        self._size = 0
        self._file.flush()
        _copy(self._draft, self._draft + "+")
        uos.rename(self._draft + "+", self._path)

    def close(self):
        if self._file:
            world.write(self._size)
            self._file.close()
            self._file = None
            uos.rename(self._draft, self._path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
