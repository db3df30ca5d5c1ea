"""Being told to stop: SIGTERM ends a command as Ctrl-C does, on the way that cleans up."""

import asyncio
import signal
from collections.abc import Coroutine
from types import FrameType
from typing import NoReturn, TypeVar

T = TypeVar("T")
_TERMINATED = 128 + signal.SIGTERM


def end_cleanly_on_sigterm() -> None:
    """Turn SIGTERM into SystemExit, so that folders are removed on the way out."""
    signal.signal(signal.SIGTERM, _terminated)


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(_TERMINATED)


def run(coroutine: Coroutine[object, object, T]) -> T:
    """Run a coroutine as asyncio.run() does; SIGTERM cancels it and then ends the program."""
    try:
        return asyncio.run(_cancellable(coroutine))
    except asyncio.CancelledError:
        raise SystemExit(_TERMINATED) from None


async def _cancellable(coroutine: Coroutine[object, object, T]) -> T:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await coroutine
