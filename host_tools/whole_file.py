"""Whole file: written whole or not at all; a full disk leaves what was there."""

import os
from contextlib import suppress
from pathlib import Path

from host_tools.errors import CommandError


def write(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Put data in the place of what is at path, with mode from its first byte; CommandError.

    mode: as of os.open, which takes the umask's bits off. A pipe or a device, as /dev/stdout may
    be, is written as it is.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
        else:
            # through a link, not in its place; Path.resolve() fails on one that loops
            _replace(Path(os.path.realpath(path)), data, mode)
    except OSError as error:
        raise CommandError(f"can not write {path}: {error.strerror}") from None


def _replace(path: Path, data: bytes, mode: int) -> None:
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        new.unlink(missing_ok=True)
        with open(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as file:
            file.write(data)
        os.replace(new, path)
    except BaseException:
        with suppress(OSError):  # what went wrong first is what there is to tell
            new.unlink()
        raise
