"""Recovery: what a journal finds on flash at power-on.

Owns nothing: the layout is keystead.journal's. Needed once, then it leaves the heap.
"""

import struct

from keystead.journal import CELL, CELLS, HEAD, STATE, STATES, SUM, Storage, find, is_whole


def recover(storage: Storage, first: int) -> tuple[int, int, int, int, int, int, int]:
    """Return (floor, edge, next, cell, dropped, written, turn) for a Journal. Raises Failure.

    first: the number to begin with where there is nothing, from 1.
    """
    floor, dropped, written, turn = _state(storage)
    oldest, last = _segments(storage)
    edge = max(floor, last + 1)
    staged, end = _last(storage, 0, edge)
    number = max(edge, staged + 1)
    if not floor:  # nothing was here, or the state is damaged
        found = find(storage, CELLS, 0, 0, 1)
        floor = oldest or (found[0] if found else first)
        edge, number = max(edge, floor), max(number, floor)
    return floor, edge, number, end // CELL, dropped, written, turn


def _state(storage: Storage) -> tuple[int, int, int, int]:
    best = 0, 0, 0
    turn = STATES[0]
    for name in STATES:
        blob = storage.read(name, 0, HEAD)
        if is_whole(blob, HEAD):
            values = struct.unpack(STATE, blob[:SUM])
            if values > best:
                best = values
                turn = sum(STATES) - name
    return best + (turn,)  # noqa: RUF005


def _segments(storage: Storage) -> tuple[int, int]:
    """Return name of the oldest segment and last number of the newest, 0, 0 for none."""
    while True:
        oldest = newest = 0
        for name, _ in storage.segments():
            newest = max(newest, name)
            oldest = min(oldest or name, name)
        last = _last(storage, newest, 0)[0] if newest else 0
        if last or not newest:
            return oldest, last
        storage.remove(newest)  # nothing in it is whole


def _last(storage: Storage, segment: int, lowest: int) -> tuple[int, int]:
    """Return number and end of the last whole record, 0, 0 for none."""
    last = end = at = 0
    while True:
        found = find(storage, CELLS, segment, at, lowest)
        if not found:
            return last, end
        last, _, at = found
        end = at
        lowest = last + 1
