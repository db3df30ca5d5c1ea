"""A file that holds a secret: read once, refused when others may read it too."""

import os
import shlex
import stat

from host_tools.errors import CommandError

_LONGEST = 4096  # bytes looked at: no key or PIN is longer, and some files never end


def read_secret(path: str) -> bytearray:
    """Return the first 4096 bytes of a file, for the caller to overwrite; CommandError.

    As ssh does, a file is refused that its group or all may read; a pipe, as /dev/stdin or a
    shell's <(...) may be, is not: nothing of it stays.
    """
    path = os.path.expanduser(path)
    try:
        with open(path, "rb", buffering=0) as file:
            _refuse_if_shared(path, os.fstat(file.fileno()))
            return _read(file.fileno())
    except OSError as error:
        raise CommandError(f"can not read {path}: {error.strerror}") from None


def _refuse_if_shared(path: str, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
        raise CommandError(
            f"{path} holds a secret and others may read it (mode "
            f"{stat.S_IMODE(status.st_mode):04o}): run `chmod 600 {shlex.quote(path)}`, "
            "then try again"
        )


def _read(descriptor: int) -> bytearray:
    text, size = bytearray(_LONGEST), 0
    while size < _LONGEST and (count := os.readv(descriptor, [memoryview(text)[size:]])):
        size += count
    found = text[:size]
    text[:] = bytes(_LONGEST)
    return found
