"""SASL: the layer that may come before AMQP itself, from the server's side.

Owns the frames, the mechanisms that IoT Hub offers, and the user name of SASL PLAIN. Doesn't own
whether the token is good: that is the door's.
Source: OASIS AMQP 1.0, part 5 (security), section 5.3; RFC 4616 (PLAIN); "Control access to IoT
Hub with shared access signatures", Protocol specifics (user name, token as password). MSSBCBS is
what uamqp asks for: ANONYMOUS by another name, as a token follows by $cbs.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from host_tools.emulator.access import AccessDenied
from host_tools.emulator.amqp.composite import Composite, OneOf
from host_tools.emulator.amqp.decoding import decode
from host_tools.emulator.amqp.door import Guest
from host_tools.emulator.amqp.errors import NOT_ALLOWED, Violation
from host_tools.emulator.amqp.framing import SASL_FRAME, frame
from host_tools.emulator.amqp.kinds import BINARY, STRING, SYMBOL, SYMBOLS, UBYTE, Kind
from host_tools.emulator.amqp.values import Symbol

PLAIN = "PLAIN"
ANONYMOUS = ("MSSBCBS", "ANONYMOUS")
OK, AUTH = 0, 1  # outcomes (5.3.3.6)


@dataclass(frozen=True, slots=True)
class Mechanisms(Composite):
    """What the server offers."""

    CODE: ClassVar[int] = 0x40
    NAME: ClassVar[str] = "amqp:sasl-mechanisms:list"
    KINDS: ClassVar[tuple[Kind, ...]] = (SYMBOLS,)

    offered: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Init(Composite):
    """What the client chose; its response never shows."""

    CODE: ClassVar[int] = 0x41
    NAME: ClassVar[str] = "amqp:sasl-init:list"
    KINDS: ClassVar[tuple[Kind, ...]] = (SYMBOL, BINARY, STRING)

    mechanism: str
    response: bytes | None = field(default=None, repr=False)
    hostname: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome(Composite):
    """How it went."""

    CODE: ClassVar[int] = 0x44
    NAME: ClassVar[str] = "amqp:sasl-outcome:list"
    KINDS: ClassVar[tuple[Kind, ...]] = (UBYTE, BINARY)

    code: int
    additional_data: bytes | None = None


OFFER = Mechanisms((Symbol(ANONYMOUS[0]), Symbol(PLAIN), Symbol(ANONYMOUS[1])))
_FRAMES = OneOf("SASL frame", [Mechanisms, Init, Outcome])


def parse(body: bytes) -> Composite:
    """Return what is in a SASL frame; raise Violation."""
    value, _ = decode(body)
    return _FRAMES.read(value)  # type: ignore[no-any-return]


def encode(composite: Composite) -> bytes:
    """Return a SASL frame."""
    return frame(composite.encode(), kind=SASL_FRAME)


def lets_in(said: Init, guest: Guest, now: float) -> bool:
    """Tell whether the client may go on: unknown yet, or known by its token."""
    guest.host = said.hostname or ""
    if said.mechanism in ANONYMOUS:
        return True
    if said.mechanism != PLAIN:
        return False
    hub, token = _credentials(said.response)
    guest.host = hub or guest.host
    try:
        guest.admit(token, now)
    except AccessDenied:  # the door has told the operator why
        return False
    return True


# [authorization identity] NUL {policy}@sas.root.{hub} NUL {SAS token}
def _credentials(response: bytes | None) -> tuple[str, bytes]:
    parts = (response or b"").split(b"\0")
    if len(parts) != 3:
        raise Violation(NOT_ALLOWED, "the response is not one of SASL PLAIN")
    _, _, scope = parts[1].decode(errors="replace").partition("@")
    kind, _, hub = scope.partition(".root.")
    return hub if kind == "sas" else "", parts[2]
