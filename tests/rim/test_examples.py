"""The examples' own parts, on a board whose serial line and pins are in this test's hands."""

import json
import os
import pty
import signal
import subprocess
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from host_tools.virtual_board.unix_board import UnixBoard
from tests.rim.scripts import MAC, printed, words
from tests.unit.test_modbus import framed


@contextmanager
def instrument(
    answer: Callable[[bytes], bytes], answered: Callable[[], None] = lambda: None
) -> Iterator[str]:
    """Lend a serial line at whose end each thing that is sent is answered; give its tty."""
    master, slave = pty.openpty()
    tty.setraw(slave)

    def serve() -> None:
        while not (heard := os.read(master, 1024)).endswith(b"bye"):
            os.write(master, answer(heard))
            answered()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        os.write(slave, b"bye")
        thread.join()
        os.close(master)
        os.close(slave)


@pytest.fixture(params=[64, 32])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> UnixBoard:
    return UnixBoard(tmp_path, MAC, request.param)


# ---- lines of an instrument

LINES = """
from uart_bridge import Lines
lines = Lines()
for data in (%s): print(lines.feed(data), lines.noise)
"""


def test_lines_end_with_cr_lf_or_both_wherever_the_bytes_are_parted(board: UnixBoard) -> None:
    assert printed(board, LINES % r"b'a\rb\nc\r\nd', b'd\r', b'\n', b'', b'\n\n\te\n'") == [
        "['a', 'b', 'c'] 0", "['dd'] 0", "[] 0", "[] 0", r"['\te'] 0",
    ]  # fmt: skip


def test_noise_is_marked_and_counted_and_costs_no_line(board: UnixBoard) -> None:
    assert printed(board, LINES % r"b'+01\xff\x002 kg\r\n', b'+013 kg\r\n', b'\x80\n'") == [
        "['+01??2 kg'] 2", "['+013 kg'] 2", "['?'] 3",
    ]  # fmt: skip


def test_a_line_without_an_end_comes_in_pieces(board: UnixBoard) -> None:
    script = LINES % "b'x' * 450, b'\\n'"
    assert printed(board, script) == [f"{['x' * 200] * 2} 0", f"{['x' * 50]} 0"]


# ---- Modbus

REGISTERS = {(1, 3, 0, 1): b"\x08\xfe", (1, 4, 40, 2): b"\x43\x66\x33\x33"}
READ = """
import json, modbus, time
from modbus_poll import Bus, read
bus = Bus({"baud": 19200, "tx": 17, "rx": 16, "enable": 4})
uart, asked = bus._uart, 0
write, timed = uart.write, uart._poller
def ask(data):
    global asked
    asked += 1
    return write(data)
def silent():
    try:
        with open("../silent") as file: return file.read() == str(asked)
    except OSError:
        return False
class Told:
    def poll(self, wait):
        while not uart.any() and not silent(): time.sleep_ms(1)
uart.write = ask
for item in json.loads('%s'):
    uart._poller = timed if "patience" in item else Told()
    uart.init(19200, timeout=item.get("patience", 500))
    try: print(read(bus, item))
    except modbus.ModbusError as error: print(error)
"""


class Slave:
    """Unit 1 has two registers that can be read; it is deaf, or speaks badly, as it is told.

    A machine that stands still would make late answers of good ones. So the bus waits until an
    answer comes, or until a file says of a question that no more does; but of items that have a
    "patience", so many milliseconds.
    """

    def __init__(self, *moods: str) -> None:
        self.moods = list(moods)
        self.asked = 0
        self._silent = False

    def tell(self, file: Path) -> None:
        """Say whether the answer to the last question was all that comes, and not whole."""
        if self._silent:
            file.write_text(str(self.asked))

    def __call__(self, frame: bytes) -> bytes:
        self.asked += 1
        mood = self.moods.pop(0) if self.moods else ""
        address, count = int.from_bytes(frame[2:4], "big"), int.from_bytes(frame[4:6], "big")
        data = REGISTERS.get((frame[0], frame[1], address, count))
        self._silent = mood in ("deaf", "cut")
        if mood == "deaf" or frame[0] != 1:
            return b""
        if data is None:
            return framed(bytes([1, frame[1] | 0x80, 2]))
        answer = framed(bytes([1, frame[1], len(data)]) + data)
        late = framed(bytes([1, frame[1], len(data)]) + bytes(len(data)))
        moods = {"cut": answer[:4], "noisy": answer[:-1] + b"?", "late": answer + late}
        return moods.get(mood, answer)


