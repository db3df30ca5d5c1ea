"""Keep and replay. {"size", "wait", "count", "folder"} -> {"memory", "turn", "keep", "usual"}.

With "wait" messages waiting, one is kept and the oldest sent, count times: microseconds, bytes.
Then count are kept: bytes programmed, blocks erased; "usual" is the same of the usual way, a file
that is flushed after each message, and a new one when it has 4 KiB. Heap and garbage are measured
on the file system of this machine, as a block device made of Python leaves garbage of its own.
"""

import gc
import json
import os
import sys
import time

from flash_chip import Chip, use
import keystead.recovery  # which open_journal() would load, and a board forget
from rim.keeping import open_journal

_BLOCKS = 128
_LIMIT = 256 * 1024
_WHEN = 1795000000
_FEW = 64  # messages for the garbage of one


class Usual:
    """Segments of 4 KiB, appended to; the oldest is removed when there are 50."""

    def __init__(self):
        os.mkdir("usual")
        self.number = self.filled = 0
        self.file = None

    def append(self, when, properties, payload):
        if self.file is None or self.filled + len(payload) > 4096:
            if self.file:
                self.file.close()
            self.number += 1
            self.filled = 0
            self.file = open(  # noqa: SIM115
                "usual/%d" % self.number, "wb"
            )
            if self.number > 50:
                os.remove("usual/%d" % (self.number - 50))
        self.file.write(b"%10d%6d" % (when, len(payload)))
        self.file.write(payload)
        self.file.flush()
        self.filled += 16 + len(payload)


def keep(keeper, payload, count):
    """Return microseconds, bytes programmed and blocks erased of one append()."""
    chip.zero()
    gc.collect()
    begun = time.ticks_us()
    for _ in range(count):
        keeper.append(_WHEN, b"", payload)
    spent = time.ticks_diff(time.ticks_us(), begun)
    return spent / count, chip.programmed / count, chip.erased / count


def turn_over(journal, payload, count):
    """Return microseconds of an append() and of a replay, while as many wait as did before."""
    kept = sent = 0
    gc.collect()
    for _ in range(count):
        begun = time.ticks_us()
        journal.append(_WHEN, b"", payload)
        middle = time.ticks_us()
        journal.done(journal.peek()[3])
        kept += time.ticks_diff(middle, begun)
        sent += time.ticks_diff(time.ticks_us(), middle)
    return kept / count, sent / count


def filled(payload, wait):
    journal = open_journal(_LIMIT, 0)
    for _ in range(wait):
        journal.append(_WHEN, b"", payload)
    return journal


def memory(payload, wait):
    """Return the heap of a journal, and the garbage of an append() and a replay."""
    gc.collect()
    before = gc.mem_alloc()
    journal = filled(payload, wait)
    gc.collect()
    heap = gc.mem_alloc()
    gc.disable()
    for _ in range(_FEW):
        journal.append(_WHEN, b"", payload)
        journal.done(journal.peek()[3])
    garbage = gc.mem_alloc() - heap
    gc.enable()
    return heap - before, garbage / _FEW


settings = json.load(sys.stdin)
payload = bytes(settings["size"])
os.chdir(settings["folder"])
answer = {"memory": memory(payload, settings["wait"])}
chip = Chip(_BLOCKS)
use(chip, True)
answer["turn"] = turn_over(filled(payload, settings["wait"]), payload, settings["count"])
use(chip, True)
answer["keep"] = keep(open_journal(_LIMIT, 0), payload, settings["count"])
use(chip, True)
answer["usual"] = keep(Usual(), payload, settings["count"])
print(json.dumps(answer))
