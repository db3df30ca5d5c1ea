"""Who says whose a board is to be: a ledger's batch, or the arguments for a single board.

Owns what becomes of an identity that the board has already. Doesn't own the ledger's rules.
"""

import argparse
from dataclasses import dataclass
from typing import Any

from host_tools import boards, identity, keys
from host_tools.batch import Batch
from host_tools.flash.station import DeviceKeys
from host_tools.ledger import Ledger, UnknownBoard
from host_tools.retrofit.board_facts import BoardFacts
from host_tools.retrofit.failure import RetrofitFailure
from host_tools.retrofit.record import Found
from keystead.failure import Failure
from keystead.record import FactoryRecord
from keystead.registration_id import parse_mac


@dataclass(frozen=True)
class LedgerOwner:
    """The next identity of a batch, or the one that the board has in the ledger."""

    book: Ledger
    batch: Batch
    keys: DeviceKeys | None  # None for a preview
    keep: bool = False
    version: str = ""

    def name(self, facts: BoardFacts, found: Found | None) -> str:
        """See order.Owner."""
        _check_chip(facts, self.batch.board)
        if self.keep and found:
            return self._kept(facts, found)
        return self.book.peek(self.batch.name, facts.mac, facts.chip).registration_id

    def _kept(self, facts: BoardFacts, found: Found) -> str:
        """Return the name that the board has, if the ledger knows it as this board's."""
        try:
            if self.book.identity(found.registration_id).mac == facts.mac:
                return found.registration_id
        except UnknownBoard:
            pass
        raise RetrofitFailure(
            "other-identity",
            f"the ledger knows no board {found.registration_id} with MAC {facts.mac.hex(':')}:"
            " write it down first, as docs/factory.md says of boards that were made elsewhere, or"
            " give it a new identity with --replace",
        )

    def record(self, facts: BoardFacts, found: Found | None) -> FactoryRecord:
        """See order.Owner."""
        assert self.keys is not None
        if self.keep and found:
            name = self._kept(facts, found)
        else:
            own = self.book.reserve(self.batch.name, facts.mac, facts.chip)
            name = own.registration_id
        try:
            pair = self.keys.device_keys(name)
            return FactoryRecord(facts.mac, self.batch.id_scope, name, *pair, self.batch.endpoint)
        except Failure as failure:
            raise RetrofitFailure("record-differs", f"no record for {name}: {failure}") from None

    def begin(self, record: FactoryRecord, facts: BoardFacts) -> "LedgerAttempt":
        """See order.Owner."""
        number = self.book.begin_attempt(
            record.registration_id,
            "retrofitting",
            fingerprint=keys.fingerprint(record.keys()[0]),
            micropython=facts.release,
            machine=facts.machine,
            keystead=self.version,
        )
        return LedgerAttempt(self.book, record.registration_id, number)


@dataclass(frozen=True)
class LedgerAttempt:
    """An attempt in a ledger."""

    book: Ledger
    registration_id: str
    number: int

    def note(self, kind: str, **facts: Any) -> None:
        """See order.Attempt."""
        self.book.append(self.registration_id, kind, attempt=self.number, **facts)


@dataclass(frozen=True)
class ArgumentOwner:
    """What the arguments say of a single board; nothing is written down."""

    args: argparse.Namespace
    keep: bool = False

    def name(self, facts: BoardFacts, found: Found | None) -> str:
        """See order.Owner."""
        self._check_mac(facts)
        if self.keep and found:
            return found.registration_id
        try:
            return identity.registration_id(self.args, facts.mac)
        except ValueError as error:
            raise RetrofitFailure("wrong-board", str(error)) from None

    def _check_mac(self, facts: BoardFacts) -> None:
        try:
            given = parse_mac(self.args.mac) if self.args.mac else facts.mac
        except ValueError as error:
            raise RetrofitFailure("wrong-board", f"--mac: {error}") from None
        if given != facts.mac:
            raise RetrofitFailure(
                "wrong-board",
                f"the board has MAC {facts.mac.hex(':')}, not {given.hex(':')}: take the other",
            )

    def record(self, facts: BoardFacts, found: Found | None) -> FactoryRecord:
        """See order.Owner."""
        told = argparse.Namespace(**vars(self.args))
        told.mac, told.registration_id = facts.mac.hex(":"), self.name(facts, found)
        return identity.factory_record(told)

    def begin(self, record: FactoryRecord, facts: BoardFacts) -> "NoAttempt":
        """See order.Owner."""
        return NoAttempt()


class NoAttempt:
    """An attempt that nobody writes down."""

    def note(self, kind: str, **facts: Any) -> None:
        """See order.Attempt."""


def board_for(facts: BoardFacts, name: str | None) -> boards.Board:
    """Return the board of boards/ that is meant, by name or as the stock board of its chip."""
    if name:
        _check_chip(facts, name)
        return boards.get(name)
    return next(board for board in map(boards.get, boards.names()) if board.chip == facts.chip)


def _check_chip(facts: BoardFacts, name: str) -> None:
    wanted = boards.get(name).chip
    if wanted != facts.chip:
        raise RetrofitFailure(
            "wrong-chip",
            f"the board is an {facts.chip}, {name} is an {wanted}: take another board",
        )
