"""A web-hook on this machine, which answers as a test wants it."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.emulator.scripted import serve

Reply = Callable[[dict, asyncio.StreamWriter], Awaitable[None]]


class WebHook:
    """A server that speaks as much HTTP as a web-hook needs."""

    def __init__(self, reply: Reply) -> None:
        self.asked: list[dict] = []
        self.url = ""
        self._reply = reply

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        self.asked.append(json.loads(await reader.readexactly(length)))
        await self._reply(self.asked[-1], writer)
        await writer.drain()
        writer.close()  # an abort, which follows, would break off what is on its way
        await writer.wait_closed()


@asynccontextmanager
async def web_hook(reply: Reply, context: ssl.SSLContext | None = None) -> AsyncIterator[WebHook]:
    """Serve a web-hook until the block ends."""
    hook = WebHook(reply)
    scheme = "https" if context else "http"
    async with serve(hook.serve, context) as port:
        hook.url = f"{scheme}://localhost:{port}/api/allocate?code=secret"
        yield hook


def said(status: int, body: bytes) -> bytes:
    """Return an answer."""
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body)


def answering(status: int = 200, **answer: object) -> Reply:
    """Return the reply of a web-hook that always says the same."""

    async def reply(_: dict, writer: asyncio.StreamWriter) -> None:
        writer.write(said(status, json.dumps(answer).encode()))

    return reply


async def hanging(_: dict, writer: asyncio.StreamWriter) -> None:
    """Say nothing."""
    await asyncio.Event().wait()
