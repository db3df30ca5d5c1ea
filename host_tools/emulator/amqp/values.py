"""Values: the Python types of AMQP's values, where Python's own would not tell them apart.

Owns the types only; decoding.py and encoding.py turn them to bytes and back. All others are
Python's: None, bool, int, float, str, bytes, uuid.UUID, list, dict.
Source: OASIS AMQP 1.0, part 1 (types), section 1.6.
"""

from typing import Any, NamedTuple


class Symbol(str):
    """A name from a list that both sides know; ASCII."""

    __slots__ = ()


class Timestamp(int):
    """Milliseconds since 1970."""

    __slots__ = ()


class Described(NamedTuple):
    """A value and what it stands for: a code of 64 bits, or the symbol for it."""

    descriptor: Any
    value: Any
