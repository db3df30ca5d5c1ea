"""Failure: why a board was not retrofitted, by name. Never holds a key."""

from host_tools.errors import CommandError

# the names are kept in ledgers: add, never rename
REASONS = (
    "not-micropython", "too-old", "wrong-chip", "wrong-board", "no-room", "in-the-way",
    "other-identity", "record-differs", "files-differ", "backup-failed", "line-lost",
    "other-key", "bug",
)  # fmt: skip


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
    """Return the name by which the ledger counts an error."""
    return str(getattr(error, "reason", "")) or type(error).__name__
