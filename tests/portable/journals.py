# The journal in a storage made of a dict: its layout, its order, its limits, and damage of it.
import binascii

from keystead.failure import Failure
from keystead.journal import Journal
from keystead.recovery import recover

FIRST = 1000
HOUR = 1795000000


class Storage:
    def __init__(self):
        self.files = {}
        self.full = self.late = False

    def segments(self):
        return [(name, len(blob)) for name, blob in self.files.items() if name > 0]

    def read(self, name, at, size):
        return self.files.get(name, b"")[at : at + size]

    def write(self, name, parts):
        if self.full:
            raise Failure("journal-failed", "flash", 28)
        self.files[name] = b"".join(parts)
        if self.late:
            raise Failure("journal-failed", "flash", 5)
        return len(self.files[name])

    def remove(self, name):
        del self.files[name]


def start(storage, limit=32768, age=0):
    return Journal(storage, limit, age, recover(storage, FIRST))


def drain(journal, now=0):
    """Return first number, last number and how many there were in between, all in order."""
    numbers = []
    while True:
        found = journal.peek(now)
        if found is None:
            return numbers and (numbers[0], numbers[-1], len(numbers))
        numbers.append(found[3])
        journal.done(found[3])


def hexadecimal(blob):
    return binascii.hexlify(blob).decode()


print("-- layout")
storage = Storage()
journal = start(storage)
print(journal.peek(), journal.count, journal.dropped)
journal.append(HOUR, b"$.ct=text", b"21.5 C")
journal.append(0, b"", b"")
for name in sorted(storage.files):
    print(name, hexadecimal(storage.files[name]))
print(journal.peek(), journal.count)
print(start(storage).peek())

print("-- order, with restarts")
for number in range(100):
    journal.append(HOUR + number, b"n=%d" % number, b"x" * (number * 7 % 300))
print(journal.count, len(storage.segments()) > 1)
journal = start(storage)
print(journal.count, journal.peek()[0], drain(journal), journal.count, journal.dropped)
print(storage.segments(), start(storage).peek(), start(storage).count)

print("-- sent again after a power cut, in the same order")
for number in range(40):
    journal.append(HOUR, b"", b"message %d" % number)
for _ in range(5):
    journal.done(journal.peek()[3])
print(journal.peek()[2:], journal.count)
journal = start(storage)
print(journal.peek()[2:], journal.count)
for _ in range(20):
    journal.done(journal.peek()[3])
print(journal.peek()[2:], start(storage).peek()[2:])
journal.done(3)  # long gone
print(journal.peek()[2:])
print(drain(journal))

print("-- limit in bytes")
journal = start(storage)
most = 0
for _ in range(1000):
    journal.append(HOUR, b"", b"x" * 100)
    most = max(most, sum(-(-size // 4096) * 4096 for _, size in storage.segments()))
print(most <= 32768 - 4096, journal.count + journal.dropped, journal.dropped > 0)
dropped = journal.dropped
journal = start(storage)
print(journal.dropped == dropped)
oldest, newest, count = drain(journal)
print(newest - oldest + 1 == count, newest - FIRST + 1, count == 1000 - dropped)

print("-- one that was dropped between peek() and done()")
journal.append(HOUR, b"", b"the first")
number = journal.peek()[3]
for _ in range(1000):
    journal.append(HOUR, b"", b"x" * 100)
before = journal.count
journal.done(number)
print(journal.count == before, journal.peek()[3] > number)
drain(journal)

print("-- limit in seconds")
journal = start(storage, age=3600)
for number in range(10):
    journal.append(HOUR + number * 600, b"", b"x")
journal.append(0, b"", b"without a time")
journal.append(HOUR + 6000, b"", b"x")
dropped = journal.dropped
print(journal.peek()[0] - HOUR, journal.count)
print(journal.peek(HOUR + 3600)[0] - HOUR, journal.count)
print(journal.peek(HOUR + 6000)[0] - HOUR, journal.count, journal.dropped - dropped)
print(journal.peek(HOUR + 99999)[2], journal.count, journal.dropped - dropped)
print(drain(journal, HOUR + 99999)[2], journal.count, journal.dropped - dropped)
print(start(storage).dropped == journal.dropped)

print("-- long messages")
dropped = journal.dropped
journal = start(storage, 131072)
for size in (111, 112, 1007, 1008, 4096, 20000, 65518):
    journal.append(HOUR, b"p", b"y" * size)
sizes = []
journal = start(storage, 131072)
for _ in range(7):
    found = journal.peek()
    sizes.append(len(found[2]))
    journal.done(found[3])
print(sizes, journal.count, journal.dropped - dropped)
try:
    journal.append(HOUR, b"", bytes(65520))
except Failure as failure:
    print(failure)
print(journal.count, journal.peek())

print("-- a full file system")
journal.append(HOUR, b"", b"before")
for size in (5, 500, 5000):
    storage.full = True
    try:
        journal.append(HOUR, b"", b"z" * size)
    except Failure as failure:
        print(failure, journal.count, journal.peek()[2])
    storage.full = False
    journal.append(HOUR, b"", b"z" * size)
print(journal.count, drain(journal)[2])

print("-- a write that is there, although it failed")
storage.late = True
try:
    journal.append(HOUR, b"", b"given up")
except Failure as failure:
    print(failure, journal.count)
storage.late = False
journal.append(HOUR, b"", b"long" * 400)
print(journal.count, journal.peek()[2] == b"long" * 400, start(storage).count)
drain(journal)

print("-- one at a time wears the cells alone")
storage = Storage()
journal = start(storage)
for number in range(200):
    journal.append(HOUR, b"", b"%d" % number)
    drain(journal)
print(sorted(storage.files))

print("-- damage")
storage = Storage()
journal = start(storage)
for number in range(70):
    journal.append(HOUR, b"", b"%03d" % number * 20)
oldest, newest = min(storage.segments())[0], max(storage.segments())[0]
print(oldest, newest, journal.count)
whole = dict(storage.files)


def damaged(what, name, at, bits):
    storage.files = dict(whole)
    blob = bytearray(storage.files[name])
    blob[at] ^= bits
    storage.files[name] = bytes(blob)
    journal = start(storage)
    print(what, journal.count, drain(journal), journal.count, journal.dropped)


damaged("nothing", oldest, 0, 0)
damaged("a payload", oldest, 100, 1)
damaged("a time", oldest, 76 * 3 + 5, 1)
damaged("a number", oldest, 76 * 3 + 8, 128)
damaged("a length, too long", oldest, 76 * 3 + 1, 128)
damaged("a length, nothing", oldest, 76 * 3, 76)
damaged("the first length", oldest, 0, 255)
damaged("the last", oldest, len(whole[oldest]) - 1, 255)
damaged("a cell", -3, 30, 1)
storage.files = dict(whole)
storage.files[oldest] = b""
journal = start(storage)
print("an empty segment", drain(journal), journal.dropped)
storage.files = dict(whole)
storage.files[newest] = b"?" * 99
journal = start(storage)
print("no record in the newest", drain(journal), journal.dropped)
storage.files = dict(whole)
del storage.files[-33], storage.files[-34]
journal = start(storage)
print("no state", drain(journal), journal.dropped)
storage.files = {name: whole[name] for name in range(-32, 0)}
journal = start(storage)
print("no state, no segment", drain(journal)[2], journal.dropped)
storage.files = dict.fromkeys(whole, b"")
journal = start(storage)
print("nothing whole", drain(journal), journal.dropped)
journal.append(HOUR, b"", b"and on it goes")
print(start(storage).peek())
