"""The meeting: all that happens between a host and a board before anything on it is changed.

Owns who the board is, what an earlier retrofit left on it, and whether it may be taken. Doesn't
own what is done to it then (steps.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from host_tools.errors import CommandError
from host_tools.repl import Entry, ReplError
from host_tools.retrofit import backup, board_facts, install, on_board, plan, record
from host_tools.retrofit.board_facts import BoardFacts
from host_tools.retrofit.failure import RetrofitFailure, unforeseen
from host_tools.retrofit.install import Left
from host_tools.retrofit.order import Order, Owner, Told
from host_tools.retrofit.plan import Plan
from host_tools.retrofit.port import Port
from host_tools.retrofit.record import Found


@dataclass(frozen=True)
class Met:
    """A board as it was found: what it says of itself, its files, and the record it has."""

    facts: BoardFacts
    there: list[Entry]
    found: Found | None


@dataclass
class Meeting:
    """One board on a port, and those who know what is to become of it.

    patience: seconds until the program on the board must have let go.
    """

    port: Port
    order: Order
    owner: Owner
    told: Told
    patience: float = 20.0
    step: str = "connect"
    facts: BoardFacts | None = None  # of the board, once it has told them

    @contextmanager
    def at(self, name: str, total: int = 0) -> Iterator[None]:
        """Be at a step, of so many bytes."""
        self.step = name
        self.told.step(name, total)
        yield

    def enter(self) -> None:
        """Get to the board's REPL, whatever runs there."""
        self.port.repl.enter(self.patience)

    def enter_built_in(self) -> None:
        """The same, and let what is run there import no module that is a file of the board."""
        self.enter()
        self.port.repl.exec(on_board.ONLY_BUILT_IN.format(names=tuple(sorted(plan.BUILT_IN))))

    def connect(self) -> None:
        """Stop what runs on the board."""
        with self.at("connect"):
            self.enter_built_in()
            board_facts.lengthen_watchdog(self.port.repl)

    @contextmanager
    def going_on_if_refused(self) -> Iterator[None]:
        """Let the board go on with what it did before, if it is not taken."""
        try:
            yield
        except (Exception, KeyboardInterrupt) as error:
            with suppress(ReplError):
                self.enter()
                self.port.restart()
            if isinstance(error, (CommandError, OSError, KeyboardInterrupt)):
                raise
            raise unforeseen(error) from None

    @contextmanager
    def noting_refusal(self) -> Iterator[None]:
        """Have the owner write down that the board was turned away."""
        try:
            yield
        except CommandError as error:
            if self.facts is not None:
                self.owner.refuse(self.facts, self.step, error)
            raise

    def meet(self, recover: bool) -> Met:
        """Look at the board; RetrofitFailure if it may not be taken.

        recover: put it back first, if an earlier retrofit was interrupted.
        """
        with self.at("identify"):
            self.facts = facts = board_facts.ask(self.port.repl)
            self.told.fact(f"MicroPython {facts.release} on {facts.machine}")
            self.told.fact(f"MAC {facts.mac.hex(':')}, {facts.free} bytes are free")
            left = install.left(self.port.repl)
            if recover:
                self.recover(left)
            elif left.begun:
                self.told.fact("an interrupted retrofit would be undone first")
            found = record.find(self.port.repl)
            self._refuse_other(facts, found)
            return Met(facts, plan.own_files(self.port.repl.listing()), found)

    def recover(self, left: Left) -> None:
        """Bring what an earlier retrofit left to its end, the one or the other."""
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
                f" {found.mac.hex(':')}: find out why; --replace-identity overwrites it",
            )
        name = self.owner.name(facts, found)
        if found.registration_id.lower() != name.lower():  # to DPS these are one
            raise RetrofitFailure(
                "other-identity",
                f"the board is {found.registration_id} already, not {name}: --keep leaves it that,"
                " --replace-identity makes it the other",
            )

    def plan(self, met: Met) -> tuple[Plan, dict[str, bytes]]:
        """Return what is to be done, and all files that are to be there then."""
        content = plan.wanted(self.order.content(met.facts), self.order.given, met.there)
        may_be = plan.candidates(content, met.there)
        planned = plan.plan(content, met.there, install.same(self.port.repl, content, may_be))
        if planned.new and planned.room > met.facts.free:
            raise RetrofitFailure(
                "no-room",
                f"the board has {met.facts.free} bytes free, {planned.room} are needed: remove"
                " files from it first",
            )
        if planned.shadows:
            shadows = ", ".join(planned.shadows)
            self.told.fact(f"in the way of MicroPython's own, goes to {plan.BEFORE}: {shadows}")
        return planned, content

    def back_up(self, met: Met) -> str:
        """Copy the board's files to the user's place; return it, "" for none."""
        if self.order.backup is None:
            return ""
        place = backup.free(str(self.order.backup), met.facts.mac)
        with self.at("back up", sum(entry.size for entry in met.there)):
            backup.take(self.port.repl, met.there, place, self.told.moved)
        self.told.fact(f"backup: {place}")
        return str(place)
