"""An application with asyncio, together with the device that keeps its connection.

Owns the loop and the task beside it. Loaded only if app.py has `async def run(device)`.
"""

import asyncio


async def _end(application, ends) -> None:
    try:
        ends.append(await application)
    except BaseException as error:
        ends.append(error)


async def _both(application, device) -> None:
    ends: list = []
    task = asyncio.create_task(_end(application, ends))
    # whatever goes wrong with the device goes wrong here, and ends the application
    while not task.done():
        await asyncio.sleep_ms(device.step())
    if isinstance(ends[0], BaseException):
        raise ends[0]


def both(application, device) -> None:
    """Run the coroutine to its end; raise what it raises."""
    try:
        asyncio.run(_both(application, device))
    finally:
        asyncio.new_event_loop()  # what was scheduled goes with it
