"""The steps of a retrofit: what follows what, and the way back.

Owns the order, which is what makes it safe to end anywhere: all is staged and checked before
anything is exchanged; from the marker on, whoever comes next can undo it; the ledger has `good`
only of a board that has proven its key. Doesn't own how a step is done.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from host_tools.errors import CommandError
from host_tools.flash.console import APP, Application, Boot, Registration
from host_tools.flash.proof import Challenge, nonce
from host_tools.ledger import BadEvent
from host_tools.repl import LineLost, ReplError
from host_tools.retrofit import install, plan, record
from host_tools.retrofit.failure import RetrofitFailure, reason_of, unforeseen
from host_tools.retrofit.meeting import Meeting, Met
from host_tools.retrofit.order import Attempt
from host_tools.retrofit.plan import Plan
from keystead.record import FactoryRecord

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

    meeting: Meeting
    nonce: Callable[[], str] = nonce
    _marked: bool = field(default=False, init=False)  # there is something to undo

    def __post_init__(self) -> None:
        self._port, self._told = self.meeting.port, self.meeting.told

    def preview(self) -> Result:
        """Say what would be done, and let the board go on. Raises as run() does."""
        self.meeting.connect()
        with self.meeting.going_on_if_refused():
            met = self.meeting.meet(recover=False)
            name = self.meeting.owner.name(met.facts, met.found)
            planned, _ = self.meeting.plan(met)
        self._port.restart()
        return _result(name, met, planned)

    def roll_back(self) -> bool:
        """Undo what an interrupted retrofit left; False if there was nothing."""
        self.meeting.connect()
        left = install.left(self._port.repl)
        self.meeting.recover(left)
        install.forget_new(self._port.repl)
        self._port.restart()
        return left.begun or left.done or left.staged

    def run(self) -> Result:
        """Make the board on the port a proven one, or leave it as it was and raise why."""
        self.meeting.connect()
        with self.meeting.noting_refusal(), self.meeting.going_on_if_refused():
            met = self.meeting.meet(recover=True)
            planned, content = self.meeting.plan(met)
            place = self.meeting.back_up(met) if planned.changes else ""
            whose = self.meeting.owner.record(met.facts, met.found)
            self._told.fact(f"registration ID: {whose.registration_id}")
            attempt = self.meeting.owner.begin(whose, met.facts)
        try:
            self._change(planned, content, whose, met, attempt)
        except (CommandError, OSError, KeyboardInterrupt) as error:
            self._regret(error, attempt)
            raise
        except Exception as error:
            failure = unforeseen(error)
            self._regret(failure, attempt)
            raise failure from None
        self._keep(attempt)
        if planned.keeps and (planned.replaced or planned.shadows):
            kept = ", ".join(sorted({*planned.replaced, *planned.shadows}))
            self._told.fact(f"kept in {plan.BEFORE}: {kept}")
        return _result(whose.registration_id, met, planned, place)

    # ---- from the first change to the proof

    def _change(
        self,
        planned: Plan,
        content: dict[str, bytes],
        whose: FactoryRecord,
        met: Met,
        attempt: Attempt,
    ) -> None:
        repl = self._port.repl
        self._stage(planned)
        with self.meeting.at("install"):
            self._marked = True
            install.mark(repl, planned)
            install.switch(repl)  # before the key comes: what shadows MicroPython's own is gone
            if met.found is None or not met.found.is_that(whose):
                record.write(repl, whose)
            attempt.note("retrofitted", files=len(planned.new), bytes=_size(planned))
        with self.meeting.at("verify"):
            install.check(repl, content)
            record.check(repl, whose)
            attempt.note("verified", files=len(content))
        self._boot(whose, attempt)
        self._prove(whose, attempt)

    def _stage(self, planned: Plan) -> None:
        ready = self._ready(planned)
        missing = sum(len(data) for path, data in planned.new.items() if path not in ready)
        with self.meeting.at("copy", missing):
            install.stage(self._port.repl, planned, ready, self._told.moved)

    def _ready(self, planned: Plan) -> set[str]:
        """Return which of the new files lie ready since an interrupted retrofit."""
        repl = self._port.repl
        if not install.left(repl).staged:
            return set()
        paths = plan.candidates(planned.new, repl.listing(plan.NEW), plan.NEW)
        return install.same(repl, planned.new, paths, plan.NEW)

    def _boot(self, whose: FactoryRecord, attempt: Attempt) -> None:
        with self.meeting.at("boot"):
            boot = Boot(whose.mac, whose.registration_id, self.meeting.order.version)
            self._port.restart()
            if not self._port.watch(boot.take, _BOOT):
                raise boot.missing()
            attempt.note("booted")

    def _prove(self, whose: FactoryRecord, attempt: Attempt) -> None:
        with self.meeting.at("prove"):
            challenge = Challenge(self.nonce(), whose)
            ask = f"from rim.proof import prove\nprove({challenge.nonce!r})"
            self.meeting.enter()
            challenge.check(self._port.repl.exec(ask, _PROOF).strip())
            attempt.note("proven")
        if self.meeting.order.register:
            self._register(attempt)

    def _register(self, attempt: Attempt) -> None:
        with self.meeting.at("register"):
            order = self.meeting.order
            registration = Registration(order.register, order.spread)
            self._port.restart()
            if not self._port.watch(registration.take, order.register):
                raise registration.missing()
            self._port.watch(Application().take, APP)
            attempt.note("registered")
            self.meeting.enter()

    def _keep(self, attempt: Attempt) -> None:
        """Keep what is proven; from here on nothing is undone any more."""
        try:
            with self.meeting.at("record"):
                install.commit(self._port.repl)
                attempt.note("good")
            with self.meeting.at("tidy up"):
                install.clean(self._port.repl)
                self._port.restart()
        except ReplError as error:
            raise RetrofitFailure(
                "line-lost", f"{error}; the board is proven: run the same command again to end it"
            ) from None
        except (CommandError, OSError):
            raise
        except Exception as error:
            raise unforeseen(error) from None

    # ---- the way back

    def _regret(self, error: BaseException, attempt: Attempt) -> None:
        """Put the board back and write down why; raises where that can not be done."""
        step, trouble = self.meeting.step, ""
        try:
            self._put_back()
        except Exception as reason:
            why = _words(reason)
            trouble = f"; the board could not be put back ({why})" if self._marked else ""
            trouble += ": plug it in and run the same command again, it goes on from there"
        facts = {"step": step, "reason": reason_of(error)}
        try:
            try:
                attempt.note("failed", **facts, detail=_words(error)[:500])
            except BadEvent:  # the words look like a key, as a board's may
                attempt.note("failed", **facts)
        except Exception as refusal:
            trouble += f"; and the ledger does not have it: {_words(refusal)}"
        if trouble and isinstance(error, CommandError):
            raise RetrofitFailure("line-lost", f"{error}{trouble}") from None

    def _put_back(self) -> None:
        with suppress(OSError):  # also if nobody reads any more
            self._told.step("put back")
        try:
            self.meeting.enter_built_in()
        except LineLost:
            self._port.reopen()
            self.meeting.enter_built_in()
        if install.left(self._port.repl).begun:
            install.undo(self._port.repl)
        install.forget_new(self._port.repl)
        self._port.restart()


def _words(error: BaseException) -> str:
    """Return what may be repeated of an error: only ours are known to hold no key."""
    if isinstance(error, KeyboardInterrupt):
        return "it was interrupted"
    return str(error) if isinstance(error, CommandError) else type(error).__name__


def _size(planned: Plan) -> int:
    return sum(map(len, planned.new.values()))


def _result(name: str, met: Met, planned: Plan, place: str = "") -> Result:
    facts = met.facts
    return Result(
        name, facts.mac, facts.chip, facts.release, len(planned.new), len(planned.replaced),
        len(planned.aside), len(planned.same), _size(planned), place,
    )  # fmt: skip
