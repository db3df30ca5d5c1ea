"""The host's half of the raw REPL, against the board's half and against boards that misbehave."""

import hashlib
import random
from collections.abc import Iterator

import pytest
import serial  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from host_tools.repl import LineLost, NoAnswer, Raised, Repl, ReplError
from host_tools.repl.reader import Reader
from host_tools.virtual_board.farm import VirtualBoard
from tests.board.repl_bench import repl_of, running

NOISE = random.Random(5).randbytes(9000)
BANNER = b"raw REPL; CTRL-B to exit\r\n>"


@pytest.fixture(scope="module")
def board() -> Iterator[VirtualBoard]:
    with running() as board:
        yield board


@pytest.fixture(params=[True, False], ids=["raw paste", "without"])
def repl(board: VirtualBoard, request: pytest.FixtureRequest) -> Iterator[Repl]:
    with repl_of(board) as repl:
        repl._pastes = request.param
        yield repl


def test_what_is_printed_comes_back(repl: Repl) -> None:
    assert repl.exec("print('one')\nprint('t\u00e4st \u2713')") == "one\nt\u00e4st \u2713\n"
    assert repl.exec("pass") == ""
    assert repl.evaluate("{'a': (1, None)}, b'\\x04\\x00'") == ({"a": (1, None)}, b"\x04\x00")


def test_long_code_arrives_whole(repl: Repl) -> None:
    code = "".join(f"x{i} = {i}\n" for i in range(300))
    assert repl.exec(code + "print(sum((x0, x255, x299)))") == "554\n"


def test_names_stay_from_call_to_call_until_the_reset(repl: Repl) -> None:
    repl.exec("kept = 5")
    assert repl.evaluate("kept") == 5
    repl.soft_reset()
    with pytest.raises(Raised, match="NameError: name 'kept' isn't defined"):
        repl.evaluate("kept")


def test_an_exception_has_its_traceback(repl: Repl) -> None:
    with pytest.raises(Raised) as raised:
        repl.exec("def f():\n    1 / 0\nf()")
    assert raised.value.traceback == [
        "Traceback (most recent call last):",
        '  File "<stdin>", line 3, in <module>',
        '  File "<stdin>", line 2, in f',
        "ZeroDivisionError: divide by zero",
    ]
    with pytest.raises(Raised, match="SyntaxError: invalid syntax"):
        repl.exec("not; python")
    assert repl.evaluate("1") == 1


def test_files_go_both_ways(repl: Repl) -> None:
    moved: list[int] = []
    repl.put("/noise", NOISE, moved.append)
    assert sum(moved) == len(NOISE)
    assert repl.hash("/noise") == hashlib.sha256(NOISE).hexdigest()
    assert repl.get("/noise") == NOISE
    repl.put("/noise", b"")
    assert repl.get("/noise") == b""
    repl.exec("import os; os.remove('/noise')")
    with pytest.raises(Raised, match=r"OSError: \[Errno 2\] ENOENT"):
        repl.get("/noise")


def test_a_listing_has_all_and_other_disks_not(repl: Repl) -> None:
    repl.exec("import os, vfs\nfor name in ('/a', '/a/b', '/a/e'): os.mkdir(name)")
    repl.put("/a/b/caf\u00e9 'x'", b"12345")
    repl.exec("""
class Ram:
    data = bytearray(16 * 512)
    def readblocks(self, block, buffer, offset=0):
        at = block * 512 + offset
        buffer[:] = self.data[at : at + len(buffer)]
    def writeblocks(self, block, buffer, offset=0):
        at = block * 512 + offset
        self.data[at : at + len(buffer)] = buffer
    def ioctl(self, request, argument):
        return 16 if request == 4 else 512 if request == 5 else 0
vfs.VfsLfs2.mkfs(Ram())
vfs.mount(vfs.VfsLfs2(Ram()), "/sd")
open("/sd/other", "w").close()
""")
    found = {(entry.path, entry.is_folder, entry.size) for entry in repl.listing()}
    assert found - {("/boot.py", False, 139)} == {
        ("/a", True, 0), ("/a/b", True, 0), ("/a/e", True, 0), ("/a/b/caf\u00e9 'x'", False, 5),
    }  # fmt: skip
    repl.exec("vfs.umount('/sd')\nos.remove(\"/a/b/caf\u00e9 'x'\")")
    repl.exec("for name in ('/a/b', '/a/e', '/a'): os.rmdir(name)")


