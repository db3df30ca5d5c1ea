"""Many registration IDs: the portable rule, checked on whole blocks of text instead of letters.

Owns how a list is checked fast, and how its faults are told. Doesn't own the rule: whatever does
not pass here is put to keystead.registration_id.check(), whose word counts.
"""

import re
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from host_tools.errors import CommandError
from keystead.registration_id import LONGEST, InvalidRegistrationID, check

BLOCK = 1 << 18  # bytes read at a time: some 7 000 IDs
_SEED = (string.ascii_lowercase + string.digits + "-").encode()
_WIDE = _SEED + (string.ascii_uppercase + "._:").encode()
# what no ID begins or ends with, by rule; looked for in a block whose lines have newlines around
_SEED_ENDS = (b"\n-", b"-\n")
_WIDE_ENDS = (b".\n", b"_\n", b":\n")
_ONE = {
    False: re.compile("[a-z0-9](?:[a-z0-9-]{0,126}[a-z0-9])?"),
    True: re.compile("[A-Za-z0-9._:-]{0,127}[A-Za-z0-9-]"),
}


@dataclass(frozen=True)
class Fault:
    """What is wrong with one ID; number: which, from 1."""

    number: int
    problem: str


class Faults:
    """The faults of a list: the first, and how many there are, however long it is."""

    def __init__(self) -> None:
        self.first: Fault | None = None
        self.count = 0

    def add(self, number: int, problem: str) -> None:
        """Note one more."""
        self.first = self.first or Fault(number, problem)
        self.count += 1

    def refuse(self) -> None:
        """Raise CommandError if there is any."""
        if self.first is not None:
            more = f" (and {self.count - 1} more)" if self.count > 1 else ""
            raise CommandError(f"ID {self.first.number}: {self.first.problem}{more}")


def ensure(name: str, wide: bool) -> str:
    """Return a name if it is a registration ID, as check() does but faster, else as it raises."""
    return name if _ONE[wide].fullmatch(name) else check(name, wide)


def good(block: bytes, wide: bool) -> bool:
    """Tell whether all lines of a text are registration IDs, at some 100 ns each."""
    text = b"\n%b\n" % block
    if text.translate(None, (_WIDE if wide else _SEED) + b"\n") or b"\n\n" in text:
        return False
    if any(end in text for end in (_WIDE_ENDS if wide else _SEED_ENDS)):
        return False
    return max(map(len, block.split(b"\n"))) <= LONGEST


def checked(names: Iterable[str], wide: bool) -> list[str]:
    """Return the registration IDs if all are right; else tell the first fault and how many."""
    found, faults = list(names), Faults()
    for number, name in enumerate(found, 1):
        _look(name, number, wide, faults)
    faults.refuse()
    return found


def blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Give a list some thousand lines at a time, apart by \\n and none at the end.

    It may have other newlines, and a BOM. CommandError for a line that can be no ID by far.
    """
    rest, first = b"", True
    while block := stream.read(BLOCK):
        if first:
            block, first = block.removeprefix(b"\xef\xbb\xbf"), False
        whole, newline, rest = (rest + block).rpartition(b"\n")
        if newline:
            yield _plain(whole)
        if len(rest) > BLOCK:
            raise CommandError(f"a line has more than {BLOCK} characters: is it a list of IDs?")
    if rest:
        yield _plain(rest)


def count(stream: BinaryIO, wide: bool) -> int:
    """Return how many IDs a list has, if all are right; CommandError tells the first fault."""
    faults, number = Faults(), 0
    for block in blocks(stream):
        if not good(block, wide):
            for place, name in enumerate(block.split(b"\n"), number + 1):
                _look(name.decode(errors="replace"), place, wide, faults)
        number += block.count(b"\n") + 1
    faults.refuse()
    return number


def _plain(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n").removesuffix(b"\r")


def _look(name: str, number: int, wide: bool, faults: Faults) -> None:
    try:
        check(name, wide)
    except InvalidRegistrationID as error:
        faults.add(number, str(error))
