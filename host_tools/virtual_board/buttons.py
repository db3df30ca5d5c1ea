"""The buttons and the power switch of virtual boards, pressed by lines that somebody types."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from host_tools.virtual_board.virtual_board import VirtualBoard

_LONGEST = 4096  # characters typed without an end

_BUTTONS: dict[str, Callable[[VirtualBoard], None]] = {
    "reset": lambda board: board.press_reset(),
    "boot": lambda board: board.press_reset(download=True),
    "off": lambda board: board.power_off(),
    "on": lambda board: board.power_on(),
}


def press(line: str, boards: Sequence[VirtualBoard]) -> None:
    """Do as a line says, e.g. "boot 2"; say on stderr what there is if it can not be."""
    words = line.split()
    if not words:
        return
    button, number = words[0], " ".join(words[1:]) or "1"
    if button not in _BUTTONS or not number.isdecimal() or not 1 <= int(number) <= len(boards):
        print(f"there are {', '.join(_BUTTONS)} and boards 1 to {len(boards)}", file=sys.stderr)
        return
    _BUTTONS[button](boards[int(number) - 1])


@asynccontextmanager
async def typed() -> AsyncIterator[AsyncIterator[str]]:
    """Give the lines of stdin; for ever none where nobody can type."""
    loop, lines = asyncio.get_running_loop(), asyncio.Queue[str | None]()
    pending = bytearray()

    async def each() -> AsyncIterator[str]:
        while (line := await lines.get()) is not None:
            yield line

    def ready() -> None:
        came = os.read(stdin, 1024)  # not through sys.stdin: that one keeps what it has read
        pending.extend(came)
        *whole, rest = bytes(pending[:_LONGEST]).split(b"\n")
        pending[:] = rest
        for line in whole:
            lines.put_nowait(line.decode(errors="replace"))
        if not came:
            loop.remove_reader(stdin)
            lines.put_nowait(None)

    try:
        stdin = sys.stdin.fileno()
        loop.add_reader(stdin, ready)
    except (OSError, ValueError, AttributeError):  # none, or a file such as /dev/null
        yield each()
        return
    try:
        yield each()
    finally:
        loop.remove_reader(stdin)