def test_code_that_does_not_end_is_given_up_and_can_be_stopped(repl: Repl) -> None:
    with pytest.raises(NoAnswer, match="no end of what the code prints in time"):
        repl.exec("import time\nwhile True: time.sleep(1)", timeout=0.2)
    repl.enter(60)
    assert repl.evaluate("1") == 1
    with pytest.raises(NoAnswer):
        repl.exec("while True: print('on and on')", timeout=0.3)
    repl.enter(60)
    assert repl.evaluate("2") == 2


def test_what_is_no_value_is_refused(repl: Repl) -> None:
    with pytest.raises(ReplError, match="not a plain value: <module"):
        repl.evaluate("__import__('os')")


def test_raw_paste_can_be_broken_off(board: VirtualBoard) -> None:
    with repl_of(board) as repl:
        repl._send(b"\x05A\x01")
        assert repl._reader.exactly(5, float("inf"), "head") == b"R\x01\x80\x00\x01"
        repl._send(b"print('never run')\x03")
        told = repl._reader.until(b"\x04>", float("inf"), "end")
        assert told.startswith(b"\x04\x04")
        assert b"KeyboardInterrupt" in told
        repl._send(b"\x05B\x01")
        assert repl._reader.exactly(3, float("inf"), "refusal") == b"R\x00>"
        assert repl.evaluate("1") == 1


class Scripted:
    """A line whose other end answers what it was told to, piece by piece."""

    def __init__(self, *answers: bytes, error: Exception | None = None) -> None:
        self.timeout: float | None = None
        self.sent = b""
        self._answers = list(answers)
        self._error = error

    @property
    def in_waiting(self) -> int:
        return len(self._answers[0]) if self._answers else 0

    def read(self, size: int = 1) -> bytes:
        if not self._answers:
            if self._error:
                raise self._error
            return b""
        data, self._answers[0] = self._answers[0][:size], self._answers[0][size:]
        if not self._answers[0]:
            del self._answers[0]
        return data

    def write(self, data: bytes) -> int:
        self.sent += data
        return len(data)


class Flow(Scripted):
    """A board that takes raw paste, as slowly as chance has it."""

    def __init__(self, window: int, source: int, chance: random.Random) -> None:
        super().__init__(b"R\x01" + window.to_bytes(2, "little") + b"\x01" * chance.randrange(3))
        self.room = window * (1 + self._answers[0][4:].count(b"\x01"))
        self._window, self._left, self._chance = window, source, chance

    @property
    def in_waiting(self) -> int:
        if not self._answers and self._chance.random() < 0.5:
            self._grant()
        return super().in_waiting

    def read(self, size: int = 1) -> bytes:
        if not self._answers:
            self._grant()
        return super().read(size)

    def _grant(self) -> None:
        if self._left > 0:
            self._answers.append(b"\x01")
            self.room += self._window
        else:
            self._answers.append(b"\x04")

    def write(self, data: bytes) -> int:
        if data not in (b"\x05A\x01", b"\x04"):
            assert len(data) <= self.room, "more than the board has room for"
            self.room -= len(data)
            self._left -= len(data)
        return super().write(data)


@given(st.integers(1, 300), st.integers(0, 2000), st.randoms(use_true_random=False))
def test_raw_paste_never_sends_more_than_there_is_room_for(window, size, chance) -> None:
    code = "x" * size
    line = Flow(window, size, chance)
    Repl(line).start(code)
    assert line.sent == b"\x05A\x01" + code.encode() + b"\x04"


@given(st.binary(max_size=80), st.lists(st.integers(1, 9)))
def test_it_does_not_matter_how_what_a_board_sends_is_cut(data, sizes) -> None:
    whole = data.replace(b"\x04", b"") + b"\x04rest"
    pieces, at = [], 0
    for size in [*sizes, len(whole)]:
        pieces += [whole[at : at + size]] if whole[at : at + size] else []
        at += size
    reader = Reader(Scripted(*pieces))
    assert reader.until(b"\x04", float("inf"), "end") == whole[:-5]
    assert reader.exactly(4, float("inf"), "rest") == b"rest"


@given(st.binary(max_size=60))
def test_whatever_a_board_sends_the_host_has_an_error_for_it(noise) -> None:
    repl = Repl(Scripted(noise))
    try:
        repl.exec("pass", timeout=0.001)
    except ReplError as error:
        assert "\n" not in str(error)


