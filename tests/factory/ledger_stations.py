"""Stations that work on one ledger at the same time, each a process of its own.

python -m tests.factory.ledger_stations PLACE NUMBER BOARDS: say "ready", wait for a line, then
reserve and begin so many boards; print "SERIAL REGISTRATION_ID" for each, "used-up" at the end.
"""

import subprocess
import sys

from host_tools.ledger import BatchUsedUp, open_ledger
from tests.factory.ledger_conduct import CHIP, batch, mac, units

STATIONS, SERIALS, BOARDS, SHARED = 4, 80, 25, 5


def race(place):
    """Let four stations make 100 boards, 85 of them different, of a batch of 80.

    The first boards of all stations are the same ones: each must get the same identity.
    """
    with open_ledger(place, create=True) as ledger:
        ledger.create_batch(batch(), units(SERIALS))
    words = [sys.executable, "-W", "error", "-m", "tests.factory.ledger_stations", place]
    stations = [
        subprocess.Popen(
            [*words, str(number), str(BOARDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(STATIONS)
    ]
    try:
        for station in stations:
            assert station.stdout.readline() == "ready\n", station.stderr.read()
        for station in stations:
            station.stdin.write("go\n")
            station.stdin.flush()
        said = [station.communicate(timeout=60) for station in stations]
    finally:
        for station in stations:
            station.kill()
            station.wait()
    assert [err for _, err in said] == [""] * STATIONS
    lines = [line.split() for out, _ in said for line in out.splitlines()]
    given = {tuple(line) for line in lines if len(line) == 2}
    assert len(given) == len({serial for serial, _ in given}) == SERIALS
    different = STATIONS * (BOARDS - SHARED) + SHARED
    assert lines.count(["used-up"]) >= different - (SERIALS)
    with open_ledger(place) as ledger:
        assert ledger.verify().identities == SERIALS
        assert {(one.serial, one.registration_id) for one in ledger.identities()} == given
        assert ledger.count("A").free == 0


def main(place, number, boards):
    """Be one station."""
    with open_ledger(place, f"line-{number}") as ledger:
        print("ready", flush=True)
        sys.stdin.readline()
        for board in range(boards):
            own = board if board < SHARED else 1000 * (number + 1) + board
            try:
                one = ledger.reserve("A", mac(own), CHIP)
            except BatchUsedUp:
                print("used-up", flush=True)
                continue
            ledger.append(one.registration_id, "noted", board=board)
            print(one.serial, one.registration_id, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
