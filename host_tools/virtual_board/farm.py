"""Virtual boards: powered for a while, one or many, for asyncio and for code that is not.

  with farm.started([BoardSetting(mac=mac)]) as boards:
      print(boards[0].urls)

Owns their loop, their folders and their lines. Doesn't own the boards (virtual_board).
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from host_tools.virtual_board.board_setting import BoardSetting
from host_tools.virtual_board.lines import TcpLine
from host_tools.virtual_board.pty_line import PtyLine
from host_tools.virtual_board.rfc2217_line import Rfc2217Line
from host_tools.virtual_board.unix_board import chip_folder
from host_tools.virtual_board.virtual_board import VirtualBoard

__all__ = ["BoardSetting", "VirtualBoard", "powered", "started"]


@asynccontextmanager
async def powered(setting: BoardSetting) -> AsyncIterator[VirtualBoard]:
    """Power one board until the block ends; raise CommandError if it can not be."""
    async with AsyncExitStack() as stack:
        flash = setting.flash or stack.enter_context(chip_folder()) / "flash.bin"
        board = VirtualBoard(setting, flash)
        stack.callback(board.close)
        if setting.micropython:
            _install(board)
        await _open(board, stack)
        stack.push_async_callback(_off, board)
        board.power_on(setting.download)
        yield board


async def _off(board: VirtualBoard) -> None:
    board.power_off()
    await board.settled()


async def _open(board: VirtualBoard, stack: AsyncExitStack) -> None:
    setting = board.setting
    for address, kind in ((setting.rfc2217, Rfc2217Line), (setting.socket, TcpLine)):
        if address:
            line = kind(board)
            stack.push_async_callback(line.close)
            await line.listen(*address)
            board.lines.append(line)
    if setting.pty:
        pty = PtyLine(board)
        stack.push_async_callback(pty.close)
        board.lines.append(pty)


def _install(board: VirtualBoard) -> None:
    """Put an image into a flash that is blank where the chip looks for one."""
    from host_tools.images.stand_in import stand_in_image

    start = board.model.bootloader
    if board.flash.read(start, 1) == b"\xff":
        board.flash.write(start, stand_in_image(board.model.name, board.flash.size))


@contextmanager
def started(settings: Sequence[BoardSetting]) -> Iterator[list[VirtualBoard]]:
    """Power boards on a loop in a thread of its own until the block ends; raise CommandError."""
    ready: list[VirtualBoard] = []
    with _loop() as loop:
        stack = AsyncExitStack()

        async def enter() -> None:
            for setting in settings:
                ready.append(await stack.enter_async_context(powered(setting)))

        try:
            asyncio.run_coroutine_threadsafe(enter(), loop).result()
            yield ready
        finally:
            asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result()


@contextmanager
def _loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="virtual boards", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
