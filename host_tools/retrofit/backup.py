"""The backup: a board's files, as they were, in a folder or a .tar of the user's choice.

Owns how they lie there: readable by the user alone, as they may hold passwords; and that what is
cut off does not stay, as it would look like a backup. NVS is not among them: no key leaves the
board.
"""

import io
import os
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol

from host_tools import private_file
from host_tools.errors import CommandError
from host_tools.repl import Entry, Repl
from host_tools.retrofit.failure import RetrofitFailure

DEFAULT = "keystead-backup-{mac}.tar"


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
        pattern.exists()  # its name may be too long
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
    while place.exists():
        plain = Path(pattern.replace("{mac}", mac.hex()))
        place = plain.with_name(f"{plain.stem}-{number}{plain.suffix}")
        number += 1
    return place


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
    if place.suffix == ".tar":
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # one named for the board
        with private_file.new(place) as stream, tarfile.open(fileobj=stream, mode="w") as tar:
            yield _Tar(tar)
        return
    place.mkdir(mode=0o700, parents=True)  # ours, so that all of it may go
    try:
        yield _Folder(place)
    except BaseException:
        shutil.rmtree(place)
        raise


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
