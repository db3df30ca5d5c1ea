"""TLS hand-shakes and nothing else: what is left of a boot when MQTT is taken away.

`python -m bench.handshakes FOLDER` shows the certificate of the cloud whose state is in FOLDER,
prints its port, ends with stdin. alone() lets as many clients come as a fleet has devices, each
twice, as a device does: once for DPS, hanging up, and once for its hub, where it stays. Client
and server are those of a boot: the fleet's Line, the emulator's TLS objects on asyncio.
"""

import asyncio
import ssl
import sys
import threading
import time
from pathlib import Path
from typing import cast

from host_tools import garbage, open_files
from host_tools.emulator.mqtt.connect import Connect
from host_tools.emulator.mqtt.packets import Publish
from host_tools.emulator.serve.certificates import Certificates
from host_tools.emulator.serve.listener import HOST
from host_tools.emulator.serve.tls import TlsError, TlsServer
from host_tools.fleet.conversation import NEVER, Conversation
from host_tools.fleet.line import Line
from host_tools.fleet.place import Place
from host_tools.fleet.plan import Plan
from host_tools.fleet.turns import Turns

_MOST = 5000  # connections at the same time
_BACKLOG = 1024  # as the emulator's
_ROOM = 64 * 1024
_LIMIT = 60  # seconds


class Silence(Conversation):
    """A connection on which nothing is said once TLS stands."""

    def __init__(self, host: str) -> None:
        super().__init__(_LIMIT)
        self.host = host

    def begin(self, now: float, tick: float) -> bytes:
        self.rest(NEVER)
        return b""

    def leave(self) -> bytes:
        self.over = True
        return b""

    def login(self, now: float) -> Connect:
        raise NotImplementedError

    def filters(self) -> tuple[tuple[str, int], ...]:
        raise NotImplementedError

    def subscribed(self, tick: float) -> None:
        raise NotImplementedError

    def published(self, message: Publish, tick: float) -> None:
        raise NotImplementedError

    def acknowledged(self, packet_id: int, tick: float) -> None:
        raise NotImplementedError

    def rested(self, tick: float) -> None:
        raise NotImplementedError


class Alone:
    """Clients that shake hands twice, and then stay."""

    def __init__(self, plan: Plan, count: int, place: Place, context: ssl.SSLContext) -> None:
        self._count = count
        self._plan, self._place, self._context = plan, place, context
        self._there: list[tuple[Line, Silence]] = []

    async def boot(self) -> float:
        """Let all come; return the seconds it took."""
        begun, self._turns = time.monotonic(), Turns(asyncio.get_running_loop().call_soon)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._count):
                tasks.create_task(self._twice())
        return time.monotonic() - begun

    async def _twice(self) -> None:
        line, silence = await self._shake(self._plan.dps_host)
        line.send(silence.leave())
        self._there.append(await self._shake(self._plan.hub))

    async def _shake(self, host: str) -> tuple[Line, Silence]:
        silence = Silence(host)
        line = Line(silence, self._context, self._turns)
        await line.open(self._place)
        return line, silence

    async def leave(self) -> None:
        """Hang up."""
        for line, silence in self._there:
            line.send(silence.leave())
        await asyncio.sleep(0)


class _Served(asyncio.BufferedProtocol):
    def __init__(self, context: ssl.SSLContext, room: memoryview) -> None:
        self._tls = TlsServer(context)
        self._room = room

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        try:
            self._tls.receive(bytes(self._room[:nbytes]))
        except TlsError:
            self._transport.close()
            return
        if data := self._tls.take():
            self._transport.write(data)


async def _serve(folder: Path) -> None:
    context, room = Certificates(folder).context([HOST]), memoryview(bytearray(_ROOM))
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def wait_for_end() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(stop.set)

    server = await loop.create_server(lambda: _Served(context, room), HOST, 0, backlog=_BACKLOG)
    print(server.sockets[0].getsockname()[1], flush=True)
    threading.Thread(target=wait_for_end, daemon=True).start()
    await stop.wait()


if __name__ == "__main__":
    open_files.allow(_MOST)
    garbage.search_rarely()
    asyncio.run(_serve(Path(sys.argv[1])))
