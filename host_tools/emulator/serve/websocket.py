"""MQTT over WebSocket: the same sessions as on the MQTT port, in binary frames.

Owns the hand-shake's one condition, the frames, the pace and the deadlines of its sessions.
Doesn't own a word of MQTT (mqtt/session.py) nor WebSocket's own (uvicorn and wsproto).
Sources: "Communicate with an IoT hub using the MQTT protocol", MQTT over WebSocket; MQTT 3.1.1,
section 6: where a packet begins in a frame says nothing.
"""

import asyncio
from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from host_tools.emulator.cloud import Cloud
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.faults.wire import Wire
from host_tools.emulator.host_names import place
from host_tools.emulator.rest import errors
from host_tools.emulator.serve.http import PATIENCE
from host_tools.emulator.serve.line import of

PATH = "/$iothub/websocket"
SUBPROTOCOL = "mqtt"
_SWEEP = 0.25  # seconds between two looks at all deadlines
_PART = 4096  # bytes that a session is fed at once: all its answers to them are in memory
_ROOM = 64 * 1024  # bytes that wait to be sent before nothing more is read
_NORMAL, _STOPPING, _NOT_BINARY, _TOO_LARGE = 1000, 1001, 1003, 1009
_WHY = {_TOO_LARGE: "it sent a WebSocket message that is too large"}


def routes(door: Cloud, patience: float = PATIENCE) -> list[BaseRoute]:
    """Return the routes of MQTT over WebSocket; any query string will do.

    patience: seconds for who does not take the last of what we said.
    """
    sessions = _Sessions(door, patience)

    # Azure's C SDK says MQTT: in which case it is said, it is answered
    async def mqtt(websocket: WebSocket) -> None:
        for offered in websocket.scope["subprotocols"]:
            if offered.lower() == SUBPROTOCOL:
                await sessions.serve(websocket, offered)
                return
        await websocket.send_denial_response(_refusal("the subprotocol must be mqtt"))

    async def plain(request: Request) -> Response:
        return _refusal("this is for WebSockets")

    return [WebSocketRoute(PATH, mqtt), Route(PATH, plain)]


def _refusal(why: str) -> Response:
    return errors.response(ServiceError(400003, why))


class _Sessions:
    """All sessions that came by WebSocket, and the clock of their deadlines."""

    def __init__(self, door: Cloud, patience: float) -> None:
        self._door = door
        self._patience = patience
        self._all: set[_Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    async def serve(self, websocket: WebSocket, subprotocol: str) -> None:
        """Serve one connection to its end."""
        await websocket.accept(subprotocol)
        connection = _Connection(websocket, self._door, self._patience)
        self._all.add(connection)
        if self._sweeper is None:
            self._sweep()
        try:
            with of(websocket).ending.told(connection.stop):
                await connection.serve()
        finally:
            self._all.discard(connection)
            if not self._all and self._sweeper:
                self._sweeper.cancel()
                self._sweeper = None

    def _sweep(self) -> None:
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP, self._sweep)
        now, tick = self._door.clock.time(), self._door.clock.monotonic()
        for connection in list(self._all):
            connection.session.expire(now, tick)


class _Connection:
    """One WebSocket and the session on it."""

    def __init__(self, websocket: WebSocket, door: Cloud, patience: float) -> None:
        self._websocket = websocket
        self._clock = door.clock
        self._patience = patience
        self._unsent: list[bytes] = []
        self._waiting = 0  # bytes in it
        self._over = False  # nothing more is to be sent
        self._news = asyncio.Event()  # there is something to send, or it is over
        self._room = asyncio.Event()  # what was to be sent is on its way
        self._code = _NORMAL
        self._forced: asyncio.TimerHandle | None = None  # when patience with the device ends
        client = websocket.client
        address = place(client.host, client.port) if client else ""
        self._abort = abort = of(websocket).abort
        watcher = door.traces.open(address, self._clock.time())
        self.session = Wire(
            door, self._send, self._hang_up, abort, self._clock.monotonic(), address, watcher
        )

    async def serve(self) -> None:
        """Carry bytes both ways until the session ends."""
        reader = asyncio.create_task(self._read())
        reader.add_done_callback(lambda _: self._news.set())
        try:
            while self._unsent or not (self._over or reader.done()):
                await self._news.wait()
                await self._write()
            if self._websocket.client_state is not WebSocketState.DISCONNECTED:
                await self._websocket.close(self._code)
        except WebSocketDisconnect:
            pass  # that is how one leaves
        finally:
            reader.cancel()
            await asyncio.wait([reader])
            self._close("the connection broke")
            if self._forced:
                self._forced.cancel()
        if not reader.cancelled():
            reader.result()  # a fault of ours is not to be swallowed

    def stop(self) -> None:
        """End the session as the server ends."""
        self._code = _STOPPING
        self._close("the cloud stops")
        self._hang_up()

    async def _read(self) -> None:
        while not self._over:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                self._close(_WHY.get(message.get("code", 0), "it closed the connection"))
                return
            if message.get("bytes") is None:
                self._code = _NOT_BINARY
                self._close("it sent text, where MQTT is in binary frames")
            else:
                await self._take(message["bytes"])

    # part by part, as in listener.py: who asks a lot and does not read the answers waits
    async def _take(self, data: bytes) -> None:
        for part in _parts(data):
            self.session.receive(part, self._clock.time(), self._clock.monotonic())
            while self._waiting > _ROOM or self.session.full:
                self._room.clear()
                await self._room.wait()

    async def _write(self) -> None:
        self._news.clear()
        data = b"".join(self._unsent)
        self._unsent.clear()
        if data:
            await self._websocket.send_bytes(data)
        self._waiting = sum(map(len, self._unsent))
        self._room.set()

    def _send(self, data: bytes) -> None:
        self._unsent.append(data)
        self._waiting += len(data)
        self._news.set()

    def _hang_up(self) -> None:
        self._over = True
        if self._forced is None:
            self._forced = asyncio.get_running_loop().call_later(self._patience, self._abort)
        self._news.set()

    def _close(self, why: str) -> None:
        self.session.close(why, self._clock.time())


def _parts(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), _PART):
        yield data[start : start + _PART]
