"""Flash: what survives power-off, in the NVS namespace "keystead".

Owns the names in flash. esp32.NVS reads only i32 and blobs, names have at most 15 characters. A
value that changes in the field alternates between two slots, its name with 0 and with 1 behind.
"""

import esp32

from keystead.failure import Failure
from keystead.slot import newest, pack
from rim.log import log

_NOT_FOUND = -4354  # ESP_ERR_NVS_NOT_FOUND
_TOO_SMALL = -4364  # ESP_ERR_NVS_INVALID_LENGTH
_USUAL = 384  # bytes of nearly everything; a large buffer is hard to find in a full heap
_LONGEST = 2048  # bytes; a record's five texts have at most 255 each
_FAILURE = "failure"


def load_record() -> bytes:
    """Return the factory record's bytes. Raises Failure record-absent."""
    try:
        return _read("record")
    except OSError as error:
        if error.args[0] != _NOT_FOUND:
            raise Failure("record-corrupt", "NVS", error.args[0])
        raise Failure("record-absent")


def load(name: str) -> bytes | None:
    """Return the value kept under name, at most 14 characters, None if there is none."""
    kept = _newest(name)
    return kept and kept[1]


def save(name: str, payload: bytes) -> bool:
    """Keep a value; True once it can be read back. The same again writes nothing: flash wears."""
    generation, kept, slot = _newest(name) or (0, None, 1)
    if kept == payload:
        return True
    _write(name + "10"[slot], pack(generation + 1, payload))
    return load(name) == payload


def last_failure() -> int:
    """Return the number of the failure stored last, 0 for none."""
    try:
        return esp32.NVS("keystead").get_i32(_FAILURE)
    except OSError:
        return 0


def store_failure(number: int) -> None:
    """Keep the number of a failure (0: recovered); writes only when it changes, flash wears."""
    if last_failure() != number:
        _write(_FAILURE, number)


def _newest(name: str):
    slots = []
    for slot in "01":
        try:
            slots.append(_read(name + slot))
        except OSError:  # absent, or damaged: the other one counts
            slots.append(b"")
    return newest(*slots)


def _read(key: str) -> bytes:
    try:
        return _filled(key, bytearray(_USUAL))
    except OSError as error:
        if error.args[0] != _TOO_SMALL:
            raise
    return _filled(key, bytearray(_LONGEST))


def _filled(key: str, blob: bytearray) -> bytes:
    return bytes(memoryview(blob)[: esp32.NVS("keystead").get_blob(key, blob)])


def _write(key: str, value) -> None:
    try:
        nvs = esp32.NVS("keystead")
        (nvs.set_i32 if key == _FAILURE else nvs.set_blob)(key, value)
        nvs.commit()
    except OSError as error:  # full or worn: that must not stop a board that works
        log("NVS does not keep %s (%s)" % (key, error.args[0]))
