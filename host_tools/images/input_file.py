"""Files that a user names: read up to a size, for some files never end."""

from pathlib import Path

from host_tools.errors import CommandError


def read(file: Path, largest: int, too_large: str) -> bytes:
    """Return what is in a file of at most that many bytes; CommandError, as FILE too_large."""
    try:
        with open(file, "rb") as stream:
            data = stream.read(largest + 1)
    except OSError as error:
        raise CommandError(f"can not read {file}: {error.strerror}") from None
    if len(data) > largest:
        raise CommandError(f"{file} {too_large}")
    return data
