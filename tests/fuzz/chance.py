"""Chance: decisions out of a fuzzer's bytes, so that small changes stay small changes."""


class Chance:
    """Bytes that are used up from the front; behind their end all is 0 and empty."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def more(self) -> bool:
        """Tell whether anything is left."""
        return self._at < len(self._data)

    def byte(self) -> int:
        """Return a number below 256."""
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def below(self, count: int) -> int:
        """Return a number below count, 256 at most."""
        return self.byte() % count

    def piece(self) -> bytes:
        """Return some bytes, their count before them; a count of 255 is all that is left."""
        count = self.byte()
        end = len(self._data) if count == 255 else self._at + count
        piece = self._data[self._at : end]
        self._at = end
        return piece

    def text(self) -> str:
        """Return some text."""
        return self.piece().decode(errors="replace")


def said(*parts: int | bytes) -> bytes:
    """Return bytes that a Chance makes these numbers and pieces of."""
    out = b""
    for part in parts:
        if isinstance(part, int):
            out += bytes((part,))
        else:
            assert len(part) < 255
            out += bytes((len(part),)) + part
    return out
