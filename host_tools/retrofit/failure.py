"""Failure: why a board was not retrofitted, by name. Never holds a key.

Owns the names that are a retrofit's alone. What is watched at boot and proof has those of
flash.failure, what the ledger has against a board those of flash.notes.
"""

from host_tools.errors import CommandError
from host_tools.flash import notes
from host_tools.flash.failure import REMEDIES
from host_tools.ledger import LedgerError
from host_tools.repl import LineLost, NoAnswer, ReplError

# the names are kept in ledgers: add, never rename
REASONS = (
    "not-micropython", "too-old", "wrong-chip", "wrong-board", "no-room", "in-the-way",
    "other-identity", "record-differs", "files-differ", "backup-failed", "line-lost",
    "other-key", "bug", "keys",
    # of errors that are not of this class
    "no-answer", "repl-failed", "interrupted", "ledger", "host-failed",
)  # fmt: skip
# what else ends a retrofit -> its name; the first that fits
_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (LineLost, "line-lost"),
    (NoAnswer, "no-answer"),
    (ReplError, "repl-failed"),
    (LedgerError, "ledger"),
    (KeyboardInterrupt, "interrupted"),
    (CommandError, "host-failed"),  # what is needed on this machine, as mpy-cross
    (OSError, "host-failed"),  # as a terminal that is gone
)


class RetrofitFailure(CommandError):
    """A board was not retrofitted. reason: a name in REASONS; the text says what to do next."""

    def __init__(self, reason: str, text: str) -> None:
        assert reason in REASONS
        super().__init__(text)
        self.reason = reason


def unforeseen(error: Exception) -> RetrofitFailure:
    """Return the failure for what nobody thought of; its words may hold a key and are left."""
    name = type(error).__name__
    return RetrofitFailure(
        "bug", f"a fault in Keystead, {name}: run it again; if it comes back, tell us that name"
    )


def reason_of(error: BaseException) -> str:
    """Return the name by which the ledger counts an error: one of a closed list."""
    named = getattr(error, "reason", "")
    if named in REASONS or named in REMEDIES:
        return str(named)
    if isinstance(error, CommandError) and (rule := notes.reason_of(error)) != notes.LEDGER:
        return rule
    return next((name for kind, name in _KINDS if isinstance(error, kind)), "bug")
