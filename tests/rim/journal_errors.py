# The journal on a LittleFS that is full, or whose chip answers nothing but errors for a while.
import os

from flash_chip import Chip, use

from keystead.failure import Failure
from rim.keeping import open_journal

LIMIT = 65536
chip = Chip(32)


def attempt(what, function, *arguments):
    try:
        print(what, function(*arguments))
    except Failure as failure:
        print(what, failure.reason, failure.code)


def fill():
    """Leave no block free."""
    with open("filler", "wb") as file:
        try:
            while True:
                file.write(bytes(4096))
                file.flush()
        except OSError as error:
            return error.args[0]


def drain():
    numbers = []
    while True:
        oldest = journal.peek()
        if oldest is None:
            return len(numbers), numbers == list(range(numbers[0], numbers[-1] + 1))
        assert oldest[2] == bytes([oldest[0]]) * (oldest[0] * 3), oldest
        numbers.append(oldest[3])
        journal.done(oldest[3])


def append(number):
    journal.append(number, b"", bytes([number]) * (number * 3))


print("-- a full file system")
use(chip, True)
journal = open_journal(LIMIT, 0)
for number in range(100):
    append(number)
print(fill())
kept = 100
for number in range(100, 250):
    try:
        append(number)
    except Failure as failure:
        assert (failure.reason, failure.code) == ("journal-failed", 28), failure
    else:
        kept += 1
print(kept < 250, journal.count == kept)
use(chip, False)
journal = open_journal(LIMIT, 0)
print(journal.count == kept, drain() == (kept, True), journal.dropped)
attempt("appended", append, 1)
os.remove("filler")
append(2)
attempt("drained", drain)

print("-- a chip that answers nothing but errors")
for number in range(60):
    append(number)
chip.error = -5
for number in (3, 250):
    attempt("appended", append, number)
    attempt("looked", journal.peek)
attempt("opened", open_journal, LIMIT, 0)
print(journal.count)
chip.error = 0
use(chip, False)
journal = open_journal(LIMIT, 0)
append(60)
attempt("drained", drain)
print(journal.dropped)

print("-- files that are gone")
for number in range(120):
    append(number)
names = sorted(int(name) for name in os.listdir("journal") if name[0] != "-")
os.remove("journal/%d" % names[0])
print(len(names) > 2, journal.count, drain() == (120 - journal.dropped, True), journal.dropped > 0)

print("-- a folder that can not be made")
os.chdir("/flash")
for name in os.listdir("journal"):
    os.remove("journal/" + name)
os.rmdir("journal")
open("journal", "w").close()
attempt("opened", open_journal, LIMIT, 0)
