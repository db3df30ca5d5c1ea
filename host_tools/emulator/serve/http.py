"""Serve an ASGI application over HTTPS, in the loop that runs already.

Owns listening, the limits of what one connection may ask for, and the end. Doesn't own a word of
HTTP, that is uvicorn's, nor what is served. uvicorn's own Server is left out: it takes signals
and logs, and would wait for streams that never end.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from email.utils import formatdate
from ssl import SSLContext
from typing import Protocol

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from uvicorn.server import ServerState

from host_tools.emulator.events import Dropped, Event
from host_tools.emulator.serve import ports
from host_tools.emulator.serve.amqp import BEGINNING, AmqpSessions
from host_tools.emulator.serve.choice import Choice
from host_tools.emulator.serve.ending import FAREWELL, Ending
from host_tools.emulator.serve.http_connection import HttpConnection
from host_tools.emulator.serve.line import Line
from host_tools.emulator.serve.secured import Secured
from host_tools.emulator.time_source import SYSTEM, TimeSource

PORT = 8443
LARGEST_BODY = 4 * 1024 * 1024  # bytes
_LARGEST_HEAD = 64 * 1024
_LARGEST_FRAME = 1024 * 1024  # bytes of one message of a WebSocket
PATIENCE = 20.0  # seconds
_KEEP_ALIVE = 60  # seconds until the next request of a client; clients forget after less
_TICK = 1.0  # second between two looks at the calendar


class House(Protocol):
    """The cloud, as this module sees it."""

    def tell(self, event: Event) -> None:
        """Tell everybody who listens what happened."""


@asynccontextmanager
async def serve_http(
    cloud: House,
    app: ASGIApp,
    context: SSLContext,
    host: str,
    port: int = PORT,
    option: str = "--rest-port",
    patience: float = PATIENCE,
    amqp: AmqpSessions | None = None,
    clock: TimeSource = SYSTEM,
    tick: float = _TICK,
) -> AsyncIterator["HttpServer"]:
    """Serve app on host and port (0: a free one) until the block ends; CommandError.

    cloud: told of failed hand-shakes; option: names the port on the command line; patience:
    seconds for a whole head, for a whole body, and for who does not read; amqp: takes the
    connections that begin with AMQP instead, as Node's service client dials one port for both;
    clock: what the Date of an answer goes by, tick: how many seconds it may be late.
    """
    http = HttpServer(cloud, app, context, patience, amqp, clock, tick)
    await http.open(host, port, option)
    try:
        yield http
    finally:
        await http.close()


class HttpServer:
    """One listening port and all connections that came in by it."""

    def __init__(
        self,
        cloud: House,
        app: ASGIApp,
        context: SSLContext,
        patience: float = PATIENCE,
        amqp: AmqpSessions | None = None,
        clock: TimeSource = SYSTEM,
        tick: float = _TICK,
    ) -> None:
        self.port = 0
        self.ending = Ending()
        self._cloud = cloud
        self._patience = patience
        self._clock = clock
        self._tick = tick
        self._context = context
        self._amqp = amqp
        self._connections: set[Secured] = set()
        self._state = ServerState()
        self._config = Config(
            _Limited(app, patience),
            ws=WSProtocol,
            http=HttpConnection,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE,
            h11_max_incomplete_event_size=_LARGEST_HEAD,
            ws_max_size=_LARGEST_FRAME,
            ws_ping_interval=None,  # MQTT keeps itself alive
            ws_per_message_deflate=False,
        )
        self._config.load()

    async def open(self, host: str, port: int, option: str) -> None:
        """Listen; raise CommandError."""
        self._server = await ports.listen(self._connection, host, port, option)
        self.port = ports.port_of(self._server)
        self._tell_date()

    def _connection(self) -> Secured:
        def http() -> HttpConnection:
            line = Line(self.ending, secured.abort)
            return HttpConnection(self._config, self._state, line.state(), self._patience)

        def choice() -> asyncio.Protocol:
            if self._amqp is None:
                return http()
            return Choice(BEGINNING, self._amqp.protocol, http, self._patience)

        secured = Secured(self._context, choice, self._connections, self._failed)
        return secured

    def _failed(self, address: str, why: str) -> None:
        self._cloud.tell(Dropped(self._clock.time(), address, why))

    async def close(self) -> None:
        """Stop listening and end every connection, the stubborn ones by force."""
        self._server.close()
        self._calendar.cancel()
        self.ending.come()
        for connection in list(self._state.connections):
            if isinstance(connection, HttpConnection):  # a WebSocket's session ends itself
                connection.shutdown()
        waits: list[Coroutine[object, object, object]] = []
        if self._amqp:
            waits.append(self._amqp.close())
        if tasks := set(self._state.tasks):  # as they are now: each leaves the other set
            waits.append(asyncio.wait(tasks, timeout=FAREWELL))
        await asyncio.gather(*waits)
        for secured in list(self._connections):
            secured.close()
        await asyncio.sleep(0)  # for what goes out at once
        for secured in list(self._connections):
            secured.abort()
        while self._connections:
            await asyncio.sleep(0)
        if self._state.tasks:
            await asyncio.wait(self._state.tasks)
        await self._server.wait_closed()

    # Date: {day of the week}, {date} {time} GMT
    def _tell_date(self) -> None:
        now = formatdate(self._clock.time(), usegmt=True).encode()
        self._state.default_headers = [(b"date", now)]
        self._calendar = asyncio.get_running_loop().call_later(self._tick, self._tell_date)


class _Limited:
    """An application that is sent no body that is too large or comes too slowly."""

    def __init__(self, app: ASGIApp, patience: float) -> None:
        self._app = app
        self._patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            receive, send = _body(receive, send, self._patience)
        await self._app(scope, receive, send)


# a body that nobody asked for, under an answer that has begun (a stream's), is of no account
def _body(receive: Receive, send: Send, patience: float) -> tuple[Receive, Send]:
    size, whole, answered = 0, False, False
    deadline = asyncio.get_running_loop().time() + patience

    async def limited() -> Message:
        nonlocal size, whole
        if whole or answered:  # now it waits for the client to leave
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            if answered:
                return await receive()
            raise HTTPException(408, "the body did not come in time") from None
        size += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if size > LARGEST_BODY and not answered:
            raise HTTPException(413, f"the body is larger than {LARGEST_BODY} bytes")
        return message

    async def sending(message: Message) -> None:
        nonlocal answered
        answered = True
        await send(message)

    return limited, sending
