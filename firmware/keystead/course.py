"""The course: what a device does after which failure.

Owns the table; waits, dials and signs nothing itself. What it must remember between failures is a
dict that the caller keeps, so that this module need not stay in memory while all is well.
Source: "Best practices for large-scale device deployments" of DPS, and its reprovisioning page.

    seen                              then
    hub refuses the credentials       DPS, in a moment; then another key, then ever more seldom
    network, DNS, TCP, TLS, silence   the same hub; DPS as well after 20 minutes
    429                               what the service asks for, and a random part on top
    5xx                               the same hub or DPS, from 5 s on
    DPS refuses (4xx, disabled, ...)  seldom: from a minute on, up to 4 hours
    this board's own                  from 10 s on, up to 10 minutes
"""

import binascii

from keystead.backoff import backoff
from keystead.failure import Failure

PATIENCE = 1200  # seconds without the hub, after which DPS is asked: it may have moved
FLAPPING = 3  # connections in a row that broke within a minute

# (base, ceiling) in seconds
_SLOW = 60, 14400
_NETWORK = 2, 300
_SERVICE = 5, 300
_LOCAL = 10, 600
_LEAST = 5  # seconds that a service that can not now is left alone


def begin() -> dict[str, float]:
    """Return what must be remembered, as it is at power-on.

    attempt: failures in a row; refused: of them, by DPS or a hub; down: uptime in seconds since
    when there is no hub, -1 while there is one; dps: 1 to ask DPS once, 2 until it has answered;
    doubt: 1 if the clock may be what was refused, until it was asked for; short: connections in a
    row that broke soon; quick: 1 if the next attempt is with something that was not refused yet,
    set by the caller.
    """
    return {"attempt": 0, "refused": 0, "down": -1, "dps": 0, "doubt": 0, "short": 0, "quick": 0}


def failed(life: dict[str, float], failure: Failure, uptime: float, chance: float) -> float:
    """Take a failure into account; return the seconds to wait before the next attempt.

    uptime: seconds, never backwards; chance: uniform in [0, 1).
    """
    reason = failure.reason
    life["attempt"] += 1
    if reason in ("dps-unauthorized", "dps-refused", "hub-refused", "tls-expired"):
        life["doubt"] = 1
    if life["down"] < 0:
        life["down"] = uptime
    _route(life, reason, uptime)
    pace = _pace(reason)
    if pace is _NETWORK and life["dps"] == 2:
        pace = _NETWORK[0], _LOCAL[1]  # DPS serves many, and there is no hub to be early at
    attempt = life["attempt"]
    quick = life["quick"] and not life["refused"]  # one round of keys in haste, then no more
    life["quick"] = 0
    if quick:
        return 5 * chance
    if pace is _SLOW:
        attempt = life["refused"] = life["refused"] + 1
    least = _LEAST if pace is _SERVICE else 0
    return max(failure.retry_after, least) + backoff(int(attempt), chance, *pace)


def _pace(reason: str) -> tuple[int, int]:
    if reason in ("dps-throttled", "dps-unavailable", "hub-unavailable", "dps-endless"):
        return _SERVICE
    if reason.startswith("dps-") or reason == "hub-refused":
        return _SLOW
    if reason[:3] in ("net", "nam", "unr", "no-", "con", "tls", "mqt", "hub", "clo"):
        return _NETWORK
    return _LOCAL


def _route(life: dict[str, float], reason: str, uptime: float) -> None:
    """Decide whom to ask next: the hub that is known, or DPS."""
    if reason == "hub-refused":
        life["dps"] = 2
    elif life["dps"] == 1:
        # DPS can not be reached either: the hub that is known again, for a while
        life["dps"] = 0
        life["down"] = uptime
    elif not life["dps"] and uptime - life["down"] > PATIENCE:
        life["dps"] = 1


def connected(life: dict[str, float]) -> None:
    """Take note that a hub let the device in."""
    life["down"] = -1
    life["dps"] = life["doubt"] = 0


def lost(life: dict[str, float], seconds: float) -> bool:
    """Take note that a connection broke after seconds; tell whether that is becoming a habit.

    Two devices with one identity throw each other out for ever.
    """
    life["short"] = life["short"] + 1 if seconds < 60 else 0
    return life["short"] >= FLAPPING


def settled(life: dict[str, float]) -> None:
    """Take note that the connection has held for long: earlier failures are history."""
    life["attempt"] = life["refused"] = life["short"] = 0


def spread(name: str, seconds: int) -> float:
    """Return this device's place in a first rush of many, 0 to seconds: always the same."""
    return binascii.crc32(name.encode()) / 4294967296 * seconds
