"""Who: which boards a rule is for.

Owns the phrases for boards and how one is told from the others: by its name, by its place in the
order in which they came, or by lot. Before CONNECT nobody has said a name: to a hand-shake, a DNS
question and an NTP question the address is the name.
"""

import hashlib
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from host_tools.emulator.faults.phrases import Phrase, PhraseError, read, shown

_MANY = 1_000_000_000
_ADDRESS = re.compile(r"[0-9a-fA-F.:*?%]+")


@dataclass(frozen=True, slots=True)
class Who:
    """Some boards."""

    phrase: str
    glob: str = "*"  # of names, in lower case
    places: range | None = None  # in the order in which they came, from 1; None: any
    one_in: int = 1  # drawn by lot

    def includes(self, name: str, place: int, seed: int) -> bool:
        """Tell whether this is one of the boards; the lot is the same in every rule."""
        if self.places is not None and place not in self.places:
            return False
        if self.glob != "*" and not fnmatchcase(name.lower(), self.glob):
            return False
        return self.one_in == 1 or lot(seed, "board", name) % self.one_in == 0

    def check_is_address(self) -> None:
        """Raise PhraseError if a name is meant that nobody has said before CONNECT."""
        if self.glob != "*" and not _ADDRESS.fullmatch(self.glob):
            raise PhraseError(
                f'"{shown(self.phrase)}" has not said its name by then: write'
                ' "every board", "the 3rd board", "one in 10" or an address such as 192.0.2.7'
            )


def lot(seed: int, *words: object) -> int:
    """Return a number that only seed and words decide."""
    text = "\0".join(map(str, (seed, *words))).encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "big")


WHO = (
    Phrase("every board", "all of them; so it is when nobody is named", Who),
    Phrase(
        "the {nth} board",
        "the 3rd that ever said CONNECT here, whatever it does next",
        lambda phrase, n: Who(phrase, places=range(n, n + 1)),
    ),
    Phrase(
        "the first {n} boards",
        "in the same order",
        lambda phrase, n: Who(phrase, places=range(1, n + 1)),
    ),
    Phrase(
        "every {nth} board",
        "the 3rd, the 6th, the 9th, ...",
        lambda phrase, n: Who(phrase, places=range(n, _MANY, n)),
    ),
    Phrase(
        "one in {n}",
        "drawn by lot from the seed and the board's name: the same boards in every step",
        lambda phrase, n: Who(phrase, one_in=n),
    ),
    Phrase(
        "{name}",
        "a registration ID or device ID; `*` stands for any letters, `?` for one",
        lambda phrase, name: Who(phrase, glob=name.lower()),
    ),
)


def parse(text: str) -> Who:
    """Return the boards that text names; raise PhraseError."""
    return read(WHO, text, "one board or several")
