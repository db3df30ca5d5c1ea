"""What runs on a virtual board's chip after a normal reset: MicroPython, from the flash file.

Owns the process (the Unix port of MicroPython), its serial line, its Ctrl-C and its soft resets.
The process reads the filesystem in the flash file itself; what it writes there, and its NVS, goes
through the flash chip, so that power may fail at any byte. Doesn't own why a chip starts (chip.py)
nor what stands in for it on the other side (stand_ins/on_flash).
"""

import asyncio
import os
import signal
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

from host_tools.errors import CommandError
from host_tools.images.partitions import SECTOR, Layout
from host_tools.toolchain import micropython
from host_tools.virtual_board import room, start_up
from host_tools.virtual_board.board_setting import BoardSetting
from host_tools.virtual_board.flash_chip import FlashChip, PowerCut
from host_tools.virtual_board.models import (
    DEEP_SLEEP,
    HARD_RESET,
    POWER_ON,
    SOFT_RESET,
    WATCHDOG,
)
from host_tools.virtual_board.nvs_service import NvsService

_QUESTION = struct.Struct("<BxHi")
_ANSWER = struct.Struct("<i")
_INVALID = -22  # EINVAL
_OFF, _STARTING = -1, -2  # in place of the character that interrupts
_PATIENCE = 200  # milliseconds until a program that never waits is interrupted at any point
_PAUSE = 0.5  # seconds between two attempts of a chip to start from a flash that holds nothing
_CRASHED = 1.0  # seconds before a program that died at once is tried again

# what stands in for the chip has room of its own, a chip has it in ROM: bytes; a test measures it
_STAND_INS_HEAP = {32: 29 << 10, 64: 46 << 10}
# sys.implementation: MICROPY_HW_BOARD_NAME with MICROPY_HW_MCU_NAME, board, .mpy architecture
_NAMES = {
    "esp32": ("Generic ESP32 module with ESP32", "ESP32_GENERIC", 10),
    "esp32c3": ("ESP32C3 module with ESP32C3", "ESP32_GENERIC_C3", 11),
    "esp32s3": ("Generic ESP32S3 module with ESP32S3", "ESP32_GENERIC_S3", 10),
}


