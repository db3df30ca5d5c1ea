"""The steps from a bare board to a good one: what follows what, and what each must see.

Pure: port, ledger, keys, nonce and time are arguments. Owns the order, which is what makes it safe
to end anywhere: the row is reserved before a byte is written, it stays this MAC's for ever, each
run begins at the first step and finds most of it done, and `good` is the last thing said.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from host_tools import keys
from host_tools.batch import Batch
from host_tools.boards import Board
from host_tools.errors import CommandError
from host_tools.flash import check
from host_tools.flash.chip import Chip, Traffic
from host_tools.flash.console import Boot, Registration
from host_tools.flash.failure import FlashFailure
from host_tools.flash.load import Load, joined, used
from host_tools.flash.proof import Challenge, nonce
from host_tools.flash.roles import Book, Keys, Port, Told
from host_tools.images import parts
from host_tools.images.parts import Part
from host_tools.ledger import BadEvent, BatchUsedUp, Identity, LedgerError
from keystead.failure import Failure
from keystead.record import FactoryRecord

STEPS = ("connect", "reserve", "write", "verify", "boot", "prove", "register", "record")
SLOW = 115_200  # bits/s that every ROM loader and every USB bridge can do
_BOOT = 45.0  # seconds from reset to the factory record's line; a board with PSRAM takes 10


@dataclass(frozen=True)
class Order:
    """What is to be made, the same for all ports.

    load: flash size in bytes to Load, CommandError where it does not fit; firmware: version that
    the board is to show when it boots; register: seconds it may take to be connected to its hub,
    0 to not wait for it; spread: seconds that its config.json lets a first boot wait.
    """

    batch: Batch
    board: Board
    load: Callable[[int], Load]
    firmware: str
    baud: int = 460_800
    register: float = 0
    replace_identity: bool = False
    boot: float = _BOOT
    spread: int = 0


@dataclass(frozen=True)
class Attempt:
    """One attempt to make a board, as the ledger is told it."""

    book: Book
    registration_id: str
    number: int

    def note(self, kind: str, **facts: Any) -> None:
        """Append what happened; LedgerError."""
        self.book.append(self.registration_id, kind, attempt=self.number, **facts)


class StillThere(Exception):
    """The board that was made last is still on the port."""


@dataclass
class Line:
    """One port's way through the steps. but_not: the MAC of a board that is done already."""

    port: Port
    book: Book
    keys: Keys | None  # None for a preview
    order: Order
    told: Told
    nonce: Callable[[], str] = nonce
    clock: Callable[[], float] = time.monotonic
    seconds: dict[str, float] = field(default_factory=dict)
    but_not: bytes | None = None
    _step: str = "connect"
    _mac: bytes = b""  # of the board on the port
    _before: Traffic = field(init=False)

    def __post_init__(self) -> None:
        self._before = self.port.traffic

    def used(self) -> Traffic:
        """Return the bytes that this board took on the line."""
        return self.port.traffic.since(self._before)

    def preview(self) -> Identity:
        """Say which identity the board would get; nothing is changed, and the board boots again.

        Raises FlashFailure or a LedgerError, as flash() would.
        """
        with self._let_go():
            with self._at("connect"):
                chip, load = self._meet()
            with self._at("reserve"):
                identity, _ = self._identity(chip, load)
                self.told.identity(identity)
                self.port.restart()
        return identity

    def flash(self) -> Identity:
        """Make the board on the port a good one, or raise why not: FlashFailure, LedgerError.

        What fails from the first byte on is in the ledger as `failed`, with step and reason; what
        is refused before is `noted` there if it has the board, which stays what it is.
        """
        with self._let_go(), self._noted():
            chip, load, identity, record = self._prepare()
        attempt = self._begin(identity, chip, load, record)
        try:
            self._make(chip, load, record, attempt)
        except CommandError as error:
            self._regret(attempt, error)
            raise
        return identity

    # ---- before anything is written

    def _prepare(self) -> tuple[Chip, Load, Identity, FactoryRecord]:
        with self._at("connect"):
            chip, load = self._meet()
        with self._at("reserve"):
            _, record_there = self._identity(chip, load)
            identity = self.book.reserve(self.order.batch.name, chip.mac, chip.name)
            check.refuse_other(record_there, identity)  # another station may have been faster
            self.told.identity(identity)
            record = self._record(identity)
            self._refuse_other_key(identity, record)
        return chip, load, identity, record

    def _meet(self) -> tuple[Chip, Load]:
        chip = self.port.connect(self.order.baud)
        if chip.mac == self.but_not:
            self.port.restart()
            raise StillThere
        self._mac = chip.mac
        self.told.chip(chip)
        chip.check(self.order.board.chip, self.order.board.name)
        try:
            return chip, self.order.load(chip.flash_size)
        except CommandError as error:
            raise FlashFailure("flash-too-small", str(error)) from None

    def _identity(self, chip: Chip, load: Load) -> tuple[Identity, bytes]:
        """Return whose the board is to be, and its NVS; refuse one that is somebody else's.

        The NVS is b"" if it is blank, or of no interest as the identity is to be replaced.
        """
        identity = self.book.peek(self.order.batch.name, chip.mac, chip.name)
        nvs, image = load.layout.nvs, b""
        if not self.order.replace_identity and not self.port.blank(nvs.offset, nvs.size):
            (image,) = self.port.read([(nvs.offset, nvs.size)])
        check.refuse_other(image, identity, self.book.by_mac(chip.mac) is not None)
        return identity, image

    def _record(self, identity: Identity) -> FactoryRecord:
        batch, name = self.order.batch, identity.registration_id
        assert self.keys is not None
        try:
            primary, secondary = self.keys.device_keys(name)
            return FactoryRecord(
                identity.mac, batch.id_scope, name, primary, secondary, batch.endpoint
            )
        except (Failure, CommandError) as error:
            raise FlashFailure("keys", f"no factory record for {name}: {error}") from None

    def _refuse_other_key(self, identity: Identity, record: FactoryRecord) -> None:
        derived, known = keys.fingerprint(record.keys()[0]), identity.fingerprint
        if known not in (None, derived) and not self.order.replace_identity:
            raise FlashFailure(
                "other-key",
                f"the key derived for {identity.registration_id} is not the one of its last run"
                f" ({derived[:16]}, the ledger has {str(known)[:16]})",
            )

    def _begin(self, identity: Identity, chip: Chip, load: Load, record: FactoryRecord) -> Attempt:
        facts = {
            "chip": chip.description,
            "esptool": chip.esptool,
            "keystead": self.order.firmware,
            **load.facts,
        }
        fingerprint = keys.fingerprint(record.keys()[0])
        number = self.book.begin_attempt(
            identity.registration_id, "flashing", fingerprint=fingerprint, **facts
        )
        return Attempt(self.book, identity.registration_id, number)

    # ---- from the first byte on

    def _make(self, chip: Chip, load: Load, record: FactoryRecord, attempt: Attempt) -> None:
        with self._at("write"):
            own = parts.own(load.layout, record.pack())
            written, chip = self._write(chip, [*load.pieces(), own])
            attempt.note("flashed", bytes=written, baud=chip.baud)
        with self._at("verify"):
            nvs, disk = self._read_back([own, load.filesystem])
            check.nvs(nvs, record)
            check.filesystem(self.port.files(disk), load.files)
            attempt.note("verified", files=len(load.files))
        with self._at("boot"):
            self.port.restart()
            boot = Boot(record.mac, record.registration_id, self.order.firmware)
            self._watch(boot.take, self.order.boot, boot.missing)
            attempt.note("booted")
        with self._at("prove"):
            challenge = Challenge(self.nonce(), record)
            challenge.check(self.port.prove(challenge.nonce))
            attempt.note("proven")
            self.port.restart()
        if self.order.register:
            with self._at("register"):
                registration = Registration(self.order.register, self.order.spread)
                self._watch(registration.take, self.order.register, registration.missing)
                attempt.note("registered")
        with self._at("record"):
            attempt.note("good", seconds=self._rounded(), line=self.used().facts())

    def _write(self, chip: Chip, pieces: Sequence[Part]) -> tuple[int, Chip]:
        """Write; once more and slowly where the line was too fast for it."""
        try:
            return self.port.write(pieces), chip
        except FlashFailure as failure:
            if chip.baud <= SLOW or failure.reason not in ("write-failed", "no-answer"):
                raise
        again = self.port.connect(SLOW)
        if again.mac != chip.mac:
            raise FlashFailure("board-swapped", f"another board, {again.mac.hex(':')}, is there")
        return self.port.write(pieces), again

    def _read_back(self, written: Sequence[Part]) -> list[bytes]:
        """Return what was written as it is in flash; what is blank was compared by its MD5."""
        wanted = [(part, start, size) for part in written for start, size in used(part.data)]
        found = self.port.read([(part.offset + start, size) for part, start, size in wanted])
        pairs = list(zip(wanted, found, strict=True))
        return [
            joined(len(part.data), [(start, d) for (whose, start, _), d in pairs if whose is part])
            for part in written
        ]

    def _watch(
        self, take: Callable[[str], bool], seconds: float, missing: Callable[[], FlashFailure]
    ) -> None:
        end = self.clock() + seconds
        while (left := end - self.clock()) > 0:
            line = self.port.line(left)
            if line is not None and take(line):
                return
        raise missing()

    # ---- time and blame

    @contextmanager
    def _at(self, name: str) -> Iterator[None]:
        self._step = name
        self.told.step(name)
        begun = self.clock()
        try:
            yield
        except FlashFailure as failure:
            failure.step = failure.step or name
            raise
        except BatchUsedUp:
            what = f"every serial of batch {self.order.batch.name} has its board"
            full = FlashFailure("batch-used-up", what)
            full.step = name
            raise full from None
        except (CommandError, StillThere):
            raise
        except Exception as error:  # whatever it is: the board is not good, and that is noted
            bug = FlashFailure.unforeseen(error)
            bug.step = name
            raise bug from None
        finally:
            self.seconds[name] = self.seconds.get(name, 0) + self.clock() - begun

    def _rounded(self) -> Mapping[str, float]:
        return {name: round(seconds, 3) for name, seconds in self.seconds.items()}

    @contextmanager
    def _let_go(self) -> Iterator[None]:
        """Have a board that is refused run again what it ran before."""
        try:
            yield
        except CommandError:
            if self._mac:
                with suppress(FlashFailure):  # it may be gone
                    self.port.restart()
            raise

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Have the ledger note a refusal, if it knows the board; which stays what it is."""
        try:
            yield
        except FlashFailure as failure:
            try:
                known = self.book.by_mac(self._mac) if self._mac else None
                if known:
                    name = known.registration_id
                    _tell(failure, lambda **f: self.book.append(name, "noted", **f))
            except LedgerError as refusal:
                raise failure.unrecorded(refusal) from None
            raise

    def _regret(self, attempt: Attempt, error: CommandError) -> None:
        if not isinstance(error, FlashFailure):  # the ledger's: it takes no more of this attempt
            return
        try:
            _tell(error, lambda **facts: attempt.note("failed", **facts))
        except LedgerError as refusal:
            raise error.unrecorded(refusal) from None


def _tell(failure: FlashFailure, note: Callable[..., object]) -> None:
    """Note a failure; without its detail where that looks like a key, as a board's words may."""
    facts = {"step": failure.step, "reason": failure.reason}
    try:
        note(**facts, detail=failure.detail)
    except BadEvent:
        note(**facts)
