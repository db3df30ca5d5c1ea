"""One virtual board: a chip, its flash, its reset circuit, and the lines to its serial port.

Owns what is soldered together, power switch and buttons. Doesn't own the parts, nor the loop and
the folder it lives in (farm).
"""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

from host_tools.errors import CommandError
from host_tools.virtual_board import models
from host_tools.virtual_board.board_setting import BoardSetting
from host_tools.virtual_board.chip import Chip
from host_tools.virtual_board.efuses import Efuses
from host_tools.virtual_board.faults import Fault
from host_tools.virtual_board.flash_chip import FlashChip
from host_tools.virtual_board.pace import Pace
from host_tools.virtual_board.reset_circuit import Edge, ResetCircuit
from host_tools.virtual_board.wire import Wire, garbled

T = TypeVar("T")
Console = Callable[[bytes], None]


class Line(Protocol):
    """A way to the serial port, as the board sees it."""

    url: str

    @property
    def baud(self) -> int | None:
        """The rate at which the host listens; None if it hears any."""

    def send(self, data: bytes) -> None:
        """Give the host, if there is one, what arrives there."""


class VirtualBoard:
    """A board on its bench. Its methods may be called from any thread; they wait until done.

    Called from the loop it lives in, they return at once; `settled()` waits there.
    """

    def __init__(self, setting: BoardSetting, flash: Path):
        self.model = models.get(_last(setting.faults, "chip").name or setting.chip)
        self.setting = setting = replace(setting, chip=self.model.name)
        size = _last(setting.faults, "flash size").at or setting.flash_size
        self.flash = FlashChip(flash, size)
        self.flash.power_cut = lambda: self._change(powered=False)
        efuses = Efuses(self.model.efuses, setting.mac, flash.with_name(flash.name + ".efuses"))
        self.mac = efuses.mac
        self.lines: list[Line] = []
        self.problem: str | None = None  # why no program can be run on it
        self.wire = Wire(setting.faults)
        self._to_chip, self._to_host = Pace(setting.paced), Pace(setting.paced)
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._consoles: list[Console] = []
        self._circuit = ResetCircuit()
        self._timer: asyncio.TimerHandle | None = None
        self._chip = Chip(setting, self.model, self.flash, efuses, self._from_chip, self._failed)
        self._cuts = [fault for fault in setting.faults if fault.kind.startswith("cut ")]
        try:
            self._prepare(efuses)
        except CommandError:
            self.close()
            raise

    def _prepare(self, efuses: Efuses) -> None:
        if self.mac != self.setting.mac:
            raise CommandError(
                f"{self.flash.path} is the flash of a board with MAC {self.mac.hex(':')}, not"
                f" {self.setting.mac.hex(':')}"
            )
        for fault in self.setting.faults:
            if fault.kind == "efuse":
                efuses.burn(fault.name)

    @property
    def urls(self) -> list[str]:
        """Return how to reach its serial port, e.g. ["rfc2217://127.0.0.1:4001"]."""
        return [line.url for line in self.lines]

    def console(self, callback: Console) -> None:
        """Have callback take all that the chip says from now on, as it was sent."""
        self._consoles.append(callback)

    # - - - power switch and buttons

    def power_on(self, download: bool = False) -> None:
        """Switch the power on; download: while the BOOT button is held."""
        self._on_loop(lambda: self._power_on(download))

    def power_off(self) -> None:
        """Switch the power off, at once; nothing of it runs any more."""
        self._on_loop(lambda: self._change(powered=False))

    def press_reset(self, download: bool = False) -> None:
        """Press and release the reset button; download: while the BOOT button is held."""
        self._on_loop(lambda: self._press_reset(download))

    @property
    def powered(self) -> bool:
        """Whether it has power: not after power_off() nor after a power cut."""
        return self._circuit.powered

    async def settled(self) -> None:
        """Wait until what was asked of switch and buttons has been done."""
        while self._circuit.rises_at is not None:
            await asyncio.sleep(self._circuit.rises_at - self._loop.time())
        if not self._circuit.enabled:
            await self._chip.halted()

    def close(self) -> None:
        """Give its flash back; it must be off."""
        self.flash.close()

    def _power_on(self, download: bool) -> None:
        if self.powered:
            return
        self.wire.powered()
        self._arm()
        self._change(powered=True, boot_button=download)

    def _press_reset(self, download: bool) -> None:
        self._change(reset_button=True, boot_button=download)
        self._change(reset_button=False)

    def _arm(self) -> None:
        """Have the power fail where the faults want it."""
        self.flash.bytes_left = self.flash.sectors_left = None
        for fault in list(self._cuts):
            if fault.kind == "cut write":
                self.flash.bytes_left = fault.at - 1
            else:
                self.flash.sectors_left = fault.at - 1
            if not fault.every:
                self._cuts.remove(fault)

    # - - - the lines: what they tell the board

    def opened(self) -> None:
        """Take note that a host has opened the port."""
        self.wire.opened()

    def closed(self) -> None:
        """Take note that a host has closed the port."""
        self.wire.closed()

    def received(self, data: bytes, baud: int | None) -> None:
        """Take what a host has sent at this rate; None if the line has no rate."""
        data = self.wire.from_host(data)
        if data:
            rate = baud or self._chip.baud
            self._to_chip.carry(len(data), rate, lambda: self._arrived(data, baud))

    def _arrived(self, data: bytes, baud: int | None) -> None:
        if self._circuit.enabled:
            self._chip.receive(data, baud)

    def set_lines(self, **asserted: bool) -> None:
        """Take the state of dtr, rts or both."""
        self._change(**asserted)

    # - - - the pins and the chip

    def _change(self, **pins: bool) -> None:
        for edge in self._circuit.change(self._loop.time(), **pins):
            self._follow(edge)
        self._wait_for_rise()

    def _wait_for_rise(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._circuit.rises_at is not None:
            self._timer = self._loop.call_at(self._circuit.rises_at, self._rise)

    def _rise(self) -> None:
        # a loop's timers may fire a clock tick early
        now = max(self._loop.time(), self._circuit.rises_at or 0)
        for edge in self._circuit.settle(now):
            self._follow(edge)

    def _follow(self, edge: Edge) -> None:
        if edge is Edge.FELL:
            self._chip.halt()
        else:
            self._circuit.boot_button = False  # let go
            self._chip.reset(edge is Edge.ROSE_TO_DOWNLOAD)

    def _from_chip(self, data: bytes) -> None:
        for console in self._consoles:
            console(data)
        arrived, baud = self.wire.from_chip(data), self._chip.baud
        if arrived:
            self._to_host.carry(len(arrived), baud, lambda: self._show(arrived, baud))

    def _show(self, arrived: bytes, baud: int) -> None:
        for line in self.lines:
            line.send(arrived if line.baud in (None, baud) else garbled(arrived))

    def _failed(self, why: str) -> None:
        self.problem = why
        self._from_chip(f"\r\n{why}\r\n".encode())

    def _on_loop(self, action: Callable[[], None]) -> None:
        if threading.get_ident() == self._thread:
            action()
            return

        async def done() -> None:
            action()
            await self.settled()

        asyncio.run_coroutine_threadsafe(done(), self._loop).result()


def _last(faults: tuple[Fault, ...], kind: str) -> Fault:
    found = [fault for fault in faults if fault.kind == kind]
    return found[-1] if found else Fault("chip")
