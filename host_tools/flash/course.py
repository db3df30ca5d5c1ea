"""The course of one board: at which step it is, for how long, and what is to blame if it ends.

Owns the steps' names and their seconds, and turns whatever ends a step into an error with a name.
Doesn't own what is done in a step (steps.py).
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from host_tools.errors import CommandError
from host_tools.flash.failure import FlashFailure
from host_tools.flash.roles import Told
from host_tools.ledger import BatchUsedUp

STEPS = ("connect", "reserve", "write", "verify", "boot", "prove", "register", "record")
RELEASE = "release"  # after a refusal: the board is let go; no step that one can fail at


class StillThere(Exception):
    """The board that was made last is still on the port."""


@dataclass
class Course:
    """A board's way along STEPS. batch: its name; seconds: of each step, those before too."""

    told: Told
    batch: str
    clock: Callable[[], float] = time.monotonic
    seconds: dict[str, float] = field(default_factory=dict)
    step: str = STEPS[0]

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        """Be at a step; FlashFailure for whatever comes up that is no CommandError."""
        self.step = name
        self.told.step(name)
        begun = self.clock()
        try:
            yield
        except BatchUsedUp:
            what = f"every serial of batch {self.batch} has its board"
            raise self._blamed(FlashFailure("batch-used-up", what)) from None
        except FlashFailure as failure:
            self._blamed(failure)
            raise
        except (CommandError, StillThere):
            raise
        except Exception as error:  # whatever it is: the board is not good, and that is noted
            raise self._blamed(FlashFailure.unforeseen(error)) from None
        finally:
            self.seconds[name] = self.seconds.get(name, 0) + self.clock() - begun

    @contextmanager
    def release(self) -> Iterator[None]:
        """Let a refused board go, which takes seconds as well; the step stays where it failed."""
        self.told.step(RELEASE)
        begun = self.clock()
        try:
            yield
        finally:
            self.seconds[RELEASE] = self.clock() - begun

    def _blamed(self, failure: FlashFailure) -> FlashFailure:
        failure.step = failure.step or self.step
        return failure

    def rounded(self) -> Mapping[str, float]:
        """Return the seconds as the ledger has them."""
        return {name: round(seconds, 3) for name, seconds in self.seconds.items()}
