"""Private file: one that only its owner may read, from its first byte on.

Owns how a new one is made. Doesn't own files that are replaced (whole_file) nor how a secret is
read (key_sources/secret_file).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from host_tools.errors import CommandError


def opener(path: str, flags: int) -> int:
    """Open for open(..., opener=opener): what is made is readable by its owner alone."""
    return os.open(path, flags, 0o600)


@contextmanager
def new(file: Path) -> Iterator[BinaryIO]:
    """Lend a new file that goes away if not all is written; OSError, also if there is one."""
    with open(file, "xb", opener=opener) as output:
        try:
            yield output
            output.flush()
        except BaseException:
            file.unlink()
            raise


@contextmanager
def created(file: Path) -> Iterator[BinaryIO]:
    """Lend a new file as new() does; CommandError.

    One that is there is refused: it may hold the only copy of a key.
    """
    try:
        with new(file) as output:
            yield output
    except FileExistsError:
        raise CommandError(f"{file} exists: move it away first") from None
    except OSError as error:
        raise CommandError(f"can not write {file}: {error.strerror}") from None
