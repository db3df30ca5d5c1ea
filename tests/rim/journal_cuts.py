# A power cut at every single write to a flash chip, under the journal on MicroPython's LittleFS.
#
# One run notes what was done to the chip, and after how much of it an append() or done() had
# returned. Then the chip is taken back to every moment in turn, the write of that moment left out
# or half done, and a board that starts from there must find all it was promised.
import random
import sys

from flash_chip import BLOCK, Chip, use

from rim.keeping import open_journal

LIMIT = 16384
BLOCKS = 48


def payload(number):
    """Return what a message of this number holds: its length varies, all of it is checked."""
    random.seed(number)
    size = random.choice((0, 40, 40, 90, 90, 200, 200, 500, 1300))
    return bytes([random.getrandbits(8)]) * size


def run(chip, events, steps):
    """Use a journal; return its first number, what was done when, what was sent, and dropped."""
    journal = open_journal(LIMIT, 0)
    first = journal._next
    said = [(len(events), first, first, frozenset())]  # events, next number, oldest, what was sent
    sent = set()
    choose = 0
    for step in range(steps):
        choose = (choose * 5 + 3 + step) % 16
        # at first more comes than goes, so that the oldest are dropped; then all of it goes
        if choose < (13 if step < steps // 2 else 6):
            number = journal._next - first
            journal.append(number, b"p=%d" % number, payload(number))
        else:
            oldest = journal.peek()
            if oldest:
                journal.done(oldest[3])
                sent.add(oldest[3])
        if step % 50 == 49:  # as after a power cut: what was sent last waits again
            journal = open_journal(LIMIT, 0)
            sent = {number for number in sent if number < journal._floor}
        assert journal.count + journal.dropped + len(sent) == journal._next - first, step
        said.append((len(events), journal._next, journal._floor, frozenset(sent)))
    return first, said, sent, journal.dropped


def find(first):
    """Start a board and return (numbers it still has, dropped): what they hold is checked."""
    journal = open_journal(LIMIT, 0)
    numbers = []
    while True:
        oldest = journal.peek()
        if oldest is None:
            break
        when, properties, data, number = oldest
        assert numbers == [] or number == numbers[-1] + 1, (numbers, number)
        expected = number - first
        assert (when, properties, data) == (expected, b"p=%d" % expected, payload(expected))
        numbers.append(number)
        journal.done(number)
    assert journal.count == 0
    return numbers, journal.dropped


def torn(event, how):
    """Return what is left of a write that the power failed in."""
    offset, data = event
    if data is None:
        data = b"\xff" * BLOCK
    return offset, data[: len(data) // 2 if how else 0]


events = []
chip = Chip(BLOCKS, events)
use(chip, True)
begin = len(events)
before = bytes(chip.bytes)
first, said, sent, dropped = run(chip, events, int(sys.argv[1]))
print("messages:", said[-1][1] - first, "dropped:", dropped, "sent:", len(sent))

chip = Chip(BLOCKS)
image = bytearray(before)
moment = again = 0
for index in range(begin, len(events)):
    while moment + 1 < len(said) and said[moment + 1][0] <= index:
        moment += 1
    _, following, floor, gone = said[moment]
    for how in (0, 1):
        offset, data = torn(events[index], how)
        chip.bytes[:] = image
        chip.bytes[offset : offset + len(data)] = data
        use(chip, False)
        numbers, lost = find(first)
        if index < said[0][0]:
            continue
        begun = said[min(moment + 1, len(said) - 1)]  # the step in which the power failed
        # what append() promised is there, and of what it did not, one message at most
        kept = numbers[-1] + 1 if numbers else max(floor, begun[2])
        assert kept in (following, begun[1]), (index, how, kept, following)
        # nothing is gone but what was sent or dropped, and few are sent again
        start = numbers[0] if numbers else kept
        assert start <= max(floor, begun[2]), (index, how, start, floor)
        assert start >= floor - 16, (index, how, start, floor)
        again = max(again, floor - start)
        # and dropped counts all that were neither sent nor are there
        known = gone.union(numbers)
        assert lost == kept - first - len(known), (index, how, lost, kept - first, len(known))
    offset, data = events[index]
    data = b"\xff" * BLOCK if data is None else data
    image[offset : offset + len(data)] = data
print("again at most:", again)
print("cuts:", 2 * (len(events) - begin))
