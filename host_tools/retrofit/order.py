"""The order: what a retrofit is told before it starts, the same for ledger and single board."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from host_tools.errors import CommandError
from host_tools.retrofit.board_facts import BoardFacts
from host_tools.retrofit.record import Found
from keystead.record import FactoryRecord

Content = Mapping[str, bytes]


class Attempt(Protocol):
    """One attempt, as it is written down."""

    def note(self, kind: str, **facts: Any) -> None:
        """Write down what happened. Raises CommandError."""


class Owner(Protocol):
    """Who says whose a board is to be, and writes down how it went."""

    def name(self, facts: BoardFacts, found: Found | None) -> str:
        """Return the registration ID that the board would get; nothing is changed."""

    def refuse(self, facts: BoardFacts, step: str, error: CommandError) -> None:
        """Write down that the board was turned away, at which step and why."""

    def record(self, facts: BoardFacts, found: Found | None) -> FactoryRecord:
        """Return its record; from now on the identity is its own."""

    def begin(self, record: FactoryRecord, facts: BoardFacts) -> Attempt:
        """Begin an attempt."""


@dataclass(frozen=True)
class Order:
    """What is to be done.

    content: board's chip and whether umqtt must come along to the files, path to bytes; given:
    paths of it that the user asked for; backup: where to, {mac} in it; replace, keep: what to do
    with a record of another identity; register: seconds to wait for the hub, 0 to not wait;
    spread: seconds that the config.json given lets a first boot wait.
    """

    content: Callable[[BoardFacts], Content] = field(repr=False)
    given: tuple[str, ...]
    backup: Path | None
    version: str
    replace: bool = False
    keep: bool = False
    register: float = 0
    spread: int = 0


class Told(Protocol):
    """Whom the steps tell how far they are."""

    def step(self, name: str, total: int = 0) -> None:
        """Take the step that begins, and of how many bytes it is."""

    def moved(self, size: int) -> None:
        """Take note of more bytes of the step."""

    def fact(self, text: str) -> None:
        """Take something that people want to know."""
