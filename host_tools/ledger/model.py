"""What a ledger tells: events, the identities that follow from them, and a verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """One line of the ledger; never changed, never removed.

    number: from 1, without gaps; at: UTC as ISO 8601 with milliseconds, by the station's clock;
    registration_id: None for what concerns no single board; facts: JSON values; previous, hash:
    SHA-256 in hex, see chain.py.
    """

    number: int
    at: str
    station: str
    kind: str
    registration_id: str | None
    facts: Mapping[str, Any]
    previous: str
    hash: str


@dataclass(frozen=True)
class Identity:
    """One board as its last events leave it.

    mac: six bytes; fingerprint: 64 hex digits of its device key, None until it was derived;
    state: a word of rules.STATES; chip: e.g. "esp32c3"; reason: why it failed or was scrapped,
    else empty; attempt: the number of its attempts so far; updated: when its last event was.
    """

    registration_id: str
    batch: str
    serial: str
    mac: bytes
    fingerprint: str | None
    state: str
    chip: str
    reason: str
    attempt: int = 0
    updated: str = ""


@dataclass(frozen=True)
class BatchCount:
    """How far a batch has come: its units in all, and identities by state."""

    name: str
    units: int
    states: Mapping[str, int]

    @property
    def free(self) -> int:
        """Return how many units have no board yet."""
        return self.units - sum(self.states.values())


@dataclass(frozen=True)
class Verdict:
    """What a verification saw, all of it in order; head: "NUMBER:HASH" of the last event."""

    events: int
    batches: int
    identities: int
    head: str


@dataclass(frozen=True)
class Made:
    """An identity with what its batch's list said of it besides, and when it was reserved."""

    identity: Identity
    extra: Mapping[str, str]
    reserved: str
