"""The key ring: whatever was kept, whatever the service says, a key signs and none comes out."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystead.failure import Failure
from keystead.key_ring import KeyRing
from keystead.record import FactoryRecord
from keystead.sas import sas_token

MAC = b"\xa1\xb2\xc3\xd4\xe5\xf6"
PRIMARY, SECONDARY = b"the factory's primary", b"the factory's secondary"
RECORD = FactoryRecord(MAC, "0ne1", "sn-1", PRIMARY, SECONDARY)
keys = st.binary(min_size=16, max_size=64)


def signs(ring: KeyRing, key: bytes) -> bool:
    return ring.token("r", 1, "p") == sas_token("r", key, 1, "p")


@given(st.binary(max_size=300), st.booleans())
def test_a_ring_made_of_any_bytes_comes_round_to_every_factory_key(
    blob: bytes, headed: bool
) -> None:
    if headed:
        blob = KeyRing(RECORD).pack()[:5] + blob
    ring = KeyRing(RECORD, blob)
    if not headed:
        assert signs(ring, PRIMARY)
    seen = set()
    for _ in range(255 + 6):
        seen.add(ring.token("r", 1))
        ring.refused()
    assert {sas_token("r", PRIMARY, 1), sas_token("r", SECONDARY, 1)} <= seen


steps = st.lists(
    st.sampled_from(["refused", "works", "confirm", "abandon", "reset"]) | st.tuples(keys, keys),
    max_size=25,
)


@given(steps)
def test_whatever_happened_a_reset_changes_nothing(story: list[Any]) -> None:
    ring = KeyRing(RECORD)
    for step in story:
        if isinstance(step, tuple):
            ring.propose(*step)
        elif step == "reset":
            ring = KeyRing(RECORD, ring.pack())
        else:
            getattr(ring, step)()
        twin = KeyRing(RECORD, ring.pack())
        assert twin.pack() == ring.pack()
        assert twin.token("r", 1) == ring.token("r", 1)
        assert twin.trying == ring.trying


@given(steps, keys, keys)
def test_a_pair_that_was_confirmed_signs_and_its_other_key_is_next(
    story: list[Any], primary: bytes, secondary: bytes
) -> None:
    ring = KeyRing(RECORD)
    for step in story:
        if isinstance(step, tuple):
            ring.propose(*step)
        elif step != "reset":
            getattr(ring, step)()
    if ring.propose(primary, secondary):
        assert signs(ring, primary)
        ring.confirm()
        assert signs(ring, primary)
        assert not ring.propose(primary, secondary)
        ring.refused()
        assert signs(ring, secondary)


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_a_pair_of_a_wrong_size_changes_nothing(primary: bytes, secondary: bytes) -> None:
    sound = 16 <= len(primary) <= 64 and (not secondary or 16 <= len(secondary) <= 64)
    ring = KeyRing(RECORD)
    before = ring.pack()
    try:
        ring.propose(primary, secondary)
        assert sound
    except Failure as failure:
        assert not sound
        assert failure.reason == "key-rejected"
        assert ring.pack() == before


def test_no_key_is_in_what_can_be_shown() -> None:
    secrets = [PRIMARY, SECONDARY, b"a new primary, a new primary", b"too short"]
    ring = KeyRing(RECORD)
    ring.propose(secrets[2], b"")
    shown = [repr(ring), str(ring), repr(RECORD), str(RECORD), ring.token("r", 1)]
    for wrong in (secrets[3], secrets[2] * 9):
        with pytest.raises(Failure) as caught:
            ring.propose(wrong)
        shown += [str(caught.value), repr(caught.value), repr(caught.value.__dict__)]
    for secret in secrets:
        for form in (secret.decode(), secret.hex(), base64.b64encode(secret).decode()):
            assert form not in "\n".join(shown)
