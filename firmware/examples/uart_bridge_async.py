"""The bridge of uart_bridge.py with asyncio: for an instrument that has to be asked.

Copy it as app.py, with uart_bridge.py beside it. config.json, besides the serial line's:

{"app": {"ask": "S", "every": 10}}
"""

import asyncio

from uart_bridge import Instrument


async def _ask(instrument: Instrument, text: str, seconds: float) -> None:
    while True:
        instrument.say(text.encode(), {})
        await asyncio.sleep(seconds)


async def run(device):
    """Bridge for ever; Keystead keeps the connection in a task beside this one."""
    settings = device.settings.app
    instrument = Instrument(settings)
    device.on_message(instrument.say)
    asking = asyncio.create_task(_ask(instrument, settings["ask"], settings.get("every", 10)))
    reader = asyncio.StreamReader(instrument.uart)
    try:
        while True:
            for message in instrument.messages(await reader.read(64)):
                device.send(message)
    finally:
        asking.cancel()
