"""The steps of a retrofit: what follows what, and the way back.

Owns the order, which is what makes it safe to end anywhere: all is staged and checked before
anything is exchanged; from the marker on, whoever comes next can undo it; the ledger has `good`
only of a board that has proven its key. Doesn't own how a step is done.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from host_tools.errors import CommandError
from host_tools.flash.console import Boot, Registration
from host_tools.flash.proof import Challenge, nonce
from host_tools.repl import Entry, LineLost, ReplError
from host_tools.retrofit import backup, board_facts, install, plan, record
from host_tools.retrofit.board_facts import BoardFacts
from host_tools.retrofit.failure import RetrofitFailure, reason_of
from host_tools.retrofit.install import Left
from host_tools.retrofit.order import Attempt, Order, Owner, Told
from host_tools.retrofit.plan import Plan
from host_tools.retrofit.port import Port
from host_tools.retrofit.record import Found
from keystead.record import FactoryRecord

STEPS = (
    "connect", "identify", "back up", "copy", "install", "verify", "boot", "prove", "register",
    "record", "tidy up",
)  # fmt: skip
_ENTER = 20.0  # seconds until the program on the board must have let go
_BOOT = 45.0  # seconds from reset to the factory record's line
_PROOF = 15.0


@dataclass(frozen=True)
class Result:
    """What was done, or would be. new, replaced, aside, same: numbers of files; size: of the new.

    replaced: those of the new that had another content before; aside: those that had to go.
    """

    registration_id: str
    mac: bytes
    chip: str
    micropython: str
    new: int
    replaced: int
    aside: int
    same: int
    size: int
    backup: str = ""

    def document(self) -> dict[str, object]:
        """Return it as a JSON object."""
        return {
            "registrationId": self.registration_id,
            "mac": self.mac.hex(":"),
            "chip": self.chip,
            "micropython": self.micropython,
            "files": {
                "new": self.new, "replaced": self.replaced, "aside": self.aside, "same": self.same,
            },
            "bytes": self.size,
            "backup": self.backup or None,
        }  # fmt: skip


@dataclass
class Retrofit:
    """One board's way through the steps."""

    port: Port
    order: Order
    owner: Owner
    told: Told
    nonce: Callable[[], str] = nonce
    _step: str = "connect"
    _marked: bool = field(default=False, init=False)  # there is something to undo

    def preview(self) -> Result:
        """Say what would be done, and let the board go on. Raises as run() does."""
        self._connect()
        with self._going_on_if_refused():
            facts, there, found = self._meet(recover=False)
            name = self.owner.name(facts, found)
            planned, _ = self._plan(facts, there)
        self.port.restart()
        return _result(name, facts, planned)

    def roll_back(self) -> bool:
        """Undo what an interrupted retrofit left; False if there was nothing."""
        self._connect()
        found = install.left(self.port.repl)
        self._recover(found)
        install.forget_new(self.port.repl)
        self.port.restart()
        return found.begun or found.done or found.staged

    def run(self) -> Result:
        """Make the board on the port a proven one, or leave it as it was and raise why."""
        self._connect()
        with self._going_on_if_refused():
            facts, there, found = self._meet(recover=True)
            planned, content = self._plan(facts, there)
            place = self._back_up(facts, there) if planned.changes else ""
            whose = self.owner.record(facts, found)
            self.told.fact(f"registration ID: {whose.registration_id}")
            attempt = self.owner.begin(whose, facts)
        try:
            self._install(planned, whose, found)
            attempt.note("retrofitted", files=len(planned.new), bytes=_size(planned))
            self._verify(content, whose, attempt)
            self._prove(whose, attempt)
        except (CommandError, KeyboardInterrupt) as error:
            self._regret(error, attempt)
            raise
        self._finish(attempt)
        if planned.replaced and not planned.had:
            self.told.fact(f"kept in {plan.BEFORE}: {', '.join(planned.replaced)}")
        return _result(whose.registration_id, facts, planned, place)

    # ---- before anything is changed

    def _connect(self) -> None:
        with self._at("connect"):
            self.port.repl.enter(_ENTER)
            board_facts.lengthen_watchdog(self.port.repl)

    @contextmanager
    def _going_on_if_refused(self) -> Iterator[None]:
        """Let the board go on with what it did before, if it is not taken."""
        try:
            yield
        except (CommandError, KeyboardInterrupt):
            with suppress(ReplError):
                self.port.repl.enter(_ENTER)
                self.port.restart()
            raise

    def _meet(self, recover: bool) -> tuple[BoardFacts, list[Entry], Found | None]:
        with self._at("identify"):
            facts = board_facts.ask(self.port.repl)
            self.told.fact(f"MicroPython {facts.release} on {facts.machine}")
            self.told.fact(f"MAC {facts.mac.hex(':')}, {facts.free} bytes are free")
            left = install.left(self.port.repl)
            if recover:
                self._recover(left)
            elif left.begun:
                self.told.fact("an interrupted retrofit would be undone first")
            found = record.find(self.port.repl)
            self._refuse_other(facts, found)
            there = plan.own_files(self.port.repl.listing())
        return facts, there, found

    def _recover(self, left: Left) -> None:
        if left.done:
            self.told.fact("an earlier retrofit was all but done: tidying up after it")
            install.clean(self.port.repl)
        elif left.begun:
            self.told.fact("an earlier retrofit was interrupted: putting the board back first")
            install.undo(self.port.repl)

    def _refuse_other(self, facts: BoardFacts, found: Found | None) -> None:
        if found is None or self.order.replace:
            return
        if found.mac != facts.mac:
            raise RetrofitFailure(
                "other-identity",
                f"the board holds the record of {found.registration_id}, of another board with MAC"
                f" {found.mac.hex(':')}: find out why; --replace overwrites it",
            )
        name = self.owner.name(facts, found)
        if found.registration_id != name:
            raise RetrofitFailure(
                "other-identity",
                f"the board is {found.registration_id} already, not {name}: --keep leaves it that,"
                " --replace makes it the other",
            )

    def _plan(self, facts: BoardFacts, there: list[Entry]) -> tuple[Plan, dict[str, bytes]]:
        content = plan.wanted(self.order.content(facts), self.order.given, there)
        may_be = plan.candidates(content, there)
        planned = plan.plan(content, there, install.same(self.port.repl, content, may_be))
        if planned.new and planned.room > facts.free:
            raise RetrofitFailure(
                "no-room",
                f"the board has {facts.free} bytes free, {planned.room} are needed: remove files"
                " from it first",
            )
        return planned, content

    def _back_up(self, facts: BoardFacts, there: list[Entry]) -> str:
        if self.order.backup is None:
            return ""
        place = backup.free(str(self.order.backup), facts.mac)
        with self._at("back up", sum(entry.size for entry in there)):
            backup.take(self.port.repl, there, place, self.told.moved)
        self.told.fact(f"backup: {place}")
        return str(place)

    # ---- from the first change on

    def _install(self, planned: Plan, whose: FactoryRecord, found: Found | None) -> None:
        repl = self.port.repl
        ready = self._staged(planned)
        missing = sum(len(data) for path, data in planned.new.items() if path not in ready)
        with self._at("copy", missing):
            install.stage(repl, planned, ready, self.told.moved)
        with self._at("install"):
            self._marked = True
            install.mark(repl, planned)
            if found is None or not found.is_that(whose):
                record.write(repl, whose)
            install.switch(repl)

    def _staged(self, planned: Plan) -> set[str]:
        """Return which of the new files lie ready since an interrupted retrofit."""
        repl = self.port.repl
        if not install.left(repl).staged:
            return set()
        paths = plan.candidates(planned.new, repl.listing(plan.NEW), plan.NEW)
        return install.same(repl, planned.new, paths, plan.NEW)

    def _verify(self, content: dict[str, bytes], whose: FactoryRecord, attempt: Attempt) -> None:
        with self._at("verify"):
            install.check(self.port.repl, content)
            record.check(self.port.repl, whose)
            attempt.note("verified", files=len(content))
        with self._at("boot"):
            boot = Boot(whose.mac, whose.registration_id, self.order.version)
            self.port.restart()
            if not self.port.watch(boot.take, _BOOT):
                raise boot.missing()
            attempt.note("booted")

    def _prove(self, whose: FactoryRecord, attempt: Attempt) -> None:
        with self._at("prove"):
            challenge = Challenge(self.nonce(), whose)
            ask = f"from rim.proof import prove\nprove({challenge.nonce!r})"
            self.port.repl.enter(_ENTER)
            challenge.check(self.port.repl.exec(ask, _PROOF).strip())
            attempt.note("proven")
        if self.order.register:
            with self._at("register"):
                registration = Registration()
                self.port.restart()
                if not self.port.watch(registration.take, self.order.register):
                    raise registration.missing()
                attempt.note("registered")
                self.port.repl.enter(_ENTER)

    def _finish(self, attempt: Attempt) -> None:
        """Keep what is proven; from here on nothing is undone any more."""
        with self._at("record"):
            install.commit(self.port.repl)
            attempt.note("good")
        with self._at("tidy up"):
            install.clean(self.port.repl)
            self.port.restart()

    # ---- the way back

    def _regret(self, error: BaseException, attempt: Attempt) -> None:
        """Put the board back and write down why; raises where that can not be done."""
        step, trouble = self._step, ""
        try:
            self._put_back()
        except CommandError as reason:
            trouble = f"; the board could not be put back ({reason})" if self._marked else ""
            trouble += ": plug it in and run the same command again, it goes on from there"
        try:
            attempt.note("failed", step=step, reason=reason_of(error), detail=str(error)[:500])
        except CommandError as refusal:
            trouble += f"; and the ledger does not have it: {refusal}"
        if trouble and isinstance(error, CommandError):
            raise RetrofitFailure("line-lost", f"{error}{trouble}") from None

    def _put_back(self) -> None:
        self.told.step("put back")
        try:
            self.port.repl.enter(_ENTER)
        except LineLost:
            self.port.reopen()
            self.port.repl.enter(_ENTER)
        if install.left(self.port.repl).begun:
            install.undo(self.port.repl)
        install.forget_new(self.port.repl)
        self.port.restart()

    @contextmanager
    def _at(self, name: str, total: int = 0) -> Iterator[None]:
        self._step = name
        self.told.step(name, total)
        yield


def _size(planned: Plan) -> int:
    return sum(map(len, planned.new.values()))


def _result(name: str, facts: BoardFacts, planned: Plan, place: str = "") -> Result:
    return Result(
        name, facts.mac, facts.chip, facts.release, len(planned.new), len(planned.replaced),
        len(planned.aside), len(planned.same), _size(planned), place,
    )  # fmt: skip
