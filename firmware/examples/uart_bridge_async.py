"""The bridge of uart_bridge.py with asyncio: for an instrument that has to be asked.

Copy it as app.py, with uart_bridge.py beside it. config.json, besides the serial line's:

{"app": {"ask": "S", "every": 10}}
"""

import asyncio

from uart_bridge import Lines, message, open_uart


async def _ask(uart, text: str, seconds: float) -> None:
    while True:
        uart.write(text.encode() + b"\r\n")
        await asyncio.sleep(seconds)


async def run(device):
    """Bridge for ever; Keystead keeps the connection in a task beside this one."""
    settings = device.settings.app or {}
    uart = open_uart(settings)
    device.on_message(lambda payload, properties: uart.write(payload + b"\r\n"))
    asking = asyncio.create_task(_ask(uart, settings["ask"], settings.get("every", 10)))
    reader = asyncio.StreamReader(uart)
    lines = Lines()
    try:
        while True:
            for line in lines.feed(await reader.read(64)):
                device.send(message(line, lines.noise))
    finally:
        asking.cancel()
