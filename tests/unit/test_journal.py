"""The journal on files that a power cut leaves half written, at every byte there is.

LittleFS finishes a file or leaves it as it was (tests/rim); other file systems promise less, and
the journal asks no more of them than this: bytes arrive in order.
"""

from collections.abc import Iterable
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from keystead.journal import Journal, Storage
from keystead.recovery import recover

FIRST = 7
LIMIT = 16384
BLOCK = 4096


class PowerCut(Exception):
    """The board is off."""


class Files(Storage):
    """Files in a dict. After so many bytes the power fails; removing a file counts as one."""

    def __init__(self) -> None:
        self.files: dict[int, bytes] = {}
        self.power: int | None = None

    def segments(self) -> list[tuple[int, int]]:
        return [(name, len(blob)) for name, blob in self.files.items() if name > 0]

    def read(self, name: int, at: int, size: int) -> bytes:
        return self.files.get(name, b"")[at : at + size]

    def write(self, name: int, parts: Iterable[bytes]) -> int:
        blob = b"".join(parts)
        if self.power is not None and self.power < len(blob):
            self.files[name] = blob[: self.power]
            self.power = 0
            raise PowerCut
        self._use(len(blob))
        self.files[name] = blob
        return len(blob)

    def remove(self, name: int) -> None:
        self._use(1)
        del self.files[name]

    def _use(self, power: int) -> None:
        if self.power is not None:
            if self.power < power:
                raise PowerCut
            self.power -= power


def start(files: Files, limit: int = LIMIT) -> Journal:
    return Journal(files, limit, 0, recover(files, FIRST))


sizes = st.one_of(st.integers(0, 120), st.integers(0, 300), st.integers(0, 6000))


class Board(RuleBasedStateMachine):
    """An application that notes what it was promised, and a board that may lose its power."""

    def __init__(self) -> None:
        super().__init__()
        self.files = Files()
        self.journal = start(self.files)
        self.said: list[bytes] = []  # message FIRST + index, as append() took it
        self.sent: set[int] = set()
        self.attempted: bytes | None = None  # the append() in which the power failed

    def number(self) -> int:
        return FIRST + len(self.said)

    @rule(size=sizes, tag=st.integers(0, 255))
    def append(self, size: int, tag: int) -> None:
        payload = bytes([tag]) * size
        self.attempted = payload
        self.journal.append(self.number(), b"%d" % tag, payload)
        self.attempted = None
        self.said.append(payload)

    @rule(times=st.integers(1, 40), size=st.integers(0, 200))
    def append_many(self, times: int, size: int) -> None:
        for tag in range(times):
            self.append(size, tag)

    @rule(times=st.integers(1, 40))
    def send(self, times: int) -> None:
        for _ in range(times):
            number = self.look()
            if number is None:
                break
            self.journal.done(number)
            self.sent.add(number)

    def look(self) -> int | None:
        found = self.journal.peek()
        if found is None:
            assert self.journal.count == 0
            return None
        when, properties, payload, number = found
        assert when == number
        assert payload == self.said[number - FIRST]
        assert not payload or properties == b"%d" % payload[0]
        return number

    @rule()
    def restart(self) -> None:
        before = self.journal
        self.back_on()
        assert self.journal.dropped == before.dropped

    @rule(power=st.integers(0, 9000), size=sizes)
    def cut_in_append(self, power: int, size: int) -> None:
        self.files.power = power
        try:
            self.append(size, size % 256)
        except PowerCut:
            self.back_on()
        self.files.power = None

    @rule(power=st.integers(0, 60), times=st.integers(1, 60))
    def cut_in_sending(self, power: int, times: int) -> None:
        self.files.power = power
        number = None
        try:
            for _ in range(times):
                number = self.look()
                if number is None:
                    break
                self.sent.add(number)
                self.journal.done(number)
        except PowerCut:
            self.back_on()
        self.files.power = None

    @rule(power=st.integers(0, 40))
    def cut_in_starting(self, power: int) -> None:
        self.files.power = power
        with suppress(PowerCut):
            start(self.files)
        self.back_on()

    def back_on(self) -> None:
        """Start again: all that was promised is there, and little that was sent already."""
        before = self.journal
        self.files.power = None
        self.journal = start(self.files)
        self.settle_attempt()
        first = self.look() or self.number()
        assert before._floor - 16 <= first <= before._floor
        self.sent = {number for number in self.sent if number < first}

    def settle_attempt(self) -> None:
        """An append() that was never finished may be there or not."""
        if self.journal._next == self.number() + 1 and self.attempted is not None:
            self.said.append(self.attempted)
        self.attempted = None
        assert self.journal._next == self.number()

    @invariant()
    def the_limit_holds(self) -> None:
        files = self.files.files
        used = sum(-(-len(blob) // BLOCK) * BLOCK for name, blob in files.items() if name > 0)
        assert used <= LIMIT - BLOCK
        assert sum(len(blob) for name, blob in files.items() if -33 < name < 0) <= BLOCK

    @precondition(lambda self: self.journal.count == 0)
    @invariant()
    def what_was_not_sent_was_dropped_and_counted(self) -> None:
        assert self.journal.dropped == len(self.said) - len(self.sent)


TestBoard = Board.TestCase
TestBoard.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_power_cut_while_starting_costs_nothing_that_was_saved() -> None:
    files = Files()
    journal = start(files)
    for number in range(60):
        journal.append(number, b"", b"x" * 100)
    while found := journal.peek():
        if not files.segments():
            break
        journal.done(found[3])  # the segment is removed after its last
    saved = start(files).peek()
    for power in range(16):
        files.power = power
        with suppress(PowerCut):
            start(files)
        files.power = None
        journal = start(files)
        assert (journal.peek(), journal.dropped) == (saved, 0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), max_size=12), sizes)
def test_damage_costs_messages_but_invents_none_and_stops_nothing(
    flips: list[tuple[int, int]], size: int
) -> None:
    files = Files()
    journal = start(files, 65536)
    for number in range(50):
        journal.append(number, b"", bytes([number]) * (size % 250))
    names = sorted(files.files)
    for place, bits in flips:
        name = names[place % len(names)]
        blob = bytearray(files.files[name])
        blob[place % len(blob)] ^= bits
        files.files[name] = bytes(blob)
    journal = start(files, 65536)
    numbers: list[int] = []
    while found := journal.peek():
        when, _, payload, number = found
        assert payload == bytes([when]) * (size % 250)
        assert when == number - FIRST
        assert numbers == [] or number > numbers[-1]
        numbers.append(number)
        journal.done(number)
    assert journal.count == 0
    assert flips or len(numbers) == 50
    journal.append(1, b"", b"on it goes")
    found = start(files, 65536).peek()
    assert found is not None
    assert found[:3] == (1, b"", b"on it goes")
