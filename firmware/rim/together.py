"""An application with asyncio, together with the device that keeps its connection.

Loaded only if app.py has `async def run(device)`.
"""

import asyncio


async def _tend(device) -> None:
    while True:
        await asyncio.sleep_ms(device.step())


async def _both(application, device) -> None:
    tending = asyncio.create_task(_tend(device))
    try:
        await application
    finally:
        tending.cancel()


def both(application, device) -> None:
    """Run the coroutine to its end; raise what it raises."""
    try:
        asyncio.run(_both(application, device))
    finally:
        asyncio.new_event_loop()  # what was scheduled goes with it
