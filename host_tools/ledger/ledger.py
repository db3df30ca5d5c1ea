"""The ledger, as the factory's other parts use it."""

import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Self

from host_tools.batch import Batch, Unit
from host_tools.ledger.model import BatchCount, Event, Identity, Verdict


def open_ledger(
    place: str,
    station: str | None = None,
    create: bool = False,
    *,
    clock: Callable[[], float] = time.time,
) -> "Ledger":
    """Return the ledger at a place: a SQLite file's path, or a postgresql:// URL.

    station: who writes, default the machine's name; create: make an empty one if there is none;
    clock: seconds since 1970. Raises NoLedger, NotALedger, NewerLedger, ServerGone, Locked.
    """
    raise NotImplementedError


class Ledger:
    """One open ledger; may be used by several threads, and many processes may have it open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        raise NotImplementedError

    def create_batch(self, batch: Batch, units: Iterable[Unit]) -> None:
        """Plan a batch: all of it or nothing; AlreadyIssued, InvalidRegistrationID's text."""
        raise NotImplementedError

    def batches(self) -> list[Batch]:
        """Return all batches in the order they were planned."""
        raise NotImplementedError

    def batch(self, name: str) -> Batch:
        """Return one batch; UnknownBatch."""
        raise NotImplementedError

    def units(self, batch_name: str) -> Iterator[Unit]:
        """Give the units of a batch in their order; UnknownBatch."""
        raise NotImplementedError

    def count(self, batch_name: str) -> BatchCount:
        """Return how far a batch has come; UnknownBatch."""
        raise NotImplementedError

    def reserve(self, batch_name: str, mac: bytes, chip: str) -> Identity:
        """Return the identity of a board, a new one if it has none: for ever, and at once.

        The same MAC gets its own again; else the unit that names this MAC, else the next free one.
        Raises UnknownBatch, BatchUsedUp, ForeignBoard, Scrapped, AlreadyIssued.
        """
        raise NotImplementedError

    def peek(self, batch_name: str, mac: bytes, chip: str) -> Identity:
        """Return what reserve() would return now, and change nothing: for a dry run."""
        raise NotImplementedError

    def begin_attempt(
        self, registration_id: str, kind: str = "flashing", **facts: Any
    ) -> int:
        """Begin a new attempt to make a board; return its number, which its events carry.

        kind: "flashing" or "retrofitting", which is appended; what an earlier attempt left is
        overtaken. A fact `fingerprint` becomes the identity's. Raises UnknownBoard, Scrapped.
        """
        raise NotImplementedError

    def append(self, registration_id: str, kind: str, **facts: Any) -> Event:
        """Append what happened to a board: a kind of rules.KINDS, facts that JSON can hold.

        Steps and ends of an attempt need the fact `attempt`. Raises UnknownBoard, WrongAttempt,
        Unproven, Scrapped, BadEvent (e.g. facts that hold a key).
        """
        raise NotImplementedError

    def identity(self, registration_id: str) -> Identity:
        """Return the identity of this name; UnknownBoard."""
        raise NotImplementedError

    def by_mac(self, mac: bytes) -> Identity | None:
        """Return a board's identity, None if it has none yet."""
        raise NotImplementedError

    def by_serial(self, batch_name: str, serial: str) -> Identity | None:
        """Return the identity that a batch's serial was given to, None if to none yet."""
        raise NotImplementedError

    def find(self, text: str) -> Identity:
        """Return the identity meant by a registration ID, MAC or serial; UnknownBoard."""
        raise NotImplementedError

    def identities(
        self, batch: str | None = None, state: str | None = None
    ) -> Iterator[Identity]:
        """Give identities in the order they were reserved."""
        raise NotImplementedError

    def events(self, registration_id: str | None = None) -> Iterator[Event]:
        """Give all events, or those of one board, oldest first."""
        raise NotImplementedError

    def head(self) -> str:
        """Return "NUMBER:HASH" of the last event, which is to be kept elsewhere."""
        raise NotImplementedError

    def verify(self, head: str | None = None) -> Verdict:
        """Walk the chain, and compare every table with it; raise Tampered.

        head: one that was kept elsewhere, "NUMBER:HASH" or the hash alone: shows events that were
        cut off the end, and a chain that was made anew.
        """
        raise NotImplementedError
