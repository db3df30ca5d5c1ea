"""Decoding: the bytes of AMQP's type system to Python's values, whatever the bytes are.

Owns the limits: how deep values nest, and that nothing claims more elements than it has bytes.
Raises Violation (amqp:decode-error), and never anything else. Doesn't own which value belongs
where: that is composite.py's.
Source: OASIS AMQP 1.0, part 1 (types), sections 1.2 and 1.6.
"""

import struct
from collections.abc import Callable
from typing import Any
from uuid import UUID

from host_tools.emulator.amqp.errors import malformed
from host_tools.emulator.amqp.values import Described, Symbol, Timestamp

DEEPEST = 12  # values in values; what SDKs send has 5
DESCRIBED = 0x00  # descriptor, value


def decode(data: bytes, at: int = 0, depth: int = DEEPEST) -> tuple[Any, int]:
    """Return the value that begins at this place, and where the next one would."""
    code, at = _code(data, at, depth)
    if code == DESCRIBED:
        descriptor, at = decode(data, at, depth - 1)
        value, at = decode(data, at, depth - 1)
        return Described(descriptor, value), at
    return _plain(data, at, code, depth)


def _code(data: bytes, at: int, depth: int) -> tuple[int, int]:
    if depth < 0:
        raise malformed(f"values nest deeper than {DEEPEST} levels")
    if at >= len(data):
        raise malformed("a value ends too early")
    return data[at], at + 1


# the upper half of a constructor's code says how long a value is (section 1.2)
def _plain(data: bytes, at: int, code: int, depth: int) -> tuple[Any, int]:
    fixed = _FIXED.get(code)
    if fixed:
        width, read = fixed
        return read(_take(data, at, width)), at + width
    if code not in _VARIABLE and code not in _COMPOUND:
        raise malformed(f"no value begins with byte {code:#04x}")
    counter = 1 if code >> 4 in (0xA, 0xC, 0xE) else 4
    size = int.from_bytes(_take(data, at, counter), "big")
    content, end = _take(data, at + counter, size), at + counter + size
    if code in _VARIABLE:
        return _VARIABLE[code](content), end
    return _COMPOUND[code](content, counter, depth), end


def _take(data: bytes, at: int, count: int) -> bytes:
    if at + count > len(data):
        raise malformed("a value ends too early")
    return data[at : at + count]


def _unsigned(content: bytes) -> int:
    return int.from_bytes(content, "big")


def _signed(content: bytes) -> int:
    return int.from_bytes(content, "big", signed=True)


def _float(content: bytes) -> float:
    return float(struct.unpack(">f" if len(content) == 4 else ">d", content)[0])


def _bool(content: bytes) -> bool:
    if content not in (b"\0", b"\1"):
        raise malformed("a boolean is neither 0 nor 1")
    return content == b"\1"


def _char(content: bytes) -> str:
    return _decoded(content, "utf-32-be")


def _text(content: bytes) -> str:
    return _decoded(content, "utf-8")


def _symbol(content: bytes) -> Symbol:
    return Symbol(_decoded(content, "ascii"))


def _decoded(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise malformed(f"a text is not {encoding.upper()}") from None


# count, value, value, ...
def _list(content: bytes, counter: int, depth: int) -> list[Any]:
    count, at = _count(content, counter)
    values = []
    for _ in range(count):
        value, at = decode(content, at, depth - 1)
        values.append(value)
    _end(content, at)
    return values


# count (of keys and values), key, value, key, value, ...
def _map(content: bytes, counter: int, depth: int) -> dict[Any, Any]:
    items = _list(content, counter, depth)
    keys = items[::2]
    if len(items) % 2 or any(isinstance(key, (list, dict, Described)) for key in keys):
        raise malformed("a map has a key without a value, or one that is not a simple value")
    if len(set(keys)) < len(keys):
        raise malformed("a map has a key twice")
    return dict(zip(keys, items[1::2], strict=True))


# count, one constructor for all, what follows a constructor, again, ...
def _array(content: bytes, counter: int, depth: int) -> list[Any]:
    count, at = _count(content, counter)
    code, at = _code(content, at, depth)
    descriptor = None
    described = code == DESCRIBED
    if described:
        descriptor, at = decode(content, at, depth - 1)
        code, at = _code(content, at, depth)
    values = []
    for _ in range(count):
        value, at = _plain(content, at, code, depth - 1)
        values.append(Described(descriptor, value) if described else value)
    _end(content, at)
    return values


# elements of no bytes at all exist in arrays only, and nobody sends those
def _count(content: bytes, counter: int) -> tuple[int, int]:
    count = _unsigned(_take(content, 0, counter))
    if count > len(content) - counter:
        raise malformed("a list, map or array claims more elements than it has bytes")
    return count, counter


def _end(content: bytes, at: int) -> None:
    if at != len(content):
        raise malformed("a list, map or array has bytes behind its last element")


# code: bytes behind it, and what they mean; decimals stay bytes, as nobody here counts with them
_FIXED: dict[int, tuple[int, Callable[[bytes], Any]]] = {
    0x40: (0, lambda _: None),
    0x41: (0, lambda _: True),
    0x42: (0, lambda _: False),
    0x43: (0, lambda _: 0),  # uint
    0x44: (0, lambda _: 0),  # ulong
    0x45: (0, lambda _: []),
    0x50: (1, _unsigned),  # ubyte
    0x51: (1, _signed),  # byte
    0x52: (1, _unsigned),  # smalluint
    0x53: (1, _unsigned),  # smallulong
    0x54: (1, _signed),  # smallint
    0x55: (1, _signed),  # smalllong
    0x56: (1, _bool),
    0x60: (2, _unsigned),  # ushort
    0x61: (2, _signed),  # short
    0x70: (4, _unsigned),  # uint
    0x71: (4, _signed),  # int
    0x72: (4, _float),
    0x73: (4, _char),
    0x74: (4, bytes),  # decimal32
    0x80: (8, _unsigned),  # ulong
    0x81: (8, _signed),  # long
    0x82: (8, _float),
    0x83: (8, lambda content: Timestamp(_signed(content))),
    0x84: (8, bytes),  # decimal64
    0x94: (16, bytes),  # decimal128
    0x98: (16, lambda content: UUID(bytes=content)),
}
_VARIABLE: dict[int, Callable[[bytes], Any]] = {
    0xA0: bytes,
    0xA1: _text,
    0xA3: _symbol,
    0xB0: bytes,
    0xB1: _text,
    0xB3: _symbol,
}
_COMPOUND: dict[int, Callable[[bytes, int, int], Any]] = {
    0xC0: _list,
    0xC1: _map,
    0xD0: _list,
    0xD1: _map,
    0xE0: _array,
    0xF0: _array,
}
