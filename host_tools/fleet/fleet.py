"""Fleet: many devices, each on its own way to its hub, in one asyncio loop.

Owns who begins when, how many shake hands at once, and the steps all take together: boot, talk,
stay, leave. Doesn't own what a device says (visit.py, stay.py) nor how it is told (report.py).
"""

import asyncio
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Self

from host_tools.fleet.conversation import Conversation
from host_tools.fleet.line import Line
from host_tools.fleet.place import Place
from host_tools.fleet.plan import Member, Plan
from host_tools.fleet.results import Outcome, Spell, Summary
from host_tools.fleet.stay import Stay
from host_tools.fleet.turns import Turns
from host_tools.fleet.visit import Visit
from keystead.failure import Failure

_LOOK = 0.5  # seconds between two looks whether any connection is left


@dataclass(frozen=True)
class Pace:
    """How a fleet comes: 0 stands for no limit."""

    ramp: float = 0  # devices that begin each second
    at_once: int = 0  # hand-shakes under way


class Fleet:
    """Devices that boot, talk, stay and leave together."""

    def __init__(
        self,
        plan: Plan,
        members: Iterable[Member],
        place: Place,
        context: ssl.SSLContext,
        pace: Pace = Pace(),
        dps: bool = True,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """place: where every host name leads; dps: False to go straight to the plan's hub."""
        self.outcomes = [Outcome(member) for member in members]
        self._plan, self._place, self._context = plan, place, context
        self.asks_dps = dps
        self._pace, self._chance = pace, chance
        self._gate = asyncio.Semaphore(pace.at_once or max(1, len(self.outcomes)))
        self._there: list[tuple[Outcome, Line, Stay]] = []
        self._began = self._boot = 0.0
        self._talk: Spell | None = None
        self._due = 0  # messages

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Hang up wherever somebody did not leave."""
        for _, line, _ in self._there:
            line.close()
        await asyncio.sleep(0)  # asyncio closes sockets in its next turn

    async def boot(self) -> float:
        """Bring every device to its hub, or note why not; return the seconds it took."""
        self._began = time.monotonic()
        self._turns = Turns(asyncio.get_running_loop().call_soon)
        async with asyncio.TaskGroup() as tasks:
            for number, outcome in enumerate(self.outcomes):
                delay = number / self._pace.ramp if self._pace.ramp else 0.0
                tasks.create_task(self._live(outcome, delay))
        self._boot = self._elapsed()
        return self._boot

    async def talk(self, count: int, every: float = 0) -> Spell:
        """Let every device that is there send count messages, one each `every` seconds."""
        self._talk, self._due = Spell(), count * len(self._there)
        spell = self._talk
        began = time.monotonic()
        for _, _, stay in self._there:
            stay.took = spell.times.append
        await self._all(lambda line, stay: self._tell(line, stay, count, every))
        spell.seconds = time.monotonic() - began
        return spell

    async def stay(self, seconds: float) -> None:
        """Keep every connection for so long, or until none is left; one that breaks fails."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if all(line.failure for _, line, _ in self._there):
                break
            await asyncio.sleep(min(left, _LOOK))
        await self._all(self._still_there)

    async def leave(self) -> None:
        """Let every device say goodbye."""
        await self._all(self._say_goodbye)
        self._there.clear()
        await asyncio.sleep(0)  # asyncio closes sockets in its next turn

    def summary(self) -> Summary:
        """Return what became of all, so far."""
        return Summary(self.outcomes, self._boot, self.asks_dps, self._talk)

    def tally(self) -> dict[str, tuple[int, int]]:
        """Return how far all are: (done, of how many) by name."""
        count = len(self.outcomes)
        return {
            "assigned": (
                sum(one.assigned is not None for one in self.outcomes),
                count if self.asks_dps else 0,
            ),
            "connected": (sum(one.connected is not None for one in self.outcomes), count),
            "messages": (len(self._talk.times) if self._talk else 0, self._due),
            "failed": (sum(one.failure is not None for one in self.outcomes), count),
        }

    async def _live(self, outcome: Outcome, delay: float) -> None:
        if delay:
            await asyncio.sleep(delay)
        outcome.began = self._elapsed()
        try:
            await self._come(outcome)
        except Failure as failure:
            outcome.failure = failure

    async def _come(self, outcome: Outcome) -> None:
        member, at = outcome.member, (self._plan.hub, outcome.member.name)
        if self.asks_dps:
            visit = Visit(self._plan, member, self._chance)
            line = await self._open(visit)
            await line.until(visit.is_over)
            assert visit.assignment is not None
            outcome.assigned = self._elapsed()
            outcome.connections += 1
            at = (visit.assignment.hub, visit.assignment.device_id)
        stay = Stay(self._plan, member, at)
        line = await self._open(stay)
        await line.until(stay.is_connected)
        outcome.connected = self._elapsed()
        outcome.connections += 1
        self._there.append((outcome, line, stay))

    async def _open(self, conversation: Conversation) -> Line:
        line = Line(conversation, self._context, self._turns)
        async with self._gate:
            await line.open(self._place)
        return line

    async def _all(self, step: Callable[[Line, Stay], Awaitable[None]]) -> None:
        async def one(outcome: Outcome, line: Line, stay: Stay) -> None:
            try:
                await step(line, stay)
            except Failure as failure:
                outcome.failure = failure

        async with asyncio.TaskGroup() as tasks:
            for device in self._there:
                tasks.create_task(one(*device))
        self._there = [device for device in self._there if not device[0].failure]

    async def _tell(self, line: Line, stay: Stay, count: int, every: float) -> None:
        delay = every * self._chance()  # a fleet that speaks in one breath is no fleet
        line.send(stay.talk(count, every, time.monotonic(), delay))
        await line.until(stay.is_silent)

    async def _say_goodbye(self, line: Line, stay: Stay) -> None:
        line.send(stay.leave())

    async def _still_there(self, line: Line, stay: Stay) -> None:
        line.send(b"")

    def _elapsed(self) -> float:
        return time.monotonic() - self._began
