"""Kinds: the primitive types that fields of AMQP's composites have.

Owns what a decoded value must be to count as one of them. Doesn't own how one is written
(encoding.py) or read (decoding.py).
Source: OASIS AMQP 1.0, part 1 (types), section 1.6; part 3 (messaging), 3.2.11 to 14.
"""

from collections.abc import Callable
from typing import Any, Protocol
from uuid import UUID

from host_tools.emulator.amqp import encoding
from host_tools.emulator.amqp.errors import malformed
from host_tools.emulator.amqp.values import Symbol, Timestamp


class Kind(Protocol):
    """What a field may hold."""

    @property
    def name(self) -> str:
        """Return what AMQP calls it."""

    def read(self, value: Any) -> Any:
        """Return the field of a decoded value that is not null; raise Violation."""

    def write(self, value: Any) -> bytes:
        """Return the bytes of a field that is not null."""


class Primitive:
    """A kind of values that Python has, or values.py."""

    def __init__(
        self, name: str, check: Callable[[Any], bool], write: Callable[[Any], bytes]
    ) -> None:
        self.name = name
        self.write = write
        self._check = check

    def read(self, value: Any) -> Any:
        """Return value, if it is of this kind."""
        if not self._check(value):
            raise malformed(f"a field is not of type {self.name}")
        return value


class Symbols:
    """One symbol or an array of them: what AMQP calls multiple (part 1, section 1.4)."""

    name = "symbol, multiple"
    write = staticmethod(encoding.symbols)

    def read(self, value: Any) -> tuple[str, ...]:
        """Return the symbols, however many."""
        values = value if isinstance(value, list) else [value]
        return tuple(SYMBOL.read(item) for item in values)


def _unsigned(bits: int) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        return type(value) is int and 0 <= value < 1 << bits

    return check


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, Symbol)


# ulong, uuid, binary or string: kept as it came, so that it can go back as it was
def _is_message_id(value: Any) -> bool:
    return _is_ulong(value) or _is_text(value) or isinstance(value, bytes | UUID)


def _message_id(value: Any) -> bytes:
    return encoding.ulong(value) if isinstance(value, int) else encoding.encode(value)


_is_ulong = _unsigned(64)
# TEXT is written as a symbol, but not every client does
ANY = Primitive("*", lambda _: True, encoding.encode)
BOOLEAN = Primitive("boolean", lambda value: isinstance(value, bool), encoding.boolean)
UBYTE = Primitive("ubyte", _unsigned(8), encoding.ubyte)
USHORT = Primitive("ushort", _unsigned(16), encoding.ushort)
UINT = Primitive("uint", _unsigned(32), encoding.uint)
ULONG = Primitive("ulong", _is_ulong, encoding.ulong)
TIMESTAMP = Primitive("timestamp", lambda value: isinstance(value, Timestamp), encoding.timestamp)
BINARY = Primitive("binary", lambda value: isinstance(value, bytes), encoding.binary)
STRING = Primitive("string", _is_text, encoding.string)
TEXT = Primitive("symbol", lambda value: isinstance(value, str), encoding.symbol)
SYMBOL = Primitive("symbol", lambda value: isinstance(value, Symbol), encoding.symbol)
SYMBOLS = Symbols()
MAP = Primitive("map", lambda value: isinstance(value, dict), encoding.mapping)
MESSAGE_ID = Primitive("message-id", _is_message_id, _message_id)
