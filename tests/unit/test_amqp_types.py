"""AMQP's type system: values to bytes and back, and what foreign bytes are told."""

from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from host_tools.emulator.amqp.decoding import DEEPEST, decode
from host_tools.emulator.amqp.encoding import encode, symbols, uint, ulong
from host_tools.emulator.amqp.errors import DECODE_ERROR, Violation
from host_tools.emulator.amqp.values import Described, Symbol, Timestamp

simple = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=300)
    | st.binary(max_size=300)
    | st.uuids()
    | st.builds(Symbol, st.text(alphabet="abc:-", max_size=20))
    | st.builds(Timestamp, st.integers(-(1 << 40), 1 << 45))
)
values = st.recursive(
    simple,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(max_size=5), inner, max_size=5)
        | st.builds(Described, st.integers(0, 1 << 40), inner)
    ),
    max_leaves=20,
).filter(lambda value: depth(value) <= DEEPEST)


def depth(value: object) -> int:
    if isinstance(value, Described):
        return 1 + depth(value.value)
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


# OASIS AMQP 1.0, part 1, sections 1.2 and 1.6
@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("40", None),
        ("41", True),
        ("42", False),
        ("56 01", True),
        ("56 00", False),
        ("50 ff", 255),
        ("60 ffff", 65535),
        ("70 ffffffff", 0xFFFFFFFF),
        ("52 80", 128),
        ("43", 0),
        ("80 ffffffffffffffff", 0xFFFFFFFFFFFFFFFF),
        ("53 ff", 255),
        ("44", 0),
        ("51 ff", -1),
        ("61 fffe", -2),
        ("71 fffffffd", -3),
        ("54 fc", -4),
        ("81 fffffffffffffffb", -5),
        ("55 fa", -6),
        ("72 3f800000", 1.0),
        ("82 3ff8000000000000", 1.5),
        ("73 0001f600", "\N{GRINNING FACE}"),
        ("74 22500000", b"\x22\x50\0\0"),
        ("83 00000000000003e8", Timestamp(1000)),
        ("98 000102030405060708090a0b0c0d0e0f", UUID("00010203-0405-0607-0809-0a0b0c0d0e0f")),
        ("a0 02 0001", b"\0\1"),
        ("b0 00000002 0001", b"\0\1"),
        ("a1 02 c3bc", "ü"),
        ("b1 00000002 c3bc", "ü"),
        ("a3 01 61", Symbol("a")),
        ("b3 00000001 61", Symbol("a")),
        ("45", []),
        ("c0 04 02 5201 41", [1, True]),
        ("d0 00000007 00000002 5201 41", [1, True]),
        ("c1 06 02 a10161 5205", {"a": 5}),
        ("d1 00000009 00000002 a10161 5205", {"a": 5}),
        ("e0 04 02 50 01 02", [1, 2]),
        ("f0 00000009 00000002 a3 0161 0162", [Symbol("a"), Symbol("b")]),
        ("e0 07 01 00 5324 c0 01 00", [Described(0x24, [])]),
        ("00 5324 45", Described(0x24, [])),
        ("00 a30161 a10162", Described(Symbol("a"), "b")),
    ],
)
def test_every_encoding_is_read(data: str, value: object) -> None:
    raw = bytes.fromhex(data)
    read, end = decode(raw)
    assert (read, type(read), end) == (value, type(value), len(raw))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("", "too early"),
        ("70 ffff", "too early"),
        ("a1 05 61", "too early"),
        ("57", "no value begins"),
        ("56 02", "neither 0 nor 1"),
        ("a1 01 ff", "not UTF-8"),
        ("a3 01 ff", "not ASCII"),
        ("73 0000d800", "not UTF-32"),
        ("c0 02 02 40", "more elements"),
        ("f0 00000005 ffffffff 41", "more elements"),
        ("c0 03 01 4040", "behind its last"),
        ("c1 02 01 40", "without a value"),
        ("c1 03 02 45 40", "not a simple value"),
        ("c1 05 04 41 40 41 40", "twice"),
    ],
)
def test_what_is_malformed_is_named(data: str, why: str) -> None:
    with pytest.raises(Violation, match=why):
        decode(bytes.fromhex(data))


@given(values)
def test_a_value_comes_back_as_it_was_written(value: object) -> None:
    assert decode(encode(value)) == (value, len(encode(value)))


@given(st.integers(0, (1 << 32) - 1), st.lists(st.text(alphabet="abc", min_size=1)))
def test_numbers_and_symbols_come_back(number: int, names: list[str]) -> None:
    assert decode(uint(number))[0] == decode(ulong(number))[0] == number
    assert decode(symbols(names))[0] == names


@given(st.binary(max_size=200))
@example(b"\x00" * 40)
@example(b"\xc0\x02\x01" * 40)
@example(b"\x80\x80" + bytes(7))  # an ulong that no long holds
def test_any_bytes_are_a_value_or_a_violation(data: bytes) -> None:
    try:
        value, end = decode(data)
    except Violation as error:
        assert error.condition == DECODE_ERROR
        return
    assert 0 < end <= len(data)
    assert decode(encode(value))[0] == value or "nan" in str(value)


def nested(levels: int) -> bytes:
    data = b"\x40"
    for _ in range(levels):
        data = b"\xd0" + (len(data) + 4).to_bytes(4, "big") + b"\0\0\0\1" + data
    return data


def test_values_nest_no_deeper_than_they_must() -> None:
    assert depth(decode(nested(DEEPEST))[0]) == DEEPEST
    with pytest.raises(Violation, match="deeper"):
        decode(nested(DEEPEST + 1))
    with pytest.raises(Violation, match="deeper"):
        decode(nested(2000))


def test_a_value_that_amqp_has_no_type_for_is_our_own_mistake() -> None:
    with pytest.raises(TypeError):
        encode(object())
