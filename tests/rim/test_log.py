"""The log: what it prints, and which lines are still there after a reset."""

from pathlib import Path

import pytest

from host_tools.virtual_board.unix_board import UnixBoard
from tests.rim.scripts import MAC, printed

LAST = "from rim.log import log\nfor line in log.lines(%d): print(line)"
POWER_ON, RESET, WATCHDOG = 1, 2, 3


@pytest.fixture(params=[64, 32])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> UnixBoard:
    return UnixBoard(tmp_path, MAC, request.param)


def texts(lines: list[str]) -> list[str]:
    """Without the seconds."""
    return [line.partition("] ")[2] if line.startswith("[") else line for line in lines]


def test_a_line_begins_with_the_seconds_since_the_start(board: UnixBoard) -> None:
    [line] = printed(board, "from rim.log import log\nlog('hello')")
    assert line.startswith("[   0.0")
    assert line.endswith("] hello")


def test_seconds_go_on_where_ticks_wrap(tmp_path: Path) -> None:
    board = UnixBoard(tmp_path, MAC, 32)  # whose ticks wrap where an ESP32's do
    script = """
import time
ticks = time.ticks_ms()
time.ticks_ms = lambda: ticks & 0x3FFFFFFF
from rim.log import log
for hours in range(1, 1001):
    ticks += 3600_000
    assert log.uptime() == hours * 3600
log("late")
ticks += 500_000_000
before = log.uptime()
ticks += 800_000_000
print(log.uptime() - before, before - 3600000)
"""
    # longer than ticks can tell: counted short, never backwards
    assert printed(board, script) == ["[3600000.00] late", "0 500000"]


def test_lines_below_the_level_are_neither_printed_nor_kept(board: UnixBoard) -> None:
    script = """
from rim.log import DEBUG, ERROR, INFO, WARNING, log
log('fine', DEBUG)
log.level = WARNING
log('usual')
log('odd', WARNING)
log('bad', ERROR)
log.level = DEBUG
log('fine again', DEBUG)
"""
    lines = printed(board, script + LAST.partition("\n")[2] % 9)
    assert texts(lines) == ["odd", "bad", "fine again"] * 2


def test_the_last_lines_are_there_after_a_reset_behind_a_mark(board: UnixBoard) -> None:
    printed(board, "from rim.log import log\nfor n in range(3): log('line %d' % n)")
    lines = printed(board, LAST % 9, WATCHDOG)
    assert texts(lines) == ["line 0", "line 1", "line 2", "--- reset 3 ---"]
    lines = printed(board, LAST.replace("\n", "\nlog('new')\n", 1) % 4, RESET)
    assert texts(lines)[1:] == ["line 2", "--- reset 3 ---", "--- reset 2 ---", "new"]


def test_losing_power_loses_the_lines(board: UnixBoard) -> None:
    printed(board, "from rim.log import log\nlog('gone')")
    assert printed(board, LAST % 9, POWER_ON) == []


def test_the_newest_lines_stay_whole_however_many_come(board: UnixBoard) -> None:
    script = """
import gc
from rim.log import log
for n in range(500):
    log("%d %s" % (n, "x" * (n * 7 % 90)))
    lines = log.lines(99)
    assert 0 < len(lines) and sum(map(len, lines)) < 1024
    for back, line in enumerate(reversed(lines)):
        assert line.endswith("] %d %s" % (n - back, "x" * ((n - back) * 7 % 90))), line
    assert log.lines(2) == lines[-2:]
"""
    lines = printed(board, script)
    assert len(lines) == 500
    assert lines[-1].startswith("[")
    kept = printed(board, LAST % 99, RESET)
    assert kept[:-1] == lines[-len(kept) + 1 :]


def test_what_is_kept_can_be_shown_and_is_not_longer_than_a_line(board: UnixBoard) -> None:
    script = (
        "from rim.log import log\n"
        r"log('\x1b[2J\r\n\0 \u20ac' + 'y' * 500)"
        "\nlines = log.lines(9)\nprint(lines[0].split('] ')[1][:16], len(lines), len(lines[0]))"
    )
    *_, shown = printed(board, script)
    assert shown == ".[2J... ...yyyyy 1 242"


@pytest.mark.parametrize("left", [
    "b''", "bytes(1024)", "b'a' * 1024", "b'a' * 700", "b'\\xff' * 1024", "b'\\xff\\0' * 512",
    "b'\\n' * 1023 + b'\\0'",
])  # fmt: skip
def test_whatever_stands_in_the_memory_the_log_works(left: str, tmp_path: Path) -> None:
    board = UnixBoard(tmp_path, MAC, 32)
    script = f"import machine\nmachine.RTC().memory({left})\nfrom rim.log import log\nlog('new')\n"
    lines = printed(board, script + "print(log.lines(1)[0][-3:])")
    assert lines[-1] == "new"


def test_a_port_without_such_memory_keeps_lines_until_the_reset(board: UnixBoard) -> None:
    script = """
import machine
class Bare: pass
machine.RTC = Bare
from rim.log import log
log("one")
print(len(log.lines(5)))
"""
    assert texts(printed(board, script)) == ["one", "1"]


def test_a_line_leaves_little_garbage(board: UnixBoard) -> None:
    script = """
import gc, machine
class RTC:
    def memory(self, data=None): return b""
machine.RTC = RTC
from rim.log import log
gc.collect()
gc.disable()
before = gc.mem_alloc()
for _ in range(10): log("hub: connected")
print((gc.mem_alloc() - before) // 10 < %d)
"""
    *_, little = printed(board, script % (1000 if board.bits == 64 else 500))
    assert little == "True"
