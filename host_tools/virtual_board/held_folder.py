"""Held folder: one in memory that goes with the process that made it, however that one ends.

Owns where it lies, the lock that the kernel lets go with the process, and the removal of folders
whose processes were killed: a device key may lie there, and memory is given back by nobody else.
"""

import fcntl
import os
import re
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

_PREFIX = "keystead-held-"  # nothing else is called so: what is, is removed if nobody holds it
_NAME = re.compile(_PREFIX + "[a-z0-9_]{8}")  # as tempfile makes them
_MEMORY = Path("/dev/shm")


class HeldFolder:
    """A folder of its own; release() removes it, else the next process that makes one does."""

    def __init__(self, place: Path | None = None) -> None:
        """Make it in place; in memory if that is None, where the system has such a place."""
        place = place or _place()
        _sweep_once(place)
        self.path, self._lock = _held(place)

    def release(self) -> None:
        """Remove it and what is in it; what will not go now is the next process's to remove."""
        try:
            shutil.rmtree(self.path, ignore_errors=True)
        finally:
            os.close(self._lock)


def _place() -> Path:
    return _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


def _held(place: Path) -> tuple[Path, int]:
    """Make a folder and lock it; a sweep may be faster and take it for one that nobody holds."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        # shared, since a network's file systems lock only for writing what is open for writing
        with suppress(OSError):  # where none can be locked: then nothing is swept there
            fcntl.flock(lock, fcntl.LOCK_SH)
        if _is_at(path, lock):
            return path, lock
        os.close(lock)


def sweep(place: Path) -> None:
    """Remove those folders of ours there that no process holds."""
    with os.scandir(place) as entries:
        names = [entry.name for entry in entries if _NAME.fullmatch(entry.name)]
    for name in names:
        _remove_if_left(place / name)


_sweep_once = cache(sweep)  # in each process


def _remove_if_left(path: Path) -> None:
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # gone meanwhile, or somebody else's
        return
    try:
        if os.fstat(lock).st_uid == os.geteuid() and _taken(lock) and _is_at(path, lock):
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held; or a file system that can not lock so: then nothing is swept there
        return False
    return True


def _is_at(path: Path, folder: int) -> bool:
    """Tell whether the open folder is still the one at path."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(folder))
    except FileNotFoundError:
        return False
