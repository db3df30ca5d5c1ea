"""Keeping the journal: its files, in a folder on the board's file system.

Owns the folder. Loaded only where config.json sets a journal; the ring is in keystead.journal.
"""

import os

from keystead.failure import Failure
from keystead.journal import Journal, Storage

_PATH = "journal/%d"
_ABSENT = 2  # ENOENT


def open_journal(limit: int, age: int) -> Journal:
    """Return the board's journal, with all that is in it. Raises Failure journal-failed.

    limit: bytes, from 16 KiB; age: seconds, 0 for no limit.
    """
    from keystead.recovery import recover

    try:
        os.mkdir("journal")
    except OSError:  # it is there; if not, the first write says so
        pass
    files = Files()
    # below 2**29, so that the numbers of a board's life are no big integers
    first = 1 + (int.from_bytes(os.urandom(4), "big") >> 3)
    return Journal(files, limit, age, recover(files, first))


class Files(Storage):
    """A storage made of files."""

    def segments(self):
        try:
            for entry in os.ilistdir("journal"):
                name = entry[0]
                if name.isdigit() and name != "0":  # a cell or the state, or not ours
                    # the Unix port leaves out the size
                    size = entry[3] if len(entry) > 3 else os.stat("journal/" + name)[6]
                    yield int(name), size
        except OSError as error:
            raise _failed(error)

    def read(self, name, at, size):
        try:
            with open(_PATH % name, "rb") as file:
                size = min(size, file.seek(0, 2) - at)  # a damaged record may ask for anything
                file.seek(at)
                return file.read(max(size, 0))
        except OSError as error:
            if error.args[0] == _ABSENT:
                return b""
            raise _failed(error)

    def write(self, name, parts):
        try:
            size = 0
            with open(_PATH % name, "wb") as file:
                for part in parts:
                    size += file.write(part)
            return size
        except OSError as error:
            raise _failed(error)

    def remove(self, name):
        try:
            os.remove(_PATH % name)
        except OSError as error:
            if error.args[0] != _ABSENT:
                raise _failed(error)


def _failed(error):
    return Failure("journal-failed", "flash", error.args[0])
