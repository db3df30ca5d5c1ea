"""The backup: a board's files, as they were, in a folder or a .tar of the user's choice.

Owns how they lie there: readable by the user alone, as they may hold passwords; and that what is
cut off never looks like a backup: until it is whole it is called PLACE.PID.part, and goes when it
is given up, after a kill -9 when the next one is made there. NVS is not among them: no key leaves
the board.
"""

import errno
import io
import os
import re
import shutil
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Protocol

from host_tools import private_file
from host_tools.errors import CommandError
from host_tools.repl import Entry, Repl
from host_tools.retrofit.failure import RetrofitFailure

DEFAULT = "keystead-backup-{mac}.tar"
_PART = re.compile(r"(?P<name>.+)\.(?P<pid>[0-9]{1,9})\.part", re.DOTALL)


class Backup(Protocol):
    """Takes a board's files one by one."""

    def folder(self, path: str) -> None:
        """Take a folder."""

    def file(self, path: str, data: bytes) -> None:
        """Take a file."""


def check(pattern: Path) -> None:
    """Refuse a place where no backup can be made, before any board is asked; CommandError."""
    if pattern.name in ("", ".."):
        raise CommandError(
            f"--backup {str(pattern)!r}: name the folder, or the .tar, that is to be made"
        )
    try:
        _part(Path(str(pattern).replace("{mac}", "0" * 12))).exists()  # its name may be too long
        there = next(place for place in pattern.absolute().parents if place.exists())
    except OSError as error:
        raise CommandError(f"--backup {pattern}: {error.strerror}") from None
    named = pattern.suffix == ".tar" and "{mac}" not in str(pattern.parent)
    if named and not pattern.parent.is_dir():
        raise CommandError(f"--backup {pattern}: there is no folder {pattern.parent}: make it")
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise CommandError(f"--backup {pattern}: nothing can be written into {there}")


def free(pattern: str, mac: bytes) -> Path:
    """Return the place that a pattern means; if that is taken, the next with a number."""
    place = Path(pattern.replace("{mac}", mac.hex()))
    number = 2
    while _is_taken(place):
        plain = Path(pattern.replace("{mac}", mac.hex()))
        place = plain.with_name(f"{plain.stem}-{number}{plain.suffix}")
        number += 1
    return place


def _is_taken(place: Path) -> bool:
    return os.path.lexists(place) or any(  # a link to nowhere is in the way, too
        _runs(process) for _, process in _parts_of(place)
    )


def take(repl: Repl, entries: list[Entry], place: Path, moved: Callable[[int], None]) -> None:
    """Copy these files and folders of a board to place."""
    try:
        with _opened(place) as backup:
            for entry in entries:
                if entry.is_folder:
                    backup.folder(entry.path)
                else:
                    backup.file(entry.path, repl.get(entry.path, moved, entry.size))
    except OSError as error:
        raise RetrofitFailure(
            "backup-failed", f"can not write {place}: {error.strerror or error}"
        ) from None


@contextmanager
def _opened(place: Path) -> Iterator[Backup]:
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # one named for the board
    _sweep(place)
    part = _part(place)
    if place.suffix == ".tar":
        with private_file.new(part) as stream:
            with tarfile.open(fileobj=stream, mode="w") as tar:
                yield _Tar(tar)
            stream.flush()
            os.fsync(stream.fileno())
            _name(part, place)
        return
    part.mkdir(mode=0o700)  # ours, so that all of it may go
    try:
        yield _Folder(part)
        _name(part, place)
    except BaseException:
        shutil.rmtree(part)
        raise


def _part(place: Path) -> Path:
    return place.with_name(f"{place.name}.{os.getpid()}.part")


def _parts_of(place: Path) -> list[tuple[Path, int]]:
    """Return what is not whole of a backup at this place, each with the process that makes it."""
    if not os.access(place.parent, os.R_OK):  # it takes files and shows none, or is not there yet
        return []
    found = ((part, _PART.fullmatch(part.name)) for part in place.parent.iterdir())
    return [(part, int(one["pid"])) for part, one in found if one and one["name"] == place.name]


def _name(part: Path, place: Path) -> None:
    if os.path.lexists(place):  # made meanwhile by another program
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    part.rename(place)


def _sweep(place: Path) -> None:
    """Remove what a killed program left of a backup at this place."""
    for part, process in _parts_of(place):
        if not _runs(process):
            with suppress(PermissionError, FileNotFoundError):  # another's; swept by another
                _remove(part)


def _remove(part: Path) -> None:
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part)
    else:
        part.unlink()


def _runs(process: int) -> bool:
    if process == os.getpid():  # who had our number before
        return False
    if sys.platform == "win32":  # which has no signal that does nothing
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


class _Folder:
    def __init__(self, place: Path) -> None:
        self._place = place

    def _path(self, path: str) -> Path:
        return self._place / PurePosixPath(*_parts(path))

    def folder(self, path: str) -> None:
        self._path(path).mkdir(mode=0o700, parents=True, exist_ok=True)

    def file(self, path: str, data: bytes) -> None:
        target = self._path(path)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with private_file.new(target) as file:
            file.write(data)


class _Tar:
    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar

    def folder(self, path: str) -> None:
        info = _info(path, 0o700)
        info.type = tarfile.DIRTYPE
        self._tar.addfile(info)

    def file(self, path: str, data: bytes) -> None:
        info = _info(path, 0o600)
        info.size = len(data)
        self._tar.addfile(info, io.BytesIO(data))


def _info(path: str, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo("/".join(_parts(path)))
    info.mode, info.mtime = mode, int(time.time())
    return info


def _parts(path: str) -> list[str]:
    """Return a path's parts, none of which leads out of the backup."""
    parts = [part for part in path.split("/") if part]
    if any(part in (".", "..") or "\0" in part or "\\" in part for part in parts) or not parts:
        raise RetrofitFailure("backup-failed", f"the board has a file named {path!r}: rename it")
    return parts
