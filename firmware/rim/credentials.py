"""The credentials: the factory record and the device keys, for as long as it takes to sign.

Owns nothing but the way to them. Each call loads keys, uses them and lets go of them: no key stays
in the heap of a board that is connected, or that waits.
"""

import machine

from keystead.key_ring import KeyRing
from keystead.record import unpack
from rim import clock, flash

_LIFE = 3600  # seconds a SAS token is valid
_UNHEARD = "connection-lost", "no-answer", "mqtt-garbled"  # instead of a refusal


def _record():
    return unpack(flash.load_record(), machine.unique_id())


def _ring() -> KeyRing:
    return KeyRing(_record(), flash.load("keys"))


def _keep(ring: KeyRing) -> bool:
    return flash.save("keys", ring.pack())


def identity() -> tuple:
    """Return (registration ID, ID scope, DPS endpoint, the record's CRC). Raises Failure."""
    record = _record()
    return record.registration_id, record.id_scope, record.endpoint, record.crc()


def token(resource: str, policy: str = "") -> str:
    """Return a fresh SAS token, by the key whose turn it is. Raises Failure."""
    return _ring().token(resource, clock.unix_time() + _LIFE, policy)


def accepted() -> bool:
    """Take note that the hub took the key; tell whether that was a new pair's trial."""
    ring = _ring()
    tried = bool(ring.trying)
    if tried:
        ring.confirm()
    if ring.works() or tried:
        _keep(ring)
    return tried


def refused(device, failure) -> None:
    """Take a failure: another key's turn may have come, or DPS's if the hub may not be ours.

    A new pair that was refused four times is given up, and so if a server just hangs up on it.
    """
    reason = failure.reason
    ring = _ring()
    tried = ring.trying
    if reason in ("hub-refused", "dps-unauthorized", "dps-refused"):
        if reason == "hub-refused" and not device.fresh and not tried:
            device.life["quick"] = 1
            return
        device.life["quick"] = int(ring.refused())
    elif tried and reason in _UNHEARD and "TCP" not in failure.detail:
        ring.unheard()
    else:
        return
    _keep(ring)
    if tried and not ring.trying:
        device.told["keys"] = "refused"
        device.life["dps"] = device.life["refused"] = 0  # the hub that knew the old pair may yet


def propose(primary: bytes, secondary: bytes) -> bool:
    """Put a new pair beside the old one, to be tried; False if it is the one in place.

    Raises Failure key-rejected.
    """
    from keystead.failure import Failure

    ring = _ring()
    new = ring.propose(primary, secondary)
    if not _keep(ring):
        raise Failure("key-rejected", "the flash does not keep it")
    return new
