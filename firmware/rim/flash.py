"""Flash: what survives power-off, in the NVS namespace "keystead".

Owns the names in flash. esp32.NVS reads only i32 and blobs, names have at most 15 characters.
"""

import esp32

from keystead.failure import Failure
from rim.log import log

_NOT_FOUND = -4354  # ESP_ERR_NVS_NOT_FOUND
_LONGEST = 1536  # bytes; a record's five texts have at most 255 each
_RECORD = "record"
_FAILURE = "failure"


def _open():
    return esp32.NVS("keystead")


def load_record() -> bytes:
    """Return the factory record's bytes. Raises Failure record-absent."""
    blob = bytearray(_LONGEST)
    try:
        size = _open().get_blob(_RECORD, blob)
    except OSError as error:
        if error.args[0] != _NOT_FOUND:
            raise Failure("record-corrupt", "NVS", error.args[0])
        raise Failure("record-absent")
    return bytes(memoryview(blob)[:size])


def last_failure() -> int:
    """Return the number of the failure stored last, 0 for none."""
    try:
        return _open().get_i32(_FAILURE)
    except OSError:
        return 0


def store_failure(number: int) -> None:
    """Keep the number of a failure (0: recovered); writes only when it changes, flash wears."""
    if last_failure() == number:
        return
    try:
        nvs = _open()
        nvs.set_i32(_FAILURE, number)
        nvs.commit()
    except OSError as error:  # full or worn: that must not stop a board that works
        log("NVS does not keep the failure's number (%s)" % error.args[0])
