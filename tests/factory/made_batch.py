"""A batch that was made: boards that are good, failed, mended, packed, and some that wait."""

import random
from pathlib import Path

from host_tools.batch import Batch, units_from_range
from host_tools.ledger import Ledger, open_ledger

NAME = "mill-7"
START = 1_795_419_600.0  # 2026-11-23 07:00 UTC, a Monday
STEPS = {"connect": 0.9, "reserve": 0.1, "write": 11.0, "verify": 2.2, "boot": 3.1, "prove": 1.2}
REASONS = ("boot-silent", "no-answer", "write-failed", "proof-wrong")
FINGERPRINT = "0123456789abcdef" * 4


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def mac(number: int) -> bytes:
    return bytes.fromhex("a1b2c3d4") + number.to_bytes(2, "big")


class Line:
    """Stations that make boards of one batch."""

    def __init__(self, place: Path, units: int, stations: int = 1, note: str = "") -> None:
        self.clock = Clock()
        self.random = random.Random(7)
        names = [f"line-{number + 1}" for number in range(stations)]
        self.stations = [
            open_ledger(str(place), name, create=True, clock=self.clock) for name in names
        ]
        batch = Batch(NAME, "ESP32_GENERIC_C3", "0ne00002193", note=note)
        self.stations[0].create_batch(batch, units_from_range(f"0001..{units:04}"))

    def close(self) -> None:
        for station in self.stations:
            station.close()

    def refuse(self, number: int, reason: str, station: int = 0, **facts: str) -> None:
        """Turn a board away before anything is written to it."""
        self.stations[station].refuse(NAME, mac(number), "esp32", reason=reason, **facts)

    def attempt(self, number: int, reason: str = "", station: int = 0, **facts: str) -> str:
        """Make a board, or fail for a reason; return its registration ID."""
        ledger = self.stations[station]
        name = ledger.reserve(NAME, mac(number), "esp32c3").registration_id
        made = ledger.begin_attempt(name, fingerprint=FINGERPRINT, **facts)
        took = {step: round(usual * self.random.lognormvariate(0, 0.12), 3)
                for step, usual in STEPS.items()}  # fmt: skip
        if reason:
            self.clock.now += 5
            ledger.append(name, "failed", attempt=made, step="boot", reason=reason, detail="x")
            return name
        for kind in ("flashed", "verified", "booted", "proven"):
            ledger.append(name, kind, attempt=made)
        self.clock.now += sum(took.values()) / len(self.stations)
        ledger.append(name, "good", attempt=made, seconds=took)
        return name

    def days(self, boards: int, days: int, hours: int) -> None:
        """Make so many boards on so many days, some of them not at the first attempt."""
        for day in range(days):
            self.clock.now = START + day * 86_400
            for number in range(boards * day // days, boards * (day + 1) // days):
                self.clock.now += self.random.expovariate(boards / days / (hours - 1) / 3600) * 0.6
                self._board(number)

    def _board(self, number: int) -> None:
        station = self.random.randrange(len(self.stations))
        luck = self.random.random()
        if luck < 0.06:
            reason = self.random.choices(REASONS, (6, 4, 2, 1))[0]
            name = self.attempt(number, reason, station)
            if luck < 0.015:
                return
            if luck < 0.02:
                self.stations[0].append(name, "scrapped", reason="dropped")
                return
        name = self.attempt(number, "", station)
        if luck > 0.3:
            self.stations[0].append(name, "checked", passed=luck < 0.99)


def ledger(place: Path) -> Ledger:
    return open_ledger(str(place), "packing")
