"""What the line writes into a ledger while it makes the boards of a batch; no board is there.

A program of its own: `-m bench.histories LEDGER BATCH`, the group key in the environment. Every
board that the plan names is reserved and becomes good, with the calls and facts of flash/steps.py:
each in a transaction of its own, on disk before the next, for a station may be cut off anywhere.
"""

import sys

import keystead
from host_tools import boards, key_sources, keys
from host_tools.key_sources import KeySource
from host_tools.ledger import Ledger, open_ledger

EVENTS = 7  # of one board
_CHIP = {"chip": "ESP32-C3 (QFN32) (revision v0.4)", "esptool": "5.6.0"}
_STEPS: tuple[tuple[str, dict[str, object]], ...] = (
    ("flashed", {"bytes": 1_800_000, "baud": 460_800}),
    ("verified", {"files": 40}),
    ("booted", {}),
    ("proven", {}),
    ("good", {"seconds": {"connect": 1.2, "write": 25.0, "verify": 2.0, "boot": 1.5}}),
)


def main(place: str, batch_name: str) -> None:
    """Make every board of the batch a good one."""
    with key_sources.open_source() as source, open_ledger(place, "the bench") as ledger:
        batch = ledger.batch(batch_name)
        chip = boards.get(batch.board).chip
        for unit in ledger.units(batch_name):
            assert unit.mac is not None
            _make(ledger, source, batch_name, unit.mac, chip)


def _make(ledger: Ledger, source: KeySource, batch_name: str, mac: bytes, chip: str) -> None:
    name = ledger.reserve(batch_name, mac, chip).registration_id
    fingerprint = keys.fingerprint(source.derive(name))
    facts = {**_CHIP, "keystead": keystead.__version__}
    attempt = ledger.begin_attempt(name, fingerprint=fingerprint, **facts)
    for kind, known in _STEPS:
        ledger.append(name, kind, attempt=attempt, **known)


if __name__ == "__main__":
    main(*sys.argv[1:])