class Program:
    """A running program; use start().

    output: is given what the serial line sends. ended: is called with why the chip starts next
    (a cause of models.py) when the program ended by itself; soft resets are dealt with here.
    """

    def __init__(
        self,
        setting: BoardSetting,
        flash: FlashChip,
        mac: bytes,
        output: Callable[[bytes], None],
        ended: Callable[[int], None],
    ) -> None:
        self._setting, self._flash, self._mac = setting, flash, mac
        self._output, self._ended = output, ended
        self._loop = asyncio.get_running_loop()
        self._line, self._line_far = socket.socketpair()
        self._silicon, self._silicon_far = socket.socketpair()
        self._line.setblocking(False)
        self._file = os.open(flash.path, os.O_RDONLY)
        self._input = bytearray()  # not yet on its way
        self._asked = bytearray()  # questions that are not whole yet
        self._intr = _STARTING
        self._wanted = False  # an interrupt
        self._raw = False
        self._stopped = False
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls,
        setting: BoardSetting,
        flash: FlashChip,
        mac: bytes,
        cause: int,
        output: Callable[[bytes], None],
        ended: Callable[[int], None],
    ) -> "Program":
        """Start what is in flash, for this cause; a flash that holds nothing says so for ever."""
        program = cls(setting, flash, mac, output, ended)
        try:
            layout = start_up.find(flash, setting.chip)
        except start_up.NothingToRun as nothing:
            program._task = program._loop.create_task(program._complain(str(nothing)))
            return program
        program._nvs = NvsService(flash, layout.nvs)
        program._loop.add_reader(program._line, program._on_output)
        program._loop.add_reader(program._silicon, program._on_question)
        await program._run(layout, cause)
        return program

    async def _complain(self, text: str) -> None:
        while True:
            self._output(text.encode() + b"\r\n")
            await asyncio.sleep(_PAUSE)

    async def _run(self, layout: Layout, cause: int) -> None:
        self._intr = _STARTING
        self._asked.clear()
        place = room.of(self._flash)
        self._describe(place, layout, cause)
        process = await asyncio.create_subprocess_exec(
            *self._command(),
            env=place.environment(),
            stdin=self._line_far,
            stdout=self._line_far,
            stderr=self._line_far,
            pass_fds=(self._silicon_far.fileno(), self._file),
            start_new_session=True,  # Ctrl-C on the bench is not the board's
        )
        self._process = process
        self._task = self._loop.create_task(self._watch(process, layout))

    def _command(self) -> list[str]:
        bits = 64 if micropython.stands_in(self._setting.bits) else self._setting.bits
        size = (heap_size(self._setting.heap) << (bits == 64)) + _STAND_INS_HEAP[bits]
        return [*micropython.interpreter(bits), "-X", f"heapsize={size}", "-c", "import _start"]

    def _describe(self, place: room.Room, layout: Layout, cause: int) -> None:
        name, build, architecture = _NAMES[self._setting.chip]
        chip = {
            "mac": self._mac.hex(), "epoch": 2000, "speed": 1, "cut": 0, "uarts": {}, "ntp": [0],
            "hosts": dict(self._setting.hosts), "world": dict(self._setting.world),
        }  # fmt: skip
        air = {"wifi": dict(self._setting.wifi), "hidden": [], "cable": False, "dns": 1}
        place.tell(chip, air, cause)
        flash = {
            "socket": self._silicon_far.fileno(), "flash": self._file, "raw": self._raw,
            "start": layout.vfs.offset, "blocks": layout.vfs.size // SECTOR,
            "machine": name, "build": build, "arch": architecture,
        }  # fmt: skip
        place.write("flash.json", flash)

    async def _watch(self, process: asyncio.subprocess.Process, layout: Layout) -> None:
        begun = self._loop.time()
        code = await process.wait()
        self._on_output()
        cause = _cause(code)
        if cause == SOFT_RESET:
            self._output(b"MPY: soft reboot\r\n")
            await self._run(layout, SOFT_RESET)
            return
        if cause == POWER_ON and self._loop.time() - begun < _CRASHED:
            await asyncio.sleep(_CRASHED)
        self._close()
        self._ended(cause)

    def write(self, data: bytes) -> None:
        """Send to the program's serial line; its interrupt character ends what runs."""
        if self._stopped:
            return
        character = 3 if self._intr == _STARTING else self._intr
        if character >= 0 and bytes((character,)) in data:
            data = data.replace(bytes((character,)), b"")
            self._interrupt()
        self._input += data
        self._send()

    def _send(self) -> None:
        try:
            del self._input[: self._line.send(self._input)]
        except BlockingIOError:
            pass
        except OSError:  # it ended
            self._input.clear()
        if self._input:
            self._loop.add_writer(self._line, self._send)
        else:
            self._loop.remove_writer(self._line)

    def _on_output(self) -> None:
        """Pass on what was printed; print() on a board ends lines with two characters."""
        with suppress(BlockingIOError):
            while data := self._line.recv(65536):
                self._output(data.replace(b"\n", b"\r\n"))

    def _on_question(self) -> None:
        with suppress(BlockingIOError):
            while data := self._silicon.recv(65536, socket.MSG_DONTWAIT):
                self._asked += data
        while len(self._asked) >= _QUESTION.size:
            letter, size, number = _QUESTION.unpack_from(self._asked)
            end = _QUESTION.size + size
            if len(self._asked) < end:
                return
            text = bytes(self._asked[_QUESTION.size : end])
            del self._asked[:end]
            self._answer(chr(letter), number, text)

    def _answer(self, letter: str, number: int, text: bytes) -> None:
        try:
            size, data = self._do(letter, number, text)
        except PowerCut:  # whoever cuts it stops this program: nothing of it runs any more
            self._kill()
            return
        except ValueError:
            size, data = _INVALID, b""
        self._silicon.sendall(_ANSWER.pack(size) + data)

    def _do(self, letter: str, number: int, text: bytes) -> tuple[int, bytes]:
        if self._nvs.knows(letter):
            return self._nvs.answer(letter, number, text)
        if letter == "W":
            self._flash.write(number, text)
        elif letter == "X":
            self._flash.erase(number, SECTOR)
        elif letter == "O":
            self._on_output()
            self._output(text)
        elif letter == "M":
            self._raw = bool(number)
        elif letter == "I":
            self._intr = number
            if self._wanted:
                self._loop.call_soon(self._try_to_interrupt, _PATIENCE)
        return 0, b""

    def _interrupt(self) -> None:
        if not self._wanted:
            self._wanted = True
            self._try_to_interrupt(_PATIENCE)

    def _try_to_interrupt(self, left: int) -> None:
        """Send the signal at a moment at which the program waits, if such a moment comes.

        The Unix port jumps out of whatever it does, collecting garbage and writing to flash too.
        """
        if self._process is None or self._intr == _OFF or self._stopped:
            self._wanted = False  # it ended meanwhile
        elif self._intr != _STARTING and self._wanted:
            self._on_question()
            if left and not _waits(self._process.pid):
                self._loop.call_later(0.001, self._try_to_interrupt, left - 1)
            else:
                self._wanted = False
                self._signal(signal.SIGINT)

    def _signal(self, number: int) -> None:
        # not process.kill(): on a process that just ended it would steal the exit code
        if self._process and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)

    async def stop(self) -> None:
        """Take its power, or hold it in reset: it ends at once."""
        if self._task and not self._task.done():
            self._task.cancel()
        self._kill()
        if self._process:
            await self._process.wait()
        self._close()

    def _close(self) -> None:
        if self._stopped:
            return
        self._stopped = True
        for end in (self._line, self._silicon):
            self._loop.remove_reader(end)
        self._loop.remove_writer(self._line)
        for end in (self._line, self._line_far, self._silicon, self._silicon_far):
            end.close()
        os.close(self._file)


def heap_size(text: str) -> int:
    """Return bytes of a heap that is written as MicroPython's -X heapsize takes it, or ""."""
    shift = {"k": 10, "m": 20}.get((text or "64k")[-1], 0)
    number = (text or "64k").rstrip("km")
    if not (number.isascii() and number.isdecimal() and int(number)):
        raise CommandError(f"heap {text!r}: write bytes, e.g. 65536, 64k or 1m")
    return int(number) << shift


def _cause(code: int) -> int:
    """Return why a chip starts whose process ended so."""
    if code == -signal.SIGALRM:
        return WATCHDOG
    return code if code in (HARD_RESET, DEEP_SLEEP, SOFT_RESET) else POWER_ON


def _waits(pid: int) -> bool:
    """Tell whether a process waits for something; True for one that is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "R"
    except OSError:
        return True
