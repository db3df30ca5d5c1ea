"""Performatives: what one side says to the other in a frame of its own.

Owns their fields. Doesn't own when they are said: session.py, channel.py and links.py do.
Source: OASIS AMQP 1.0, part 2 (transport), section 2.7.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from host_tools.emulator.amqp.composite import Composite, OneOf
from host_tools.emulator.amqp.decoding import decode
from host_tools.emulator.amqp.kinds import (
    BINARY,
    BOOLEAN,
    MAP,
    STRING,
    SYMBOLS,
    UBYTE,
    UINT,
    ULONG,
    USHORT,
    Kind,
)
from host_tools.emulator.amqp.messaging import ERROR, SOURCE, STATE, TARGET, Error, Source, Target


@dataclass(frozen=True, slots=True)
class Open(Composite):
    """The connection's terms (2.7.1)."""

    CODE: ClassVar[int] = 0x10
    NAME: ClassVar[str] = "amqp:open:list"
    KINDS: ClassVar[tuple[Kind, ...]] = (
        STRING, STRING, UINT, USHORT, UINT, SYMBOLS, SYMBOLS, SYMBOLS, SYMBOLS, MAP,
    )  # fmt: skip

    container_id: str
    hostname: str | None = None
    max_frame_size: int = 0xFFFFFFFF
    channel_max: int = 0xFFFF
    idle_time_out: int | None = None  # milliseconds
    outgoing_locales: tuple[str, ...] | None = None
    incoming_locales: tuple[str, ...] | None = None
    offered_capabilities: tuple[str, ...] | None = None
    desired_capabilities: tuple[str, ...] | None = None
    properties: dict[Any, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin(Composite):
    """A session's terms (2.7.2)."""

    CODE: ClassVar[int] = 0x11
    NAME: ClassVar[str] = "amqp:begin:list"
    KINDS: ClassVar[tuple[Kind, ...]] = (USHORT, UINT, UINT, UINT, UINT, SYMBOLS, SYMBOLS, MAP)

    remote_channel: int | None = None  # the channel that is answered
    next_outgoing_id: int
    incoming_window: int
    outgoing_window: int
    handle_max: int = 0xFFFFFFFF
    offered_capabilities: tuple[str, ...] | None = None
    desired_capabilities: tuple[str, ...] | None = None
    properties: dict[Any, Any] | None = None


@dataclass(frozen=True, slots=True)
class Attach(Composite):
    """A link's terms (2.7.3)."""

    CODE: ClassVar[int] = 0x12
    NAME: ClassVar[str] = "amqp:attach:list"
    KINDS: ClassVar[tuple[Kind, ...]] = (
        STRING, UINT, BOOLEAN, UBYTE, UBYTE, SOURCE, TARGET, MAP, BOOLEAN, UINT,
        ULONG, SYMBOLS, SYMBOLS, MAP,
    )  # fmt: skip

    name: str
    handle: int
    receives: bool  # role: who says this is the receiver
    snd_settle_mode: int = 2
    rcv_settle_mode: int = 0
    source: Source | None = None
    target: Target | None = None
    unsettled: dict[Any, Any] | None = None
    incomplete_unsettled: bool | None = None
    initial_delivery_count: int | None = None
    max_message_size: int | None = None
    offered_capabilities: tuple[str, ...] | None = None
    desired_capabilities: tuple[str, ...] | None = None
    properties: dict[Any, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow(Composite):
    """How much may come, in a session and on one of its links (2.7.4)."""

    CODE: ClassVar[int] = 0x13
    NAME: ClassVar[str] = "amqp:flow:list"
    KINDS: ClassVar[tuple[Kind, ...]] = (
        UINT, UINT, UINT, UINT, UINT, UINT, UINT, UINT, BOOLEAN, BOOLEAN, MAP,
    )  # fmt: skip

    next_incoming_id: int | None = None
    incoming_window: int
    next_outgoing_id: int
    outgoing_window: int
    handle: int | None = None
    delivery_count: int | None = None
    link_credit: int | None = None
    available: int | None = None
    drain: bool = False
    echo: bool = False
    properties: dict[Any, Any] | None = None


@dataclass(frozen=True, slots=True)
class Transfer(Composite):
    """A message or a part of one, which is the frame's payload (2.7.5)."""

    CODE: ClassVar[int] = 0x14
    NAME: ClassVar[str] = "amqp:transfer:list"
    KINDS: ClassVar[tuple[Kind, ...]] = (
        UINT, UINT, BINARY, UINT, BOOLEAN, BOOLEAN, UBYTE, STATE, BOOLEAN, BOOLEAN, BOOLEAN,
    )  # fmt: skip

    handle: int
    delivery_id: int | None = None
    delivery_tag: bytes | None = None
    message_format: int | None = None
    settled: bool = False
    more: bool = False
    rcv_settle_mode: int | None = None
    state: Composite | None = None
    resume: bool = False
    aborted: bool = False
    batchable: bool = False


@dataclass(frozen=True, slots=True)
class Disposition(Composite):
    """What became of messages (2.7.6)."""

    CODE: ClassVar[int] = 0x15
    NAME: ClassVar[str] = "amqp:disposition:list"
    KINDS: ClassVar[tuple[Kind, ...]] = (BOOLEAN, UINT, UINT, BOOLEAN, STATE, BOOLEAN)

    receives: bool  # role: who says this received them
    first: int
    last: int | None = None
    settled: bool = False
    state: Composite | None = None
    batchable: bool = False


@dataclass(frozen=True, slots=True)
class Detach(Composite):
    """A link ends (2.7.7)."""

    CODE: ClassVar[int] = 0x16
    NAME: ClassVar[str] = "amqp:detach:list"
    KINDS: ClassVar[tuple[Kind, ...]] = (UINT, BOOLEAN, ERROR)

    handle: int
    closed: bool = False
    error: Error | None = None


@dataclass(frozen=True, slots=True)
class End(Composite):
    """A session ends (2.7.8)."""

    CODE: ClassVar[int] = 0x17
    NAME: ClassVar[str] = "amqp:end:list"
    KINDS: ClassVar[tuple[Kind, ...]] = (ERROR,)

    error: Error | None = None


@dataclass(frozen=True, slots=True)
class Close(Composite):
    """The connection ends (2.7.9)."""

    CODE: ClassVar[int] = 0x18
    NAME: ClassVar[str] = "amqp:close:list"
    KINDS: ClassVar[tuple[Kind, ...]] = (ERROR,)

    error: Error | None = None


_PERFORMATIVES = OneOf(
    "performative", [Open, Begin, Attach, Flow, Transfer, Disposition, Detach, End, Close]
)


def parse(body: bytes) -> tuple[Composite, bytes]:
    """Return a frame's performative, and the payload behind it; raise Violation."""
    value, end = decode(body)
    return _PERFORMATIVES.read(value), body[end:]
