"""Notes: what the ledger is told of the boards on a port: attempts, failures, refusals.

Owns the facts' names, and what may be told: no key. Doesn't own when (steps.py), nor what the
ledger makes of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from host_tools.errors import CommandError
from host_tools.flash.failure import FlashFailure
from host_tools.flash.roles import Book
from host_tools.ledger import (
    AlreadyIssued,
    BadEvent,
    BatchUsedUp,
    ForeignBoard,
    LedgerError,
    Scrapped,
)

# what the ledger has against a board, by the names that reports count by: add, never rename
_RULES = {
    ForeignBoard: "other-batch",
    Scrapped: "scrapped",
    AlreadyIssued: "id-issued",
    BatchUsedUp: "batch-used-up",
}
LEDGER = "ledger"  # an error that is none of a board's
_NOBODYS_FAULT = ("interrupted", LEDGER, "host-failed")  # nothing was refused


def reason_of(error: CommandError) -> str:
    """Return the name by which an error is counted; "ledger": one that is none of a board's."""
    named = str(getattr(error, "reason", ""))  # FlashFailure and RetrofitFailure have one
    by_rule = (name for kind, name in _RULES.items() if isinstance(error, kind))
    return named or next(by_rule, LEDGER)


@dataclass(frozen=True)
class Notes:
    """What is noted of the boards on a port; batch: its name; port: as the user calls it."""

    book: Book
    batch: str
    port: str

    def begin(self, registration_id: str, **facts: Any) -> "Attempt":
        """Begin an attempt to make a board; LedgerError."""
        number = self.book.begin_attempt(registration_id, "flashing", port=self.port, **facts)
        return Attempt(self.book, registration_id, number)

    def refused(
        self, mac: bytes, chip: str, step: str, error: CommandError, reason: str = ""
    ) -> None:
        """Note why a board was turned away before anything was written to it.

        mac: b"" if the chip does not tell it; chip: e.g. "esp32c3"; reason: if it is counted by
        another name than reason_of()'s. Raises the error with why the ledger does not have it, if
        that is so.
        """
        reason = reason or reason_of(error)
        if reason in _NOBODYS_FAULT:
            return

        def note(**facts: Any) -> object:
            return self.book.refuse(self.batch, mac, chip, port=self.port, **facts)

        _tell(note, step, reason, error)


@dataclass(frozen=True)
class Attempt:
    """One attempt to make a board, as the ledger is told it."""

    book: Book
    registration_id: str
    number: int

    def note(self, kind: str, **facts: Any) -> None:
        """Append what happened; LedgerError."""
        self.book.append(self.registration_id, kind, attempt=self.number, **facts)

    def failed(self, error: CommandError) -> None:
        """Append that it failed; raises the failure with why not, if the ledger does not take it.

        An error of the ledger's own is left: it takes no more of this attempt.
        """
        if isinstance(error, FlashFailure):
            _tell(lambda **facts: self.note("failed", **facts), error.step, error.reason, error)


def _tell(note: Callable[..., object], step: str, reason: str, error: CommandError) -> None:
    """Note an error; without its words where they look like a key, as a board's words may."""
    detail = error.detail if isinstance(error, FlashFailure) else str(error)
    try:
        try:
            note(step=step, reason=reason, detail=detail)
        except BadEvent:
            note(step=step, reason=reason)
    except LedgerError as refusal:
        raise _unrecorded(error, refusal) from None


def _unrecorded(error: CommandError, refusal: LedgerError) -> CommandError:
    if isinstance(error, FlashFailure):
        return error.unrecorded(refusal)
    return CommandError(f"{error}; and the ledger does not have it: {refusal}")
