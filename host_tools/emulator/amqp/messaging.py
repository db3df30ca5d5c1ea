"""Messaging: where links lead, and what becomes of a message, as fields of performatives.

Owns the composites. Doesn't own which addresses exist (nodes.py).
Source: OASIS AMQP 1.0, part 3 (messaging), sections 3.4 and 3.5; Error: part 2, section 2.8.14.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from host_tools.emulator.amqp.composite import Composite, OneOf
from host_tools.emulator.amqp.errors import AmqpError
from host_tools.emulator.amqp.kinds import (
    ANY,
    BOOLEAN,
    MAP,
    STRING,
    SYMBOL,
    SYMBOLS,
    UINT,
    ULONG,
    Kind,
)

_LONGEST = 300  # characters of a description: all of it must fit the smallest frame


@dataclass(frozen=True, slots=True)
class Error(Composite):
    """Why something ended, or was not taken."""

    CODE: ClassVar[int] = 0x1D
    NAME: ClassVar[str] = "amqp:error:list"
    KINDS: ClassVar[tuple[Kind, ...]] = (SYMBOL, STRING, MAP)

    condition: str
    description: str | None = None
    info: dict[Any, Any] | None = None

    @classmethod
    def of(cls, error: AmqpError) -> "Error":
        """Return what the peer is told of an error."""
        text = error.description.encode("ascii", "backslashreplace")[:_LONGEST].decode()
        return cls(error.condition, text)


ERROR = OneOf("error", [Error])


@dataclass(frozen=True, slots=True)
class Source(Composite):
    """Where a link's messages come from."""

    CODE: ClassVar[int] = 0x28
    NAME: ClassVar[str] = "amqp:source:list"
    KINDS: ClassVar[tuple[Kind, ...]] = (
        ANY, UINT, SYMBOL, UINT, BOOLEAN, MAP, SYMBOL, MAP, ANY, SYMBOLS, SYMBOLS,
    )  # fmt: skip

    address: Any = None
    durable: int = 0
    expiry_policy: str = "session-end"
    timeout: int = 0
    dynamic: bool = False
    dynamic_node_properties: dict[Any, Any] | None = None
    distribution_mode: str | None = None
    filter: dict[Any, Any] | None = None
    default_outcome: Any = None
    outcomes: tuple[str, ...] | None = None
    capabilities: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Target(Composite):
    """Where a link's messages go to."""

    CODE: ClassVar[int] = 0x29
    NAME: ClassVar[str] = "amqp:target:list"
    KINDS: ClassVar[tuple[Kind, ...]] = (ANY, UINT, SYMBOL, UINT, BOOLEAN, MAP, SYMBOLS)

    address: Any = None
    durable: int = 0
    expiry_policy: str = "session-end"
    timeout: int = 0
    dynamic: bool = False
    dynamic_node_properties: dict[Any, Any] | None = None
    capabilities: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Received(Composite):
    """So much of it came; no outcome yet."""

    CODE: ClassVar[int] = 0x23
    NAME: ClassVar[str] = "amqp:received:list"
    KINDS: ClassVar[tuple[Kind, ...]] = (UINT, ULONG)

    section_number: int
    section_offset: int


@dataclass(frozen=True, slots=True)
class Accepted(Composite):
    """The outcome: taken."""

    CODE: ClassVar[int] = 0x24
    NAME: ClassVar[str] = "amqp:accepted:list"


@dataclass(frozen=True, slots=True)
class Rejected(Composite):
    """The outcome: not taken, and it never will be."""

    CODE: ClassVar[int] = 0x25
    NAME: ClassVar[str] = "amqp:rejected:list"
    KINDS: ClassVar[tuple[Kind, ...]] = (ERROR,)

    error: Error | None = None


@dataclass(frozen=True, slots=True)
class Released(Composite):
    """The outcome: not taken, and may be sent again."""

    CODE: ClassVar[int] = 0x26
    NAME: ClassVar[str] = "amqp:released:list"


@dataclass(frozen=True, slots=True)
class Modified(Composite):
    """The outcome: not taken, and may be sent again, changed."""

    CODE: ClassVar[int] = 0x27
    NAME: ClassVar[str] = "amqp:modified:list"
    KINDS: ClassVar[tuple[Kind, ...]] = (BOOLEAN, BOOLEAN, MAP)

    delivery_failed: bool = False
    undeliverable_here: bool = False
    message_annotations: dict[Any, Any] | None = None


SOURCE = OneOf("source", [Source])
TARGET = OneOf("target", [Target])
STATE = OneOf("delivery state", [Received, Accepted, Rejected, Released, Modified])
