"""What a ledger refuses, or can not do, each with a name; all are one line for a person."""

from host_tools.errors import CommandError


class LedgerError(CommandError):
    """The ledger does not do what was asked for; nothing was changed."""


class NoLedger(LedgerError):
    """There is no ledger at this place, or no place was given."""


class NoLedgerYet(NoLedger):
    """There is none at this place, and one could be made there."""


class NotALedger(LedgerError):
    """What is at this place is something else."""


class NewerLedger(LedgerError):
    """A newer version of keystead made it, and this one does not know its tables."""


class Locked(LedgerError):
    """Another program held the ledger longer than one may wait."""


class ReadOnly(LedgerError):
    """The ledger can be read here, not written."""


class FileMoved(LedgerError):
    """The ledger's file was moved, removed or replaced while it was open."""


class DiskFull(LedgerError):
    """There is no room for another event."""


class ServerGone(LedgerError):
    """The database server does not answer, or not any more."""


class Tampered(LedgerError):
    """The ledger is not what its own events say; `number` is the first event that shows it."""

    def __init__(self, number: int, what: str) -> None:
        """what: the finding, without the event's number."""
        super().__init__(f"the ledger was tampered with: event {number}: {what}")
        self.number = number
        self._what = what

    def advised(self) -> "Tampered":
        """Return the same with what to do, for whoever was about to append to it."""
        return Tampered(
            self.number,
            f"{self._what}; so nothing was done: keep this ledger as it is, and go on as"
            " docs/ledger.md says under 'Going on after tampering'",
        )


class UnknownBatch(LedgerError):
    """The ledger has no batch of this name."""


class UnknownBoard(LedgerError):
    """The ledger has no identity by this registration ID, MAC or serial."""


class BatchUsedUp(LedgerError):
    """Every unit of the batch has its board."""


class ForeignBoard(LedgerError):
    """This board is not one of the batch: another batch's, or none that its list names."""


class AlreadyIssued(LedgerError):
    """The registration ID or serial was given away before; it never is again."""


class Scrapped(LedgerError):
    """The board was scrapped and gets no further attempt."""


class WrongAttempt(LedgerError):
    """The step belongs to no attempt, or to one that is over or was overtaken by another."""


class Unproven(LedgerError):
    """The board did not prove in this attempt that it has its key, so it is not good."""


class BadEvent(LedgerError):
    """The event's kind is unknown, or its facts are not for a ledger, e.g. a key among them."""
