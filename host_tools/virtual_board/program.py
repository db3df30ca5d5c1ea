"""What runs on a virtual board's chip after a normal reset: MicroPython, from the flash file.

Owns the process (the Unix port of MicroPython), from start to end and over its soft resets. It
reads the filesystem in the flash file itself; what it writes there, and its NVS, goes through the
flash chip, so that power may fail at any byte. Doesn't own why a chip starts (chip.py) nor what
stands in for it on the other side (stand_ins/on_flash).
"""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress

from host_tools.errors import CommandError
from host_tools.images.partitions import SECTOR, Layout
from host_tools.nvs import NvsError
from host_tools.toolchain import micropython
from host_tools.virtual_board import room, start_up
from host_tools.virtual_board.board_setting import BoardSetting
from host_tools.virtual_board.flash_chip import FlashChip, PowerCut
from host_tools.virtual_board.interrupt import Interrupt
from host_tools.virtual_board.models import (
    DEEP_SLEEP,
    HARD_RESET,
    POWER_ON,
    SOFT_RESET,
    WATCHDOG,
)
from host_tools.virtual_board.nvs_service import NvsService
from host_tools.virtual_board.serial_pipe import SerialPipe
from host_tools.virtual_board.silicon import Silicon
from host_tools.virtual_board.start_up import NothingToRun

_INVALID = -22  # EINVAL
_PAUSE = 0.5  # seconds between two attempts of a chip to start from a flash that holds nothing
_CRASHED = 1.0  # seconds before a program that died at once is tried again
# what stands in for the chip has room of its own, a chip has it in ROM: bytes; a test measures it
_STAND_INS_HEAP = {32: 31 << 10, 64: 47 << 10}
# sys.implementation: MICROPY_HW_BOARD_NAME with MICROPY_HW_MCU_NAME, board, .mpy architecture
_NAMES = {
    "esp32": ("Generic ESP32 module with ESP32", "ESP32_GENERIC", 10),
    "esp32c3": ("ESP32C3 module with ESP32C3", "ESP32_GENERIC_C3", 11),
    "esp32s3": ("Generic ESP32S3 module with ESP32S3", "ESP32_GENERIC_S3", 10),
}
Output = Callable[[bytes], None]
Ended = Callable[[int], None]


