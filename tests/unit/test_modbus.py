"""The Modbus example's frames, against a slave and a CRC of this file's own."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[2] / "firmware" / "examples"))

import modbus

UNIT = st.integers(1, 247)
WORDS = st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=125)


def reflected_crc(data: bytes) -> bytes:
    """CRC-16 as polynomial division, bits the other way round than the example does it."""
    remainder = 0xFFFF
    for byte in data:
        remainder ^= int(f"{byte:08b}"[::-1], 2) << 8
        for _ in range(8):
            remainder = (remainder << 1) ^ (0x18005 if remainder & 0x8000 else 0)
    return int(f"{remainder:016b}"[::-1], 2).to_bytes(2, "little")


def framed(body: bytes) -> bytes:
    return body + reflected_crc(body)


@given(st.binary(max_size=256))
def test_the_crc_is_the_polynomials(data: bytes) -> None:
    assert modbus.crc(data).to_bytes(2, "little") == reflected_crc(data)


@given(UNIT, st.sampled_from([3, 4]), WORDS)
def test_registers_that_a_slave_answers_are_read(
    unit: int, function: int, words: list[int]
) -> None:
    data = b"".join(word.to_bytes(2, "big") for word in words)
    frame = framed(bytes([unit, function, len(data)]) + data)
    assert len(frame) == modbus.answer_size(function, len(words))
    assert modbus.values(frame, unit, function, len(words)) == words


@given(UNIT, st.sampled_from([1, 2]), st.lists(st.integers(0, 1), min_size=1, max_size=2000))
def test_bits_that_a_slave_answers_are_read(unit: int, function: int, bits: list[int]) -> None:
    size = (len(bits) + 7) // 8
    packed = sum(bit << place for place, bit in enumerate(bits)).to_bytes(size, "little")
    frame = framed(bytes([unit, function, size]) + packed)
    assert len(frame) == modbus.answer_size(function, len(bits))
    assert modbus.values(frame, unit, function, len(bits)) == bits


@given(UNIT, WORDS, st.data())
def test_no_bit_can_fall_over_unseen(unit: int, words: list[int], data: st.DataObject) -> None:
    body = b"".join(word.to_bytes(2, "big") for word in words)
    frame = bytearray(framed(bytes([unit, 3, len(body)]) + body))
    bit = data.draw(st.integers(0, len(frame) * 8 - 1))
    frame[bit // 8] ^= 1 << bit % 8
    with pytest.raises(modbus.ModbusError):
        modbus.values(bytes(frame), unit, 3, len(words))


@given(st.binary(max_size=64), UNIT, st.integers(1, 4), st.integers(1, 100))
def test_any_bytes_give_values_or_a_reason(
    frame: bytes, unit: int, function: int, count: int
) -> None:
    for heard in (frame, framed(frame), framed(bytes([unit, function]) + frame)):
        try:
            assert len(modbus.values(heard, unit, function, count)) == count
        except modbus.ModbusError as error:
            assert str(error)
