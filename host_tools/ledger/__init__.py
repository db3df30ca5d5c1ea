"""The factory's ledger: who was made, when, by which station, and how it went.

Owns identities (a registration ID is issued once, to one MAC) and the append-only, hash-chained
events that they follow from. Doesn't own keys: it knows their fingerprints only.

    with open_ledger("ledger.sqlite3", station="line-1", create=True) as ledger:
        ledger.create_batch(batch, units)
        identity = ledger.reserve(batch.name, mac, "esp32c3")
        attempt = ledger.begin_attempt(identity.registration_id, fingerprint=fingerprint)
        for kind in ("flashed", "verified", "booted", "proven", "good"):
            ledger.append(identity.registration_id, kind, attempt=attempt)
"""

from host_tools.ledger.arguments import add_arguments, opened
from host_tools.ledger.errors import (
    AlreadyIssued,
    BadEvent,
    BatchUsedUp,
    DiskFull,
    FileMoved,
    ForeignBoard,
    LedgerError,
    Locked,
    NewerLedger,
    NoLedger,
    NoLedgerYet,
    NotALedger,
    ReadOnly,
    Scrapped,
    ServerGone,
    Tampered,
    UnknownBatch,
    UnknownBoard,
    Unproven,
    WrongAttempt,
)
from host_tools.ledger.ledger import Ledger
from host_tools.ledger.model import BatchCount, Event, Identity, Made, Verdict
from host_tools.ledger.opening import open_ledger

__all__ = [
    "AlreadyIssued",
    "BadEvent",
    "BatchCount",
    "BatchUsedUp",
    "DiskFull",
    "Event",
    "FileMoved",
    "ForeignBoard",
    "Identity",
    "Ledger",
    "LedgerError",
    "Locked",
    "Made",
    "NewerLedger",
    "NoLedger",
    "NoLedgerYet",
    "NotALedger",
    "ReadOnly",
    "Scrapped",
    "ServerGone",
    "Tampered",
    "UnknownBatch",
    "UnknownBoard",
    "Unproven",
    "Verdict",
    "WrongAttempt",
    "add_arguments",
    "open_ledger",
    "opened",
]