class Program:
    """A program that runs, or tries to. Made by start(); ended by stop(), or by itself."""

    def __init__(
        self, setting: BoardSetting, flash: FlashChip, mac: bytes, output: Output, ended: Ended
    ) -> None:
        self._setting, self._flash, self._mac = setting, flash, mac
        self._output, self._ended = output, ended
        self._line = SerialPipe(self._say)
        self._silicon = Silicon(self._answer)
        self._interrupt = Interrupt(self._silicon.receive)
        self._file = os.open(flash.path, os.O_RDONLY | os.O_CLOEXEC)
        self._raw = False  # whether the raw REPL is on, also after a soft reset
        self._off = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._nvs: NvsService
        self._task: asyncio.Task[None]

    @classmethod
    async def start(
        cls,
        setting: BoardSetting,
        flash: FlashChip,
        mac: bytes,
        cause: int,
        output: Output,
        ended: Ended,
    ) -> "Program":
        """Start what is in flash; a flash that holds nothing to run says so again and again.

        cause: why it starts, of models.py. output: is given what the serial line sends. ended: is
        called with the next start's cause when the program ends by itself, not by a soft reset:
        those are dealt with here. Raises CommandError if this machine has no MicroPython.
        """
        command = _command(setting)
        room.of(flash)
        program = cls(setting, flash, mac, output, ended)
        program._task = asyncio.create_task(program._live(command, cause))
        return program

    def write(self, data: bytes) -> None:
        """Send to the program's serial line; Ctrl-C ends what runs."""
        if not self._off.is_set():
            self._line.send(self._interrupt.take(data))

    async def stop(self) -> None:
        """Take its power, or hold it in reset: it ends at once, and says nothing any more."""
        self._power_off()
        await self._task

    def _power_off(self) -> None:
        self._off.set()
        # not process.kill(): on a process that just ended it would steal the exit code
        if self._process and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    def _say(self, data: bytes) -> None:
        if not self._off.is_set():
            self._output(data)

    async def _live(self, command: list[str], cause: int) -> None:
        try:
            layout = start_up.find(self._flash, self._setting.chip)
            self._nvs = NvsService(self._flash, layout.nvs)
            cause = await self._run(command, layout, cause)
        except NothingToRun as nothing:
            await self._complain(str(nothing))
        except NvsError as error:
            await self._complain(f"ESP_ERROR_CHECK failed: esp_err_t {error.code:#x}: {error}")
        except PowerCut:  # while NVS mended itself
            self._off.set()
        finally:
            by_itself = not self._off.is_set()
            self._off.set()
            self._close()
        if by_itself:
            self._ended(cause)

    async def _complain(self, text: str) -> None:
        while not self._off.is_set():
            self._say(text.encode() + b"\r\n")
            await self._wait(_PAUSE)

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._off.wait()

    async def _run(self, command: list[str], layout: Layout, cause: int) -> int:
        """Run it until it ends, over soft resets; return why the chip starts next."""
        while True:
            begun = asyncio.get_running_loop().time()
            next_cause = _cause(await self._once(command, layout, cause))
            if self._off.is_set():
                return next_cause
            if next_cause != SOFT_RESET:
                break
            self._say(b"MPY: soft reboot\r\n")
            cause = SOFT_RESET
        if next_cause == POWER_ON and asyncio.get_running_loop().time() - begun < _CRASHED:
            await self._wait(_CRASHED)
        return next_cause

    async def _once(self, command: list[str], layout: Layout, cause: int) -> int:
        place = room.of(self._flash)
        self._describe(place, layout, cause)
        self._silicon.reset()
        self._interrupt.starting()
        self._process = process = await asyncio.create_subprocess_exec(
            *command,
            env=place.environment(),
            stdin=self._line.far,
            stdout=self._line.far,
            stderr=self._line.far,
            pass_fds=(self._silicon.far, self._file),
            start_new_session=True,  # Ctrl-C on the bench is not the board's
        )
        self._interrupt.started(process.pid)
        if self._off.is_set():  # meanwhile
            self._power_off()
        code = await process.wait()
        self._interrupt.ended()
        self._line.receive()
        return code

    def _describe(self, place: room.Room, layout: Layout, cause: int) -> None:
        name, build, architecture = _NAMES[self._setting.chip]
        chip = {
            "mac": self._mac.hex(), "epoch": 2000, "speed": 1, "cut": 0, "uarts": {}, "ntp": [0],
            "hosts": dict(self._setting.hosts), "world": dict(self._setting.world),
        }  # fmt: skip
        air = {"wifi": dict(self._setting.wifi), "hidden": [], "cable": False, "dns": 1}
        place.tell(chip, air, cause)
        flash = {
            "socket": self._silicon.far, "flash": self._file, "raw": self._raw,
            "start": layout.vfs.offset, "blocks": layout.vfs.size // SECTOR,
            "machine": name, "build": build, "arch": architecture,
        }  # fmt: skip
        place.write("flash.json", flash)

    def _answer(self, letter: str, number: int, text: bytes) -> tuple[int, bytes] | None:
        if self._off.is_set():
            return None
        try:
            return self._do(letter, number, text)
        except PowerCut:  # nothing of it runs any more; the chip is told by the flash
            self._power_off()
            return None
        except ValueError:
            return _INVALID, b""

    def _do(self, letter: str, number: int, text: bytes) -> tuple[int, bytes]:
        if self._nvs.knows(letter):
            return self._nvs.answer(letter, number, text)
        if letter == "W":
            self._flash.write(number, text)
        elif letter == "X":
            self._flash.erase(number, SECTOR)
        elif letter == "O":
            self._line.receive()
            self._say(text)
        elif letter == "M":
            self._raw = bool(number)
        elif letter == "I":
            self._interrupt.set(number)
        return 0, b""

    def _close(self) -> None:
        self._line.close()
        self._silicon.close()
        os.close(self._file)


def _command(setting: BoardSetting) -> list[str]:
    bits = 64 if micropython.stands_in(setting.bits) else setting.bits
    size = heap_size(setting.heap or ("64k" if bits == 32 else "128k")) + _STAND_INS_HEAP[bits]
    return [*micropython.interpreter(bits), "-X", f"heapsize={size}", "-c", "import _start"]


def heap_size(text: str) -> int:
    """Return bytes of a heap that is written as MicroPython's -X heapsize takes it."""
    shift = {"k": 10, "m": 20}.get(text[-1:], 0)
    number = text.removesuffix("k").removesuffix("m")
    if not (number.isascii() and number.isdecimal() and int(number)):
        raise CommandError(f"heap {text!r}: write bytes, e.g. 65536, 64k or 1m")
    return int(number) << shift


def _cause(code: int) -> int:
    """Return why a chip starts whose process ended so."""
    if code == -signal.SIGALRM:
        return WATCHDOG
    return code if code in (HARD_RESET, DEEP_SLEEP, SOFT_RESET) else POWER_ON