def polled(board: UnixBoard, slave: Slave, *items: dict[str, object]) -> list[str]:
    with instrument(slave, lambda: slave.tell(board.folder / "silent")) as line:
        board.uarts = {1: line}
        return printed(board, READ % json.dumps(items))


VOLTAGE = {"unit": 1, "address": 0, "scale": 0.1}
ENERGY = {"unit": 1, "address": 40, "function": 4, "kind": "f32"}


def test_registers_are_polled_and_scaled(board: UnixBoard) -> None:
    lines = polled(board, Slave(), VOLTAGE, ENERGY)
    assert [round(float(line), 3) for line in lines] == [230.2, 230.2]
    # the driver of the line was switched to sending and back, twice
    levels = [line.split()[1:] for line in (board.folder / "nvs/pins").read_text().splitlines()]
    assert levels == [["4", "0"], ["4", "1"], ["4", "0"], ["4", "1"], ["4", "0"]]


@pytest.mark.parametrize("mood", ["deaf", "cut", "noisy", "late"])
def test_one_bad_answer_costs_one_more_question(tmp_path: Path, mood: str) -> None:
    slave = Slave(mood)
    lines = polled(UnixBoard(tmp_path, MAC, 32), slave, VOLTAGE, VOLTAGE)
    assert lines == ["230.2", "230.2"]
    assert slave.asked == (2 if mood == "late" else 3)


def test_a_slave_that_refuses_is_not_asked_again(tmp_path: Path) -> None:
    slave = Slave()
    lines = polled(UnixBoard(tmp_path, MAC, 32), slave, {"unit": 1, "address": 7})
    assert lines == ["illegal address"]
    assert slave.asked == 1


def test_a_slave_that_is_not_there_is_named_and_the_next_one_is_read(tmp_path: Path) -> None:
    absent = {"unit": 9, "address": 0, "patience": 100}
    assert polled(UnixBoard(tmp_path, MAC, 32), Slave(), absent, VOLTAGE) == ["no answer", "230.2"]


# ---- pulses


def test_a_bouncing_contact_counts_once(board: UnixBoard) -> None:
    script = """
from gpio_counter import Counter
counter = Counter(10, 30)
for now in (0, 1, 5, 29, 30, 31, 70, 2**29 + 100, 2**29 + 101): counter.edge(now)
print(counter.count)
"""
    # the last pulse came after so long that the difference in ticks is negative
    assert printed(board, script) == ["14"]


def test_a_count_outlives_the_power_and_a_damaged_file_is_none(board: UnixBoard) -> None:
    script = "import gpio_counter as c\nprint(c.load())\nc.save(c.load() + 1234)\nprint(c.load())"
    assert printed(board, script) == ["0", "1234"]
    assert printed(board, script) == ["1234", "2468"]
    for damage in ("", "[]", "{}", '{"count": null}', '{"count": "x"}'):
        (board.flash / "count.json").write_text(damage)
        assert printed(board, script) == ["0", "1234"]


def test_pulses_at_a_pin_are_counted_while_something_else_runs(board: UnixBoard) -> None:
    script = """
from machine import Pin
from gpio_counter import Counter, watch
counter = Counter(0, 0)
watch(Pin(14, Pin.IN, Pin.PULL_UP), counter)
print("ready")
while counter.count < 3: pass
print(counter.count)
"""
    command, environment = words(board, script)
    with subprocess.Popen(
        command, cwd=board.flash, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        (board.folder / "nvs" / "inputs").write_text("14 0\n14 1\n" * 2 + "15 0\n14 0\n")
        process.send_signal(signal.SIGUSR1)
        assert process.stdout.read() == "3\n"
