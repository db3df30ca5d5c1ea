"""The ledger: what an event costs a station, with few boards in it and with many.

A whole batch, with all that belongs to it, is measured in batch.py; here is one station that
works on a ledger which is there already, in a file and on a server.
"""

import sqlite3
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from bench import postgresql_server
from bench.figures import Figure, Row, digits, usual_rate
from bench.workshop import Workshop
from host_tools.batch import Batch, Unit
from host_tools.errors import CommandError
from host_tools.ledger import Ledger, open_ledger

TITLE = "ledger, one station"

_SIZES = (100, 1_000, 10_000)
_BOARDS = 20  # of a round
_ROUNDS = 3
_STEPS = ("flashed", "verified", "booted", "proven", "good")
_EVENTS = len(_STEPS) + 2  # a board's: reserved, flashing and these
_ALONE = "sqlite3 alone"
_CHIP = "esp32c3"


def rows(workshop: Workshop) -> list[Row]:
    """Measure in a file that grows, then on a server if this machine has one."""
    file = workshop.folder / "ledger.sqlite3"
    found = [*_in_a_file(file)]
    try:
        with postgresql_server.started(durable=True) as server:
            return [*found, *_on_a_server(server.new())]
    except CommandError as why:
        return [*found, Row("events on PostgreSQL", Figure(0, "/s"), note=f"not measured: {why}")]


def _in_a_file(file: Path) -> Iterator[Row]:
    alone = _alone(file.with_name("alone.sqlite3"))
    with open_ledger(str(file), "bench", create=True) as ledger:
        for size in _SIZES:
            _fill(ledger, size)
            rate = _events(ledger, size)
            what = f"events in a file, {digits(size)} boards there"
            yield Row(what, rate, alone, _ALONE, note=_NOTE)
        yield from _verified(ledger)
        yield _planned(ledger)


def _on_a_server(place: str) -> Iterator[Row]:
    with open_ledger(place, "bench", create=True) as ledger:
        _fill(ledger, _SIZES[1])
        yield Row(f"events on PostgreSQL, {digits(_SIZES[1])} boards there",
                  _events(ledger, _SIZES[1]), note=_SERVER)  # fmt: skip
        _fill(ledger, _SIZES[2])
        yield from _verified(ledger, " on PostgreSQL")


def _fill(ledger: Ledger, size: int) -> None:
    """Have so many boards in the ledger, and a batch of free units for the measured ones."""
    there = sum(1 for _ in ledger.identities())
    units = [Unit(f"old-{n}", mac=_mac(1, n)) for n in range(there, size)]
    ledger.import_batch(_batch(f"old-{size}"), units, _CHIP, "bench")
    free = [Unit(f"new-{size}-{n}") for n in range(_BOARDS * _ROUNDS)]
    ledger.create_batch(_batch(f"new-{size}"), free)


def _events(ledger: Ledger, size: int) -> Figure:
    seconds = []
    for turn in range(_ROUNDS):
        begun = time.perf_counter()
        for board in range(_BOARDS):
            _make(ledger, f"new-{size}", _mac(2, size * 100 + turn * _BOARDS + board))
        seconds.append(time.perf_counter() - begun)
    return usual_rate(seconds, _BOARDS * _EVENTS)


def _make(ledger: Ledger, batch: str, mac: bytes) -> None:
    name = ledger.reserve(batch, mac, _CHIP).registration_id
    attempt = ledger.begin_attempt(name, fingerprint="ab" * 32)
    for kind in _STEPS:
        ledger.append(name, kind, attempt=attempt, seconds=1.25)


def _verified(ledger: Ledger, where: str = "") -> Iterator[Row]:
    events = int(ledger.head().partition(":")[0])
    checks = (("events verified", ledger.verify), ("their chain alone", ledger.check_chain))
    for what, act in checks:
        seconds = []
        for _ in range(_ROUNDS):
            begun = time.perf_counter()
            act()
            seconds.append(time.perf_counter() - begun)
        yield Row(f"{what}{where}", usual_rate(seconds, events), note=_CHECKED)


def _planned(ledger: Ledger) -> Row:
    units = [Unit(f"p-{n}") for n in range(_SIZES[-1])]
    begun = time.perf_counter()
    ledger.create_batch(_batch("planned"), units)
    seconds = time.perf_counter() - begun
    return Row(f"a batch of {digits(len(units))} planned", Figure(seconds, "s"))


def _batch(name: str) -> Batch:
    return Batch(name, "ESP32_GENERIC_C3", "0ne00002193")


def _mac(kind: int, number: int) -> bytes:
    return bytes([2, kind]) + number.to_bytes(4, "big")


# what the disk allows: one row a commit, on disk before the next
def _alone(file: Path) -> Figure:
    with closing(sqlite3.connect(file, isolation_level=None)) as plain:
        plain.execute("PRAGMA journal_mode = WAL")
        plain.execute("PRAGMA synchronous = FULL")
        plain.execute("CREATE TABLE event (number INTEGER PRIMARY KEY, text TEXT)")
        seconds = []
        for turn in range(_ROUNDS):
            begun = time.perf_counter()
            for number in range(_BOARDS * _EVENTS):
                plain.execute("INSERT INTO event (text) VALUES (?)", (f"{turn} {number}" * 40,))
            seconds.append(time.perf_counter() - begun)
    return Figure(_BOARDS * _EVENTS / statistics.median(seconds), "/s")


_NOTE = (
    f"{_BOARDS} boards of {_EVENTS} events, median of {_ROUNDS}, each on disk before the next;"
    " beside: rows of the same size, committed as durably by Python's sqlite3, without chain,"
    " rules and identities"
)
_CHECKED = (
    "verify compares the tables with the chain; the chain alone is what whatever appends"
    " checks at its start"
)
_SERVER = "the same on this machine's own server over its socket, with fsync"
