"""The journal: telemetry that waits on flash until the hub has it, oldest first.

Owns the layout on flash and the ring. Doesn't own files or time: storage and hour are arguments.
What is found at power-on is keystead.recovery's.

    journal = rim.keeping.open_journal(limit, age)
    journal.append(when, properties, payload)       on return it survives a power cut
    journal.peek(now)                               (when, properties, payload, number) or None
    journal.done(number)                            after the PUBACK
    journal.count, journal.dropped, journal.written

A number is never given twice, not even after the flash was erased: the first is drawn by lot.
Whoever receives a message again, after a power cut, knows it by its number.

A record, little-endian:

    offset  bytes  field
    0       2      length of the whole record
    2       2      length of the properties
    4       4      when, Unix seconds, 0 for unknown
    8       4      number: 1 more than the record's before
    12      4      CRC-32 of all but itself, begun with the layout's version, 1
    16      ...    properties, payload

On LittleFS an appended byte costs a block: the file's last one is copied to a new one. A file of
up to 128 bytes costs none, it lies in the directory's log. So records are staged first, each in
as many cells of 128 bytes as it needs. When the cells are full, or a record is long, all of them
go into a segment, which is written once and removed when all in it were sent or dropped.

    name           file
    -1 ... -32     the cells, written over and over; void are records that a segment has too
    -33, -34       the state, written in turn; the higher one that is whole counts: oldest number
                   not yet sent, dropped, written, 4 bytes each, and their CRC-32
    1 and up       a segment: records one after the other, the first has this number or a higher
"""

import struct
from binascii import crc32

from keystead.failure import Failure

VERSION = 1
CELLS = 32
CELL = 128  # bytes that LittleFS keeps in a directory, as MicroPython mounts it
STATES = (-33, -34)
STATE = "<III"
HEAD = 16
SUM = 12  # where the CRC-32 is, in a record and in the state

_RECORD = "<HHII"
_MOST = 8  # cells of one record: more cost as much as a block of its own
_BLOCK = 4096  # bytes, of which flash is used up
_BATCH = 16  # messages that are sent again at most, when power fails


class Storage:
    """What a journal is kept in: files named by numbers. All raise Failure journal-failed."""

    def segments(self) -> list[tuple[int, int]]:
        """Return name and size of every file with a name above 0; any iterable will do."""
        raise NotImplementedError

    def read(self, name: int, at: int, size: int) -> bytes:
        """Return size bytes of a file, fewer at its end; none where there is no such file."""
        raise NotImplementedError

    def write(self, name: int, parts: object) -> int:
        """Make or replace a file, of an iterable of bytes; return how many were written.

        On return it survives a power cut.
        """
        raise NotImplementedError

    def remove(self, name: int) -> None:
        """Remove a file."""
        raise NotImplementedError


