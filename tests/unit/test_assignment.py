"""The cached assignment: back as it was kept, or not at all."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from keystead import assignment

numbers = st.integers(0, 0xFFFFFFFF)
names = st.text(min_size=1, max_size=128)


@given(names, names, numbers, numbers)
def test_an_assignment_comes_back_as_it_was_kept(
    hub: str, device_id: str, assigned_at: int, owner: int
) -> None:
    blob = assignment.pack(hub, device_id, assigned_at, owner)
    if max(len(hub.encode()), len(device_id.encode())) > 255:
        assert blob == b""
    else:
        assert assignment.unpack(blob, owner) == (hub, device_id, assigned_at)


@given(numbers, numbers, names)
def test_another_records_assignment_is_void(owner: int, other: int, hub: str) -> None:
    found = assignment.unpack(assignment.pack(hub[:60], "d", 1, owner), other)
    assert (found is not None) == (owner == other)


@given(st.binary(max_size=80), st.data())
def test_any_bytes_are_an_assignment_or_none(tail: bytes, data: Any) -> None:
    head = data.draw(st.sampled_from([b"", b"\1\0\0\0\0\0\0\0\0"]))
    found = assignment.unpack(head + tail, 0)
    if found:
        assert all(found[:2])
        assert assignment.pack(*found, 0) == head + tail