def test_a_board_that_knows_no_raw_paste_gets_the_code_without() -> None:
    line = Scripted(b"ra", b"w REPL; CTRL-B to exit\r\n>", b"OK", b"1\r\n\x04", b"\x04>")
    repl = Repl(line)
    assert repl.exec("print(1)") == "1\n"
    assert line.sent == b"\x05A\x01print(1)\x04"


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ((b"R\x01\x08\x00", b"\x04"), "it broke off raw paste"),
        ((b"R\x00", b"NO"), "it said b'NO'"),
    ],
)
def test_a_board_that_does_not_take_the_code_is_told_of(answers, said) -> None:
    with pytest.raises(ReplError, match=said):
        Repl(Scripted(*answers)).exec("x" * 300, timeout=1)


class Printing(Repl):
    """A board that prints this, whatever it is asked."""

    def __init__(self, printed: str) -> None:
        super().__init__(Scripted())
        self._printed = printed

    def exec(self, code: str, timeout: float = 10) -> str:
        return self._printed


@pytest.mark.parametrize(
    "printed",
    [
        "{[]: 1}",
        "(" * 5000,
        "-" * 200_000 + "1",
        "9" * 10_000,
        "\x1b]0;owned\x07\x1b[2J",
        "\ud800",
    ],
    ids=["unhashable", "deep", "signs", "digits", "escapes", "surrogate"],
)
def test_no_answer_ends_in_anything_but_an_error_that_can_be_shown(printed: str) -> None:
    with pytest.raises(ReplError, match="not a plain value") as told:
        Printing(printed).evaluate("1")
    assert str(told.value).isprintable()
    with pytest.raises(ReplError, match="list of / is garbled"):
        Printing(printed).listing()


@pytest.mark.parametrize(
    "row", ["'/a', False, 1e999", "'/a', False, -1", r"'/\ud800', False, 1", "'a', False, 1", "1"]
)
def test_a_listing_has_only_files_that_can_be(row: str) -> None:
    with pytest.raises(ReplError, match="list of / is garbled"):
        Printing(f"[({row}),]").listing()


def test_a_file_is_not_read_beyond_the_size_it_has() -> None:
    with pytest.raises(ReplError, match="the board sent /a garbled"):
        Printing("QUJD").get("/a", size=10)
    with pytest.raises(ReplError, match="the board sent /a garbled"):
        Printing("A" * 40_000).get("/a")


def test_what_comes_without_end_takes_no_more_than_a_mebibyte() -> None:
    class Flood(Scripted):
        in_waiting = 1 << 16

        def read(self, size: int = 1) -> bytes:
            return b"x" * size

    repl = Repl(Flood())
    repl._reader.clear()
    assert repl.line(float("inf")) is None
    assert len(repl._reader._held) == 0


def test_a_port_that_goes_is_told_of() -> None:
    repl = Repl(Scripted(error=serial.SerialException("device reports readiness to read but ...")))
    with pytest.raises(LineLost, match="the line to the board broke: device reports"):
        repl.exec("pass")


class Late(Scripted):
    """A board that is slow: the first Ctrl-A gets its banner when something follows the second."""

    def __init__(self) -> None:
        super().__init__()
        self._late: list[bytes] = []

    def write(self, data: bytes) -> int:
        super().write(data)
        self._answers += self._late
        self._late = []
        if data == b"\r\x01" and self.sent.count(data) == 2:
            self._answers, self._late = [BANNER], [BANNER]
        elif data.startswith(b"print('"):
            self._answers += [b"OK", data[len("print('") : -len("')\x04")], b"\r\n\x04\x04>"]
        elif data == b"\x05A\x01":
            self._answers += [b"R\x01\x80\0\x01"]
        elif data == b"\x04":
            self._answers += [b"\x04", b"5\r\n\x04", b"\x04>"]
        return len(data)


def test_a_banner_that_was_asked_for_before_is_no_answer_to_what_comes_after() -> None:
    repl = Repl(Late())
    repl.enter(60)
    assert repl.exec("look()") == "5\n"


def test_what_is_no_repl_is_told_of_with_its_last_words() -> None:
    line = Scripted(*[b"invalid header: 0xffffffff\r\n"] * 3)
    with pytest.raises(NoAnswer, match="is MicroPython on the board"):
        Repl(line).enter(timeout=0.01)
