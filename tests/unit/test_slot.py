"""Slots of flash: whatever happens to one of them, the other one counts."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from keystead import slot

generations = st.integers(0, 0xFFFFFFFF)
payloads = st.binary(max_size=300)


@given(generations, payloads)
def test_a_value_comes_back_from_either_slot(generation: int, payload: bytes) -> None:
    blob = slot.pack(generation, payload)
    assert len(blob) == len(payload) + slot.OVERHEAD
    assert slot.newest(blob, b"") == (generation, payload, 0)
    assert slot.newest(b"", blob) == (generation, payload, 1)


@given(generations, st.integers(1, 0x7FFFFFFF), payloads, payloads)
def test_the_later_of_two_counts_also_where_generations_wrap(
    generation: int, ahead: int, old: bytes, new: bytes
) -> None:
    later = (generation + ahead) & 0xFFFFFFFF
    first, second = slot.pack(generation, old), slot.pack(later, new)
    assert slot.newest(first, second) == (later, new, 1)
    assert slot.newest(second, first) == (later, new, 0)


@given(payloads, payloads, st.data())
def test_no_damage_of_a_slot_goes_unseen(old: bytes, new: bytes, data: Any) -> None:
    whole, later = slot.pack(1, old), slot.pack(2, new)
    damaged = bytearray(later)
    place = data.draw(st.integers(0, len(later) - 1))
    damaged[place] ^= data.draw(st.integers(1, 255))
    cut = later[: data.draw(st.integers(0, len(later) - 1))]
    for bad in (bytes(damaged), cut, cut + whole[len(cut) :]):
        for kept in (slot.newest(whole, bad), slot.newest(bad, whole)):
            assert kept
            assert kept[:2] == (1, old)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_foreign_bytes_are_no_slot(first: bytes, second: bytes) -> None:
    assert slot.newest(first, second) is None
    head = b"S1\1\0\0\0\0\0"
    assert slot.newest(head + first, head + second) is None
