"""Who says whose a board is to be: a ledger's batch, or the arguments for a single board.

Owns what becomes of an identity that the board has already. Doesn't own the ledger's rules.
"""

import argparse
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from host_tools import boards, identity, keys
from host_tools.batch import Batch
from host_tools.errors import CommandError
from host_tools.flash.notes import Notes
from host_tools.flash.roles import Keys
from host_tools.ledger import Identity, Ledger, UnknownBoard
from host_tools.retrofit.board_facts import BoardFacts
from host_tools.retrofit.failure import RetrofitFailure, reason_of
from host_tools.retrofit.record import Found
from keystead.failure import Failure
from keystead.record import FactoryRecord
from keystead.registration_id import parse_mac


@dataclass(frozen=True)
class LedgerOwner:
    """The next identity of a batch, or the one that the board has in the ledger."""

    book: Ledger
    batch: Batch
    keys: Keys | None  # None for a preview
    keep: bool = False
    version: str = ""
    replace: bool = False
    port: str = ""

    def name(self, facts: BoardFacts, found: Found | None) -> str:
        """See order.Owner."""
        _check_chip(facts, self.batch.board)
        if self.keep and found:
            return self._kept(facts, found).registration_id
        return self.book.peek(self.batch.name, facts.mac, facts.chip).registration_id

    def _kept(self, facts: BoardFacts, found: Found) -> Identity:
        """Return the identity that the board has, if the ledger knows it as this board's.

        It has the ledger's spelling of the name, of which the key is derived.
        """
        with suppress(UnknownBoard):
            known = self.book.identity(found.registration_id)
            if known.mac == facts.mac:
                self._check_batch(known)
                return known
        raise RetrofitFailure(
            "other-identity",
            f"the ledger knows no board {found.registration_id} with MAC {facts.mac.hex(':')}:"
            " write it down first, by `keystead ledger import` (docs/ledger.md), or give it a new"
            " identity with --replace-identity",
        )

    def _check_batch(self, known: Identity) -> None:
        if known.batch != self.batch.name:
            raise RetrofitFailure(
                "other-identity",
                f"the ledger has {known.registration_id} in batch {known.batch}, not in"
                f" {self.batch.name}: run it with --batch {known.batch} and that group's key",
            )

    def record(self, facts: BoardFacts, found: Found | None) -> FactoryRecord:
        """See order.Owner."""
        assert self.keys is not None
        if self.keep and found:
            own = self._kept(facts, found)
        else:
            own = self.book.reserve(self.batch.name, facts.mac, facts.chip)
        try:
            pair = self.keys.device_keys(own.registration_id)
        except CommandError as error:
            what = f"no device key for {own.registration_id}: {error}"
            raise RetrofitFailure("keys", what) from None
        self._refuse_other_key(own, keys.fingerprint(pair[0]))
        return _record(facts, self.batch.id_scope, own.registration_id, pair, self.batch.endpoint)

    def _refuse_other_key(self, own: Identity, derived: str) -> None:
        if own.fingerprint not in (None, derived) and not self.replace:
            raise RetrofitFailure(
                "other-key",
                f"the key derived for {own.registration_id} is not the one of its last run"
                f" ({derived[:16]}, the ledger has {str(own.fingerprint)[:16]}): is this the"
                " batch's group key? --replace-identity takes a new one",
            )

    def begin(self, record: FactoryRecord, facts: BoardFacts) -> "LedgerAttempt":
        """See order.Owner."""
        number = self.book.begin_attempt(
            record.registration_id,
            "retrofitting",
            port=self.port,
            fingerprint=keys.fingerprint(record.keys()[0]),
            micropython=facts.release,
            machine=facts.machine,
            keystead=self.version,
        )
        return LedgerAttempt(self.book, record.registration_id, number)

    def refuse(self, facts: BoardFacts, step: str, error: CommandError) -> None:
        """See order.Owner."""
        notes = Notes(self.book, self.batch.name, self.port)
        notes.refused(facts.mac, facts.chip, step, error, reason_of(error))


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
    keys: Keys | None  # None for a preview
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
        assert self.keys is not None
        name = self.name(facts, found)
        pair = self.keys.device_keys(name)
        return _record(facts, self.args.id_scope, name, pair, self.args.endpoint)

    def begin(self, record: FactoryRecord, facts: BoardFacts) -> "NoAttempt":
        """See order.Owner."""
        return NoAttempt()

    def refuse(self, facts: BoardFacts, step: str, error: CommandError) -> None:
        """See order.Owner."""


@dataclass(frozen=True)
class OwnKey:
    """The key of an individual enrollment: nothing is derived."""

    key: bytes = field(repr=False)

    def device_keys(self, registration_id: str) -> tuple[bytes, bytes]:
        """See roles.Keys."""
        return self.key, b""


class NoAttempt:
    """An attempt that nobody writes down."""

    def note(self, kind: str, **facts: Any) -> None:
        """See order.Attempt."""


def _record(
    facts: BoardFacts, id_scope: str, name: str, pair: tuple[bytes, bytes], endpoint: str
) -> FactoryRecord:
    try:
        return FactoryRecord(facts.mac, id_scope, name, *pair, endpoint)
    except Failure as failure:
        raise RetrofitFailure("record-differs", f"no record for {name}: {failure}") from None


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
