"""The steps from a bare board to a good one: what follows what, and what each must see.

Pure: port, ledger, keys, nonce and time are arguments. Owns the order, which is what makes it safe
to end anywhere: the row is reserved before a byte is written, it stays this MAC's for ever, each
run begins at the first step and finds most of it done, and `good` is the last thing said.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from host_tools import keys
from host_tools.batch import Batch
from host_tools.boards import Board
from host_tools.errors import CommandError
from host_tools.flash import check
from host_tools.flash.chip import Chip, Traffic
from host_tools.flash.console import APP, Application, Boot, Registration
from host_tools.flash.course import Course, StillThere
from host_tools.flash.failure import FlashFailure
from host_tools.flash.load import Load, joined, used
from host_tools.flash.notes import Attempt, Notes
from host_tools.flash.own_values import FACT
from host_tools.flash.proof import Challenge, nonce
from host_tools.flash.roles import Book, Keys, Port, Told
from host_tools.images import parts
from host_tools.images.parts import Part
from host_tools.ledger import Identity
from host_tools.nvs import Entry
from keystead.failure import Failure
from keystead.record import FactoryRecord

SLOW = 115_200  # bits/s that every ROM loader and every USB bridge can do
_BOOT = 45.0  # seconds from reset to the factory record's line; a board with PSRAM takes 10


@dataclass(frozen=True)
class Order:
    """What is to be made, the same for all ports.

    load: flash size in bytes to Load, CommandError where it does not fit; firmware: version that
    the board is to show when it boots; register: seconds it may take to be connected to its hub,
    0 to not wait for it; spread: seconds that its config.json lets a first boot wait; values: what
    a board's NVS is to have beside its record, FlashFailure where that is not known.
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
    values: Callable[[Identity], Sequence[Entry]] = lambda _: ()


@dataclass
class Line:
    """One port's way through the steps.

    but_not: the MAC of a board that is done already; place: which port it is, as the user says.
    """

    port: Port
    book: Book
    keys: Keys | None  # None for a preview
    order: Order
    told: Told
    nonce: Callable[[], str] = nonce
    clock: Callable[[], float] = time.monotonic
    but_not: bytes | None = None
    place: str = ""
    _chip: Chip | None = field(default=None, init=False)  # on the port
    _values: Sequence[Entry] = field(default=(), init=False, repr=False)  # of its own
    _before: Traffic = field(init=False)
    _course: Course = field(init=False)

    def __post_init__(self) -> None:
        self._before = self.port.traffic
        self._course = Course(self.told, self.order.batch.name, self.clock)

    @property
    def seconds(self) -> dict[str, float]:
        """Return how long this board was at each step."""
        return self._course.seconds

    def used(self) -> Traffic:
        """Return the bytes that this board took on the line."""
        return self.port.traffic.since(self._before)

    def preview(self) -> Identity:
        """Say which identity the board would get; nothing is changed, and the board boots again.

        Raises FlashFailure or a LedgerError, as flash() would.
        """
        with self._let_go():
            with self._course.at("connect"):
                chip, load = self._meet()
            with self._course.at("reserve"):
                identity, _ = self._identity(chip, load)
                self.told.identity(identity)
                self.port.restart()
        return identity

    def flash(self) -> Identity:
        """Make the board on the port a good one, or raise why not: FlashFailure, LedgerError.

        What fails from the first byte on is in the ledger as `failed`, with step and reason; what
        is refused before is there as `refused`, and gets no identity by that.
        """
        notes = Notes(self.book, self.order.batch.name, self.place)
        with self._let_go(), self._refusing(notes):
            chip, load, identity, record = self._prepare()
        attempt = self._begin(notes, identity, chip, load, record)
        try:
            self._make(chip, load, record, attempt)
        except CommandError as error:
            attempt.failed(error)
            raise
        return identity

    # ---- before anything is written

    def _prepare(self) -> tuple[Chip, Load, Identity, FactoryRecord]:
        with self._course.at("connect"):
            chip, load = self._meet()
        with self._course.at("reserve"):
            _, record_there = self._identity(chip, load)
            identity = self.book.reserve(self.order.batch.name, chip.mac, chip.name)
            check.refuse_other(record_there, identity)  # another station may have been faster
            self._values = self.order.values(identity)
            self.told.identity(identity)
            record = self._record(identity)
            self._refuse_other_key(identity, record)
        return chip, load, identity, record

    def _meet(self) -> tuple[Chip, Load]:
        chip = self.port.connect(self.order.baud)
        if chip.mac == self.but_not:
            self.port.restart()
            raise StillThere
        self._chip = chip
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
        self.order.values(identity)  # no identity is given away for want of them
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

    def _begin(
        self, notes: Notes, identity: Identity, chip: Chip, load: Load, record: FactoryRecord
    ) -> Attempt:
        return notes.begin(
            identity.registration_id,
            fingerprint=keys.fingerprint(record.keys()[0]),
            chip=chip.description,
            esptool=chip.esptool,
            keystead=self.order.firmware,
            **load.facts,
            **({FACT: len(self._values)} if self._values else {}),
        )

    # ---- from the first byte on

    def _make(self, chip: Chip, load: Load, record: FactoryRecord, attempt: Attempt) -> None:
        with self._course.at("write"):
            own = parts.own(load.layout, record.pack(), self._values)
            written, chip = self._write(chip, [*load.pieces(), own])
            attempt.note("flashed", bytes=written, baud=chip.baud)
        with self._course.at("verify"):
            nvs, disk = self._read_back([own, load.filesystem])
            check.nvs(nvs, record, self._values)
            check.filesystem(self.port.files(disk), load.files)
            attempt.note("verified", files=len(load.files))
        with self._course.at("boot"):
            self.port.restart()
            boot = Boot(record.mac, record.registration_id, self.order.firmware)
            self._watch(boot.take, self.order.boot, boot.missing)
            attempt.note("booted")
        with self._course.at("prove"):
            challenge = Challenge(self.nonce(), record)
            challenge.check(self.port.prove(challenge.nonce))
            attempt.note("proven")
            self.port.restart()
        if self.order.register:
            with self._course.at("register"):
                registration = Registration(self.order.register, self.order.spread)
                self._watch(registration.take, self.order.register, registration.missing)
                self._watch(Application().take, APP)
                attempt.note("registered")
        with self._course.at("record"):
            attempt.note("good", seconds=self._course.rounded(), line=self.used().facts())

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
        self,
        take: Callable[[str], bool],
        seconds: float,
        missing: Callable[[], FlashFailure] | None = None,
    ) -> None:
        """Watch the console until take() has enough; missing: what to raise if it never has."""
        end = self.clock() + seconds
        while (left := end - self.clock()) > 0:
            line = self.port.line(left)
            if line is not None and take(line):
                return
        if missing:
            raise missing()

    # ---- turned away

    @contextmanager
    def _let_go(self) -> Iterator[None]:
        """Have a board that is refused run again what it ran before."""
        try:
            yield
        except CommandError:
            if self._chip and self._chip.mac:
                with suppress(FlashFailure), self._course.release():  # it may be gone
                    self.port.restart()
            raise

    @contextmanager
    def _refusing(self, notes: Notes) -> Iterator[None]:
        """Have the ledger know of a board that is refused, of which nothing else tells."""
        try:
            yield
        except CommandError as error:
            if chip := self._chip:
                notes.refused(chip.mac, chip.name, self._course.step, error)
            raise
