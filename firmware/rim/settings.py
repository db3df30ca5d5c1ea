"""The settings: config.json on the board, or the last one that could be used.

Owns the file, and where in it JSON ends to be JSON: MicroPython's parser names no line, and takes
a file for whole whose end is missing. What may be in it is keystead.configuration's.
"""

import json

from keystead.configuration import read
from keystead.failure import Failure
from rim import flash
from rim.log import ERROR, log

_FILE = "config.json"
_LONGEST = 4096  # bytes
_KEPT = 2000  # bytes that flash.load() can give back


def load():
    """Return the Settings of config.json; of the last good one where it can not be used.

    Raises Failure where there is none.
    """
    try:
        text, settings = _read()
        if len(text) <= _KEPT:
            flash.save("config", text)
    except Failure as failure:
        try:
            settings = read(json.loads(flash.load("config") or b""))
        except (Failure, ValueError):
            raise failure
        settings.problem = failure.detail
        log(failure.detail + "; the last good one is used", ERROR)
    return settings


def _read() -> tuple:
    try:
        with open(_FILE, "rb") as file:
            text = file.read(_LONGEST + 1)
            if len(text) > _LONGEST:
                raise Failure("config-invalid", "%s is over %d bytes" % (_FILE, _LONGEST))
            _scan(text)
            file.seek(0)
            try:
                return text, read(json.load(file))
            except ValueError:  # the parser has seen one character more than it took
                raise _broken(1 + text[: file.tell() - 1].count(b"\n"))
    except OSError:
        raise Failure("network-unset", "there is no " + _FILE)


def _scan(text: bytes) -> None:
    """Raise Failure for a text that its line does not close, and a bracket the file does not."""
    line = depth = 0
    for row in text.split(b"\n"):
        line += 1
        pieces = row.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        for piece in pieces[::2]:
            for byte in piece:
                depth += (byte in b"[{") - (byte in b"]}")
        if not len(pieces) % 2:
            raise _broken(line)
    if depth:
        raise _broken(line)


def _broken(line: int) -> Failure:
    return Failure("config-invalid", "%s, line %d: not JSON" % (_FILE, line))
