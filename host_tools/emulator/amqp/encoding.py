"""Encoding: Python's values to the bytes of AMQP's type system, mostly the shortest there are.

Owns how each type is written, and which type a Python value stands for where any may stand.
Doesn't own which type a field has (kinds.py, composite.py).
Source: OASIS AMQP 1.0, part 1 (types), sections 1.2 and 1.6.
"""

import struct
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from host_tools.emulator.amqp.values import Described, Symbol, Timestamp

NULL = b"\x40"
_LIST, _MAP = 0xC0, 0xC1
_INT = 1 << 31
_LONG = 1 << 63


def encode(value: Any) -> bytes:
    """Return a value's bytes, in the type that its Python type stands for."""
    for kind, write in _BY_TYPE:
        if isinstance(value, kind):
            return write(value)
    raise TypeError(f"{type(value).__name__} is no type of AMQP's")


def described(descriptor: int, content: bytes) -> bytes:
    """Return a described value; the descriptor is a number."""
    return b"\0" + ulong(descriptor) + content


def sequence(items: Iterable[bytes]) -> bytes:
    """Return a list of values that are bytes already."""
    return _compound(_LIST, list(items))


def mapping(entries: dict[Any, Any]) -> bytes:
    """Return a map."""
    return _compound(_MAP, [encode(item) for pair in entries.items() for item in pair])


# the constructor once, and then what follows it, time and again
def symbols(names: Iterable[str]) -> bytes:
    """Return an array of symbols."""
    content = [len(name).to_bytes(4, "big") + name.encode("ascii") for name in names]
    body = len(content).to_bytes(4, "big") + b"\xb3" + b"".join(content)
    return b"\xf0" + len(body).to_bytes(4, "big") + body


def boolean(value: bool) -> bytes:
    """Return true or false."""
    return b"\x41" if value else b"\x42"


def ubyte(number: int) -> bytes:
    """Return a number of 8 bits."""
    return bytes((0x50, number))


def ushort(number: int) -> bytes:
    """Return a number of 16 bits."""
    return b"\x60" + number.to_bytes(2, "big")


def uint(number: int) -> bytes:
    """Return a number of 32 bits."""
    if number < 256:
        return bytes((0x52, number)) if number else b"\x43"
    return b"\x70" + number.to_bytes(4, "big")


def ulong(number: int) -> bytes:
    """Return a number of 64 bits."""
    if number < 256:
        return bytes((0x53, number)) if number else b"\x44"
    return b"\x80" + number.to_bytes(8, "big")


def timestamp(milliseconds: int) -> bytes:
    """Return a time."""
    return b"\x83" + milliseconds.to_bytes(8, "big", signed=True)


def binary(content: bytes) -> bytes:
    """Return bytes."""
    return _variable(0xA0, content)


def string(text: str) -> bytes:
    """Return text."""
    return _variable(0xA1, text.encode())


def symbol(name: str) -> bytes:
    """Return a symbol."""
    return _variable(0xA3, name.encode("ascii"))


def _variable(code: int, content: bytes) -> bytes:
    if len(content) < 256:
        return bytes((code, len(content))) + content
    return bytes((code + 0x10,)) + len(content).to_bytes(4, "big") + content


def _compound(code: int, items: list[bytes]) -> bytes:
    content = b"".join(items)
    if len(content) < 255 and len(items) < 256:
        return bytes((code, len(content) + 1, len(items))) + content
    size, count = len(content) + 4, len(items)
    return bytes((code + 0x10,)) + size.to_bytes(4, "big") + count.to_bytes(4, "big") + content


def _number(number: int) -> bytes:
    if -_INT <= number < _INT:
        return b"\x71" + number.to_bytes(4, "big", signed=True)  # int
    if number >= _LONG:
        return ulong(number)
    return b"\x81" + number.to_bytes(8, "big", signed=True)  # long


def _described(value: Described) -> bytes:
    code = value.descriptor
    return b"\0" + (ulong(code) if isinstance(code, int) else encode(code)) + encode(value.value)


_BY_TYPE: tuple[tuple[type, Callable[[Any], bytes]], ...] = (
    (type(None), lambda _: NULL),
    (bool, boolean),
    (Timestamp, timestamp),
    (int, _number),
    (float, lambda value: struct.pack(">Bd", 0x82, value)),
    (Symbol, symbol),
    (str, string),
    (bytes, binary),
    (UUID, lambda value: b"\x98" + value.bytes),
    (Described, _described),
    (list, lambda values: sequence(map(encode, values))),
    (dict, mapping),
)
