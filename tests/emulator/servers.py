"""A DPS and a hub that like everybody, for real time and for a life in simulated time."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trustme

from host_tools.virtual_board.unix_board import chip_folder
from tests.emulator.cloud_fixtures import HUB
from tests.emulator.conftest import NAME
from tests.emulator.scripted import (
    CONNACK,
    NAMES,
    answer,
    packet,
    publish,
    published,
    request,
    serve,
    tls,
)
from tests.emulator.simulated import IDLE, Life, Over

ASSIGNED = {"status": "assigned", "assignedHub": HUB, "deviceId": NAME}
LOCAL = "127.0.0.1"
Hosts = dict[str, tuple[str, int]]


class Servers:
    """A DPS and a hub that like everybody, and count."""

    def __init__(self, step: float = 0, pings: bool = True) -> None:
        """step: seconds each answer takes; pings: whether a PINGREQ is answered."""
        self.users: list[str] = []
        self.kinds: list[int] = []  # of packets the hub got after CONNECT
        self.open = 0
        self.most_open = 0
        self._step = step
        self._pings = pings

    async def script(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await self._serve(reader, writer)
        finally:
            self.open -= 1

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, body = await packet(reader)
        is_dps = b"/registrations/" in body
        self.users.append("dps" if is_dps else "hub")
        await self._send(writer, CONNACK)
        await (self._dps if is_dps else self._hub)(reader, writer)

    async def _dps(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, body = await packet(reader)
        await self._send(writer, b"\x90\x03" + body[:2] + b"\x01")
        rid = await request(reader, writer)
        document = {"operationId": "5.1.2", "status": "assigned", "registrationState": ASSIGNED}
        await self._send(writer, answer(200, rid, json.dumps(document).encode()))
        await reader.read()

    async def _hub(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            kind, body = await packet(reader)
            self.kinds.append(kind)
            if kind == 0x82:
                await self._send(writer, b"\x90\x06" + body[:2] + b"\x01" * 4)
            elif kind == 0x32:
                await self._send(writer, b"\x40\x02" + published(body)[1])
            elif kind == 0x30:
                await self._twin(writer, body)
            elif kind == 0xC0 and self._pings:
                await self._send(writer, b"\xd0\x00")

    async def _twin(self, writer: asyncio.StreamWriter, body: bytes) -> None:
        topic = body[2 : 2 + int.from_bytes(body[:2], "big")].decode()
        rid = topic.partition("$rid=")[2]
        if "/GET/" in topic:
            twin = b'{"desired": {"$version": 1}, "reported": {"$version": 1}}'
            await self._send(writer, publish(f"$iothub/twin/res/200/?$rid={rid}", twin))
        else:
            await self._send(writer, publish(f"$iothub/twin/res/204/?$rid={rid}&$version=2", b""))

    async def _send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        await asyncio.sleep(self._step)
        writer.write(data)


@asynccontextmanager
async def serving(servers: Servers, ca: trustme.CA) -> AsyncIterator[int]:
    async with serve(servers.script, tls(ca.issue_cert(*NAMES))) as port:
        yield port


class Detour(Life):
    """A life in which all names but time servers lead elsewhere."""

    async def _serve(self, stack: AsyncExitStack) -> Hosts:
        hosts = await super()._serve(stack)
        _, way = hosts["*"]
        return {**hosts, "*": (LOCAL, await self.elsewhere(stack, way))}

    async def elsewhere(self, stack: AsyncExitStack, way: int) -> int:
        """Return the port; way is the one to the cloud."""
        raise NotImplementedError


class Scripted(Detour):
    """A life at servers that do as a script says."""

    def __init__(self, *arguments: object, servers: Servers, **soak: int) -> None:
        super().__init__(*arguments, **soak)  # type: ignore[arg-type]
        self.servers = servers

    async def elsewhere(self, stack: AsyncExitStack, way: int) -> int:
        context = self.cloud.tls_context(LOCAL)
        port = await stack.enter_async_context(serve(self.servers.script, context))
        return await self.world.air.open(port)


def perform(
    kind: Callable[..., Life], script: Callable[..., Awaitable[None]], app: str = IDLE, **soak: int
) -> None:
    """Play a script in a life of this kind."""
    with chip_folder() as folder, pytest.raises(Over):
        kind(folder, app, script, {}, **soak).run()
