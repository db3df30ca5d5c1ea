"""The chain: how an event is written for good, and bound to the one before it.

The hash of an event is SHA-256 of its canonical JSON: an array of number, at, station, kind,
registration ID (or null), facts and the previous event's hash, with names sorted, no blanks and
nothing but ASCII. The first event follows 64 zeros.

Owns this form, and what may stand in facts. Doesn't own what events mean (rules.py).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from host_tools.ledger.errors import BadEvent, LedgerError, Tampered
from host_tools.ledger.model import Event

START = "0" * 64
_LARGEST = 16_384  # characters of an event's facts
# what must never get in, by name and by looks: 32 or 64 bytes in Base64 are a key, as DPS has them
_SECRET = re.compile(
    r"(device|group|primary|secondary|private|signing|shared|nvs|flash)?_?(access_?)?key"
    r"|.*(password|passphrase|secret|psk)|pin|sas(_?token)?|token",
    re.IGNORECASE,
)
_KEY = re.compile(r"(?<![A-Za-z0-9+/])([A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{86}==)(?![A-Za-z0-9+/=])")
_HEAD = re.compile(r"(?:([0-9]{1,18}):)?([0-9a-f]{64})")


# made once: json.dumps() makes one for each call, which takes longer than to write an event
_WRITTEN = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
)


def canonical(value: object) -> str:
    """Return the one JSON text of a value; ValueError or TypeError if it has none."""
    return _WRITTEN.encode(value)


def digest(
    number: int,
    at: str,
    station: str,
    kind: str,
    registration_id: str | None,
    facts: str,
    previous: str,
) -> str:
    """Return the hash of an event; facts: canonical already."""
    head = canonical([number, at, station, kind, registration_id])[:-1]
    return hashlib.sha256(f'{head},{facts},"{previous}"]'.encode()).hexdigest()


def follow(
    last: tuple[int, str],
    at: str,
    station: str,
    kind: str,
    registration_id: str | None,
    facts: Mapping[str, Any],
) -> Event:
    """Return the event that comes after the last one, whose number and hash are given."""
    number, previous = last[0] + 1, last[1]
    text = canonical(facts)
    made = digest(number, at, station, kind, registration_id, text, previous)
    return Event(number, at, station, kind, registration_id, json.loads(text), previous, made)


class Walk:
    """A walk along the chain as it was written; number, hash: of the event it has come to."""

    def __init__(self) -> None:
        self.number, self.hash = 0, START

    def step(
        self,
        number: int,
        at: str,
        station: str,
        kind: str,
        registration_id: str | None,
        facts: str,
        previous: str,
        hash_: str,
    ) -> None:
        """Go on by one event, as it stands in its table, or raise Tampered."""
        if number != self.number + 1:
            raise Tampered(self.number + 1, f"is missing; the next is {number}")
        if previous != self.hash:
            raise Tampered(number, "does not follow the event before it")
        try:
            made = digest(number, at, station, kind, registration_id, facts, previous)
        except (TypeError, ValueError):  # a table without types may hold anything
            made = ""
        if made != hash_:
            raise Tampered(number, f"{kind} was changed: its hash is not its own")
        self.number, self.hash = number, hash_


def moment(seconds: float) -> str:
    """Return a time as events have it: UTC, ISO 8601, milliseconds."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def fit(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts as they will be read again; BadEvent if they hold a key or are no text."""
    try:
        text = canonical(dict(facts))
    except (TypeError, ValueError, RecursionError) as error:
        raise BadEvent(f"facts are to be JSON values: {type(error).__name__}") from None
    if len(text) > _LARGEST:
        raise BadEvent(f"facts have {len(text)} characters, at most {_LARGEST} are kept")
    found: dict[str, Any] = json.loads(text)
    _refuse_halves(found)
    _refuse_secrets(found)
    return found


# JSON can write half of a surrogate pair, UTF-8 can not: every later export would stumble over it
def _refuse_halves(facts: Mapping[str, Any]) -> None:
    try:
        json.dumps(facts, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])[1:-1]
        raise BadEvent(f"facts hold half a character ({half}): write the whole one") from None


def _refuse_secrets(value: object, name: str = "") -> None:
    if name and _SECRET.fullmatch(name) and value is not None and value != "":
        raise BadEvent(f"{name!r} is not for a ledger: it keeps fingerprints of keys, no secrets")
    if isinstance(value, dict):
        for inner, one in value.items():
            _refuse_secrets(one, inner)
    elif isinstance(value, list):
        for one in value:
            _refuse_secrets(one)
    elif isinstance(value, str) and _KEY.search(value):
        raise BadEvent(f"{name or 'a fact'!r} looks like a key: the ledger keeps no secrets")


def head(number: int, made: str) -> str:
    """Return what to keep elsewhere: an event's number and hash."""
    return f"{number}:{made}"


def parse_head(text: str) -> tuple[int | None, str]:
    """Return number, if it has one, and hash; LedgerError."""
    match = _HEAD.fullmatch(text.strip())
    if not match:
        raise LedgerError(
            f"{text[:80]!r} is no head: write NUMBER:HASH as `keystead ledger head` prints it"
        )
    return (int(match[1]) if match[1] else None), match[2]
