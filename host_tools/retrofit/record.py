"""The factory record in a board's NVS, read and written by its REPL.

Owns that a key only ever goes to the board, as text of the REPL that no file holds; what comes
back is names and a hash. Doesn't own the record's layout (keystead.record).
"""

import binascii
import hashlib
from dataclasses import dataclass

from host_tools.repl import LineLost, Repl, ReplError
from host_tools.retrofit import on_board
from host_tools.retrofit.failure import RetrofitFailure
from keystead.failure import printable
from keystead.record import FactoryRecord


@dataclass(frozen=True)
class Found:
    """What is known of the record on a board. digest: SHA-256 of its bytes."""

    mac: bytes
    id_scope: str
    registration_id: str
    digest: bytes

    def is_that(self, record: FactoryRecord) -> bool:
        """Tell whether it is this record, to the last byte."""
        return self.digest == hashlib.sha256(record.pack()).digest()


def find(repl: Repl) -> Found | None:
    """Return what record the board has; None for none, or one that names nobody."""
    told = repl.evaluate_printed(on_board.TELL_RECORD)
    if told is None:
        return None
    if not (isinstance(told, tuple) and len(told) == 5 and all(type(x) is bytes for x in told)):
        raise ReplError("the board's answer about its record is garbled: try again")
    magic, mac, id_scope, name, digest = told
    if magic != b"KS":
        return None
    return Found(mac, _text(id_scope), _text(name), digest)


def write(repl: Repl, record: FactoryRecord) -> None:
    """Put the record where the firmware reads it; what was there is kept until the end."""
    repl.exec(on_board.KEEP_RECORD)
    text = binascii.b2a_base64(record.pack(), newline=False).decode()
    repl.hush()  # the board may repeat the line, now or later
    try:
        repl.exec(on_board.WRITE_RECORD.format(text))
    except LineLost:
        raise LineLost("the line to the board broke while it was given its record") from None
    except ReplError:
        raise ReplError(
            "the board did not take its record: is NVS full, or did it crash"
        ) from None
    check(repl, record)


def check(repl: Repl, record: FactoryRecord) -> None:
    """Have the board read it back. Raises RetrofitFailure."""
    found = find(repl)
    if found is None or not found.is_that(record):
        raise RetrofitFailure(
            "record-differs", "the board's NVS does not keep the record: is its flash worn out?"
        )


def undo(repl: Repl) -> None:
    """Put back what was there before write()."""
    repl.exec(on_board.UNDO_RECORD)


def forget(repl: Repl) -> None:
    """Let go of what was there before write()."""
    repl.exec(on_board.FORGET_RECORD)


def _text(data: bytes) -> str:
    return printable(data.decode("utf-8", "replace"))
