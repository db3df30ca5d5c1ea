"""Failure: one step that did not succeed, named as in the catalogue.

Owns the exception only; numbers, words and remedies are in keystead.catalogue, of which a board
has failures.txt.
"""

_DETAIL = 160  # characters; a service's message is foreign text and may be of any length


class Failure(Exception):
    """A step failed; what time alone will not mend unless retry_after says so.

    reason: a name in keystead.catalogue, e.g. "record-absent".
    detail: what was seen, in words; printable, never a key or a token.
    code: the service's or the chip's own number, 0 where there is none.
    retry_after: seconds the service asked us to wait, 0 where it did not.
    """

    def __init__(self, reason: str, detail: str = "", code: int = 0, retry_after: int = 0):
        super().__init__(reason)
        self.reason = reason
        self.detail = printable(detail)
        # an OSError's first argument is a text on some ports
        self.code = code if isinstance(code, int) else 0
        self.retry_after = retry_after

    def __str__(self) -> str:
        code = " (%d)" % self.code if self.code else ""
        return self.reason + code + (": " + self.detail if self.detail else "")


def printable(text: str) -> str:
    """Return text cut to a line's length, control characters shown as dots."""
    return "".join(c if " " <= c <= "~" else "." for c in text[:_DETAIL])
