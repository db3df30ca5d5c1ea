"""A virtual chip from reset to reset: off, in its ROM's loader, or running its program.

Owns what runs and at what rate its serial port speaks. Doesn't own pins (reset_circuit), the wire
nor what the program is (program.py).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

from host_tools.errors import CommandError
from host_tools.virtual_board import slip
from host_tools.virtual_board.board_setting import BoardSetting
from host_tools.virtual_board.efuses import Efuses
from host_tools.virtual_board.flash_chip import FlashChip, PowerCut
from host_tools.virtual_board.loader_protocol import LONGEST, Board
from host_tools.virtual_board.models import HARD_RESET, POWER_ON, WATCHDOG, Model
from host_tools.virtual_board.registers import Registers
from host_tools.virtual_board.rom_loader import RomLoader
from host_tools.virtual_board.spi_flash import SpiFlash
from host_tools.virtual_board.stub_loader import GREETING, StubLoader
from host_tools.virtual_board.wire import garbled

BAUD = 115200  # after a reset, and of the program
_FIFO = 128  # bytes that a UART keeps until a program reads them
_FASTEST_AUTOBAUD = 1_000_000  # the ROM measures the rate of its client up to here


class Running(Protocol):
    """What the chip needs of program.Program."""

    def write(self, data: bytes) -> None:
        """Take what came in over the serial port."""

    async def stop(self) -> None:
        """End it."""


class Chip:
    """One chip upon its flash and eFuses.

    send: takes what its serial port says. failed: takes why no program can be run at all.
    """

    def __init__(
        self,
        setting: BoardSetting,
        model: Model,
        flash: FlashChip,
        efuses: Efuses,
        send: Callable[[bytes], None],
        failed: Callable[[str], None],
    ):
        self.model, self.baud, self.download = model, BAUD, False
        self._setting, self._flash, self._efuses = setting, flash, efuses
        self._send, self._failed = send, failed
        self._registers = Registers(
            model, efuses, SpiFlash(flash), lambda: self.baud, self._watchdog
        )
        self._loader: RomLoader | None = None
        self._decoder = slip.Decoder(LONGEST)
        self._synced = False
        self._life: asyncio.Task[None] | None = None
        self._program: Running | None = None
        self._fifo = b""  # what came while the program was on its way
        self._ending: set[asyncio.Task[None]] = set()

    def halt(self) -> None:
        """Stop whatever runs: EN is low, or there is no power."""
        self._loader = self._program = None
        self._fifo = b""
        if self._life:
            self._life.cancel()
            self._end(self._life)
            self._life = None

    async def halted(self) -> None:
        """Wait until nothing is left of the program that was halted."""
        while self._ending:
            await asyncio.wait(self._ending)

    def reset(self, download: bool, cause: int = POWER_ON) -> None:
        """Start, with the boot pin low or high, for a cause as machine.reset_cause() says it."""
        self.halt()
        self._efuses.refresh()
        self.download = download and not self._efuses.named("no download mode")
        self._registers.strapped(self.download)
        self.baud, self._synced = BAUD, False
        secure = bool(self._efuses.named("secure download mode"))
        self._send(self.model.said(cause, self.download, secure))
        if self.download:
            self._enter(RomLoader(self._board()))
        else:
            self._run(cause)

    def receive(self, data: bytes, baud: int | None) -> None:
        """Take bytes that came at this rate, None for the right one; a wrong one makes garbage."""
        if self._loader and not self._synced and baud and baud <= _FASTEST_AUTOBAUD:
            self.baud = baud
        if baud not in (None, self.baud):
            data = garbled(data)
        if self._loader:
            self._load(data)
        elif self._program:
            self._program.write(data)
        elif self._life:
            self._fifo = (self._fifo + data)[:_FIFO]

    def _load(self, data: bytes) -> None:
        for frame in self._decoder.feed(data):
            loader = self._loader
            if loader is None:
                return  # the frame before this one left it
            with contextlib.suppress(PowerCut):
                for reply in loader.answer(frame):
                    self._synced = True
                    self._send(slip.encode(reply))
            after, loader.after = loader.after, None
            if after and self._loader is loader:
                after()

    def _board(self) -> Board:
        return Board(
            self.model,
            self._flash,
            self._efuses,
            self._registers,
            set_baud=self._set_baud,
            start_stub=self._start_stub,
            run_program=lambda: self._leave(HARD_RESET),
            restart=lambda: self.reset(self.download, HARD_RESET),
        )

    def _enter(self, loader: RomLoader) -> None:
        self._loader = loader
        self._decoder = slip.Decoder(LONGEST)

    def _set_baud(self, baud: int) -> None:
        self.baud = baud

    def _start_stub(self) -> None:
        assert self._loader is not None
        self._enter(StubLoader(self._loader.board))
        self._send(slip.encode(GREETING))

    def _leave(self, cause: int) -> None:
        self._loader = None
        self.baud = BAUD
        self._run(cause)

    def _watchdog(self) -> None:
        loop = asyncio.get_running_loop()
        # it bites after the client has its reply; unlike a software reset it reads the boot pin
        loop.call_later(0.05, self.reset, False, WATCHDOG)

    # - - - the program

    def _run(self, cause: int) -> None:
        refusal = self._refusal()
        if refusal:
            self._send(refusal)
        else:
            self._life = asyncio.get_running_loop().create_task(self._live(cause))

    def _refusal(self) -> bytes:
        """Return what the ROM says if security keeps it from running what was flashed in plain."""
        if self._efuses.named("secure boot"):
            return b"secure boot verification failed\r\n"
        if self._efuses.named("flash encryption").bit_count() & 1:
            # what was not encrypted with the chip's key decrypts to noise
            noise = int.from_bytes(self._efuses.mac[2:], "little") ^ 0xA5C3_96E1
            return b"invalid header: 0x%08x\r\n" % noise * 3
        return b""

    async def _live(self, cause: int) -> None:
        while True:
            while self._ending:
                await asyncio.wait(self._ending)
            cause = await self._once(cause)
            self._send(self.model.said(cause, False))

    async def _once(self, cause: int) -> int:
        """Run the program until it ends by itself; return for what cause it starts again."""
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        program = await self._start(cause, ended)
        try:
            self._program = program
            program.write(self._fifo)
            self._fifo = b""
            return await ended
        finally:
            self._program = None
            self._end(asyncio.get_running_loop().create_task(program.stop()))

    async def _start(self, cause: int, ended: "asyncio.Future[int]") -> Running:
        # the program comes with a toolchain that a board in download mode does without
        from host_tools.virtual_board.program import Program

        def end(cause: int) -> None:
            if not ended.done():
                ended.set_result(cause)

        loop = asyncio.get_running_loop()
        mac, send = self._efuses.mac, self._send
        start = loop.create_task(Program.start(self._setting, self._flash, mac, cause, send, end))
        try:
            return await asyncio.shield(start)
        except asyncio.CancelledError:
            self._end(loop.create_task(_undo(start)))
            raise
        except CommandError as error:
            self._failed(str(error))
            await loop.create_future()  # until the next reset
            raise

    def _end(self, task: "asyncio.Task[None]") -> None:
        """Keep a task that is on its way out: nothing starts before it is gone."""
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


async def _undo(start: Awaitable[Running]) -> None:
    """Stop a program that was halted while it was being started."""
    with contextlib.suppress(CommandError):
        await (await start).stop()
