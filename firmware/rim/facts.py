"""The facts: what Keystead tells of itself, to the twin and to whoever asks.

Owns their names, those of docs/dtdl. Nothing in it is a secret.
"""

import gc

import machine

import keystead
from rim import flash
from rim.log import log
from rim.words import entry


def facts(device) -> dict:
    """Return the facts as one JSON object: what changes rarely, fit for a twin."""
    number = flash.last_failure()
    told = {
        "version": keystead.__version__,
        "resetCause": machine.reset_cause(),
        # of before the reset; all four, or the twin keeps what they were
        "lastFailure": {
            "number": number,
            "reason": (number and entry(str(number))[1]) or "",
            "text": "",
            "at": "",
        },
        "provisionings": device.provisionings,
    }
    told.update(device.told)
    if device.journal:
        told["journalDropped"] = device.journal.dropped
    return told


def status(device) -> dict:
    """Return the facts and what changes all the time, fit for an answer."""
    told = facts(device)
    told["uptime"] = int(log.uptime())
    gc.collect()
    told["freeHeap"] = gc.mem_free()
    told["hub"] = device.hub
    told["savedDpsCalls"] = device.saved
    if device.journal:
        told["journalCount"] = device.journal.count
    return told
