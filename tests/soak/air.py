"""The air between the board and the cloud: carries bytes, or holds them while it does not.

Owns the connections on their way. What power takes from the board is not said good-bye to: to the
cloud the connection is still there.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from host_tools.emulator.serve import ports


class Air:
    """The way of all bytes."""

    def __init__(self, stir: Callable[[], object]) -> None:
        """stir: called when something arrives at the board."""
        self.carries = True  # the radio reaches the network
        self.reaches = True  # the network reaches the world
        self.stir = stir
        self.ways: set[Near] = set()
        self.ends: set[_End] = set()
        self._servers: list[asyncio.Server] = []
        self.tasks: set[asyncio.Task[Any]] = set()

    @property
    def flags(self) -> int:
        """Return what the board is told of it."""
        return self.carries + 2 * self.reaches

    async def open(self, port: int) -> int:
        """Lead a port, which is returned, to one of the cloud's."""
        server = await ports.listen(lambda: Near(self, port), "127.0.0.1", 0, "")
        self._servers.append(server)
        return ports.port_of(server)

    async def close(self) -> None:
        """Let go of everything."""
        for server in self._servers:
            server.close()
        while self.tasks:
            await asyncio.wait(self.tasks)
        while self.ends:  # more of them may come when the tasks are done
            for end in self.ends:
                end.over(True)
            await asyncio.sleep(0)

    def change(self, carries: bool | None = None, reaches: bool | None = None) -> None:
        """Carry, or hold what is on its way."""
        self.carries = self.carries if carries is None else carries
        self.reaches = self.reaches if reaches is None else reaches
        for way in self.ways:
            way.hold(not (self.carries and self.reaches))
        self.stir()

    def forget_board(self) -> None:
        """Take note that the board is no more, and had no time to say so."""
        for way in list(self.ways):
            way.leave()


class _End(asyncio.Protocol):
    """One end of a way."""

    transport: asyncio.Transport | None = None
    other: "_End | None" = None

    def __init__(self, air: Air) -> None:
        self.air = air
        self._early = b""  # what came before there was another end
        self.left = False  # there is none any more

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast(asyncio.Transport, transport)
        self.air.ends.add(self)

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        if self.other and self.other.transport:
            self.other.pass_on(data)
        elif not self.left:
            # a transport that is told to pause when it is made may read once, in older Pythons
            self._early += data

    def pass_on(self, data: bytes) -> None:
        """Send what the other end took."""
        assert self.transport
        self.transport.write(data)

    def eof_received(self) -> bool:
        """Pass on that nothing more comes; the way back stays open."""
        if self.other and self.other.transport:
            self.other.end()
            return True
        return False

    def end(self) -> None:
        """Say that nothing more comes."""
        assert self.transport
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()

    def connection_lost(self, error: Exception | None) -> None:
        """Pass on that it is over."""
        self.transport = None
        self.air.ends.discard(self)
        if self.other and self.other.transport:
            self.other.over(error is not None)

    def over(self, abrupt: bool) -> None:
        """Close, or break off."""
        assert self.transport
        if abrupt:
            self.transport.abort()
        else:
            self.transport.close()


class Near(_End):
    """The board's end."""

    def __init__(self, air: Air, port: int) -> None:
        super().__init__(air)
        self._port = port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Dial on."""
        super().connection_made(transport)
        assert self.transport
        self.transport.pause_reading()
        self.air.ways.add(self)
        task = asyncio.get_running_loop().create_task(self._dial())
        self.air.tasks.add(task)
        task.add_done_callback(self.air.tasks.discard)

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        _, far = await loop.create_connection(lambda: _End(self.air), "127.0.0.1", self._port)
        self.other, far.other = far, self
        if self.transport is None:
            far.over(False)
            return
        self.hold(not (self.air.carries and self.air.reaches))
        early, self._early = self._early, b""
        if early:
            far.pass_on(early)

    def hold(self, held: bool) -> None:
        """Hold what is on its way, or let it go on."""
        for end in (self, self.other):
            if end and end.transport and not end.transport.is_closing():
                if held:
                    end.transport.pause_reading()
                else:
                    end.transport.resume_reading()

    def pass_on(self, data: bytes) -> None:
        """Arrive at the board."""
        super().pass_on(data)
        self.air.stir()

    def end(self) -> None:
        """Say so to the board."""
        super().end()
        self.air.stir()

    def over(self, abrupt: bool) -> None:
        """Say so to the board."""
        super().over(abrupt)
        self.air.stir()

    def connection_lost(self, error: Exception | None) -> None:
        """Count it out."""
        self.air.ways.discard(self)
        super().connection_lost(error)

    def leave(self) -> None:
        """Vanish; the other end hears nothing of it, and nobody hears the other end."""
        self.air.ways.discard(self)
        self.left = True
        if self.other:
            self.other.left = True
            self.other.other = None
            self.other = None
        if self.transport:
            self.transport.abort()