class Journal:
    """A bounded ring of messages. Its heap does not grow with them: it holds a few numbers."""

    _oldest: int
    _taken: int

    def __init__(
        self,
        storage: Storage,
        limit: int,
        age: int,
        found: tuple[int, int, int, int, int, int, int],
    ):
        """Go on with what keystead.recovery found. Raises Failure.

        limit: bytes of flash in whole blocks, from 16 KiB; age: seconds after which a message is
        dropped, 0 for never.
        """
        self._storage = storage
        self._limit = limit // _BLOCK * _BLOCK - _BLOCK  # the cells take one
        self._age = age
        # sent < floor <= in segments < edge <= staged < next; cell: the next free one
        self._floor, self._edge, self._next, self._cell = found[:4]
        self.dropped, self.written, self._turn = found[4:]
        self._unsaved = 0
        self._look()
        self._save()

    @property
    def count(self) -> int:
        """Return how many messages wait."""
        return self._next - self._floor

    def append(self, when: int, properties: bytes, payload: bytes) -> None:
        """Keep a message; on return it survives a power cut. Raises Failure journal-failed."""
        size = HEAD + len(properties) + len(payload)
        if size > min(0xFFFF, self._limit - _BLOCK):
            raise Failure("journal-failed", "a message of %d bytes" % size)
        head = struct.pack(_RECORD, size, len(properties), when, self._next)
        head += struct.pack("<I", crc32(payload, crc32(properties, crc32(head, VERSION))))
        if not self.count:
            self._cell = self._at = 0
        cells = _cells(size)
        if cells > min(_MOST, CELLS - self._cell):
            self._settle(size, (head, properties, payload))
        else:
            record = head + properties + payload
            for start in range(0, size, CELL):
                self._write(-1 - self._cell - start // CELL, (record[start : start + CELL],))
            self._cell += cells
        self._next += 1

    def peek(self, now: int = 0) -> "tuple[int, bytes, bytes, int] | None":
        """Return (when, properties, payload, number) of the oldest message, None for none.

        now: Unix seconds, 0 while they are in doubt: then none is too old. Raises Failure.
        """
        while self.count:
            found = find(self._storage, self._cell, self._oldest, self._at, self._floor)
            if not found:
                if self._oldest:
                    self._discard()
                else:
                    self._drop_to(self._next)
                continue
            number, record, self._ahead = found
            if number > self._floor:  # what is between was damaged
                self._drop_to(number)
            _, size, when, _ = struct.unpack(_RECORD, record[:SUM])
            if not (self._age and now and when and now - when > self._age):
                size += HEAD
                return when, record[HEAD:size], record[size:], number
            self._at = self._ahead
            self._drop_to(number + 1)
        return None

    def done(self, number: int) -> None:
        """Forget the message that peek() returned last. Raises Failure."""
        if number >= self._floor:  # else it was dropped meanwhile
            self._at = self._ahead
            self._pass_to(number + 1)

    def _drop_to(self, number: int) -> None:
        self.dropped += number - self._floor
        self._pass_to(number)

    def _pass_to(self, number: int) -> None:
        self._floor = number
        self._unsaved += 1
        if self._unsaved >= _BATCH or not self.count:
            self._save()

    def _settle(self, size: int, record: tuple[bytes, bytes, bytes]) -> None:
        """Write what is staged, and one more record, into a segment."""
        size += self._cell * CELL
        while self._taken + size > self._limit:
            self._discard()
            self._drop_to(max(self._floor, self._oldest or self._edge))
        self._save()  # what is in no file any more was sent, not lost
        first = max(self._edge, self._floor)
        self._taken += _blocks(self._write(first, self._staged(first, record)))
        if not self._oldest:
            self._oldest = first
            self._at = self._ahead = 0
        self._cell = 0
        self._edge = self._next + 1

    def _staged(self, number: int, record: tuple[bytes, bytes, bytes]) -> object:
        at = 0
        while True:
            found = find(self._storage, self._cell, 0, at, number)
            if not found:
                break
            number, staged, at = found
            yield staged
        for part in record:
            yield part

    def _discard(self) -> None:
        """Remove the oldest segment."""
        self._save()
        self._storage.remove(self._oldest)
        self._look()

    def _look(self) -> None:
        """Find the oldest segment, 0 for none, and what all take of the flash."""
        self._oldest = self._taken = 0
        self._at = self._ahead = 0  # where the oldest message is, or before it
        for name, size in self._storage.segments():
            self._taken += _blocks(size)
            if not self._oldest or name < self._oldest:
                self._oldest = name

    def _save(self) -> None:
        state = struct.pack(STATE, self._floor, self.dropped, self.written)
        try:
            self._write(self._turn, (state, struct.pack("<I", crc32(state, VERSION))))
        except Failure:  # a full file system must not keep messages from leaving it
            return
        self._turn = sum(STATES) - self._turn
        self._unsaved = 0  # steps since

    def _write(self, name: int, parts: object) -> int:
        size = self._storage.write(name, parts)
        self.written += size
        return size


def find(
    storage: Storage, cells: int, segment: int, at: int, lowest: int
) -> "tuple[int, bytes, int] | None":
    """Return number, record and end of the first whole one with a number from lowest on.

    segment: 0 for the cells, which are so many.
    """
    while segment or at < cells * CELL:
        record = _read(storage, segment, at, 4 * CELL if segment else CELL)
        size = number = 0
        if len(record) >= HEAD:
            size, _, _, number = struct.unpack(_RECORD, record[:SUM])
        if number >= lowest:
            record = record[:size] if size <= len(record) else _read(storage, segment, at, size)
            if len(record) == size and is_whole(record, HEAD):
                return number, record, at + (size if segment else _cells(size) * CELL)
        if not segment:
            at += CELL
        elif size < HEAD:  # its end, or damage that hides where the next one begins
            break
        else:
            at += size
    return None


def _read(storage: Storage, segment: int, at: int, size: int) -> bytes:
    if segment:
        return storage.read(segment, at, size)
    first = -1 - at // CELL
    names = range(first, first - min(_cells(size), _MOST), -1)
    return b"".join([storage.read(name, 0, CELL) for name in names])


def _cells(size: int) -> int:
    return (size + CELL - 1) // CELL


def _blocks(size: int) -> int:
    return (size + _BLOCK - 1) // _BLOCK * _BLOCK


def is_whole(blob: bytes, head: int) -> bool:
    """Tell whether the CRC-32 before offset head is that of all the rest."""
    if len(blob) < head:
        return False
    view = memoryview(blob)
    checked = crc32(view[head:], crc32(view[:SUM], VERSION))
    return bool(struct.unpack("<I", view[SUM:head])[0] == checked)
