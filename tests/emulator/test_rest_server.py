"""The HTTPS server by itself: who is slow, who does not read, who sends noise."""

import asyncio
import logging
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from host_tools.emulator.events import Event
from host_tools.emulator.serve.certificates import Certificates
from host_tools.emulator.serve.http import HttpServer, serve_http
from host_tools.emulator.serve.line import of
from host_tools.emulator.serve.secured import Secured
from tests.emulator.cloud_fixtures import LIMIT, awaited

SHORT = 0.3  # seconds of patience
GET = b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n"


class House:
    """What the server tells its events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, event: Event) -> None:
        self.events.append(event)


async def hello(request: Request) -> Response:
    return PlainTextResponse(f"hello, {len(await request.body())}")


async def large(request: Request) -> Response:
    return StreamingResponse("x" * 100_000 for _ in range(200))


async def stream(request: Request) -> Response:
    async def parts() -> AsyncIterator[str]:
        end = asyncio.Event()
        with of(request).ending.told(end.set):
            yield "begun\n"
            await end.wait()
            yield "ended\n"

    return StreamingResponse(parts())


ROUTES = [
    Route("/hello", hello, methods=["GET", "POST"]),
    Route("/large", large),
    Route("/stream", stream),
]


@asynccontextmanager
async def serving(
    directory: Path, patience: float = LIMIT
) -> AsyncIterator[tuple[HttpServer, ssl.SSLContext, House]]:
    certificates, house = Certificates(directory), House()
    trusted = ssl.create_default_context(cadata=certificates.ca_pem.decode())
    app = Starlette(routes=ROUTES)
    async with serve_http(
        house, app, certificates.context([]), "127.0.0.1", 0, patience=patience
    ) as http:
        yield http, trusted, house


@asynccontextmanager
async def dialled(
    http: HttpServer, trusted: ssl.SSLContext
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("localhost", http.port, ssl=trusted)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def rest_of(reader: asyncio.StreamReader) -> bytes:
    """What comes until the end, in whichever way that comes."""
    got = b""
    async with asyncio.timeout(LIMIT):
        try:
            while data := await reader.read(65536):
                got += data
        except ConnectionError:
            pass
    return got


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """Nothing is logged."""
    with caplog.at_level(logging.INFO):
        yield
    assert [record.getMessage() for record in caplog.records] == []


pytestmark = pytest.mark.usefixtures("quiet")


@awaited
async def test_requests_are_answered_one_after_the_other(tmp_path: Path) -> None:
    async with serving(tmp_path) as (http, trusted, _), dialled(http, trusted) as (reader, writer):
        for body in (b"", b"abc"):
            length = f"content-length: {len(body)}\r\n\r\n".encode()
            writer.write(b"POST /hello HTTP/1.1\r\nhost: a\r\n" + length + body)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\ndate: ")
            assert b"server:" not in head
            assert await reader.readexactly(8) == b"hello, %d" % len(body)


@pytest.mark.parametrize("sent", [b"", b"GET /hel", GET + b"GET /hel"])
@awaited
async def test_who_is_slow_with_a_head_loses_the_connection(tmp_path: Path, sent: bytes) -> None:
    async with serving(tmp_path, SHORT) as (http, trusted, _), dialled(http, trusted) as (
        reader, writer,
    ):  # fmt: skip
        writer.write(sent)
        answers = await rest_of(reader)
        assert answers.count(b"HTTP/1.1 200 OK") == sent.count(b"\r\n\r\n")


@awaited
async def test_bytes_one_by_one_gain_no_time(tmp_path: Path) -> None:
    async with serving(tmp_path, SHORT) as (http, trusted, _), dialled(http, trusted) as (
        reader, writer,
    ):  # fmt: skip
        ended = asyncio.create_task(rest_of(reader))
        while not ended.done():
            writer.write(b"x")
            await asyncio.wait([ended], timeout=SHORT / 10)
        assert await ended == b""


@awaited
async def test_who_is_slow_with_a_body_is_told_so(tmp_path: Path) -> None:
    async with serving(tmp_path, SHORT) as (http, trusted, _), dialled(http, trusted) as (
        reader, writer,
    ):  # fmt: skip
        writer.write(b"POST /hello HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nabc")
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")


@awaited
async def test_who_does_not_read_loses_the_connection(tmp_path: Path) -> None:
    async with serving(tmp_path, SHORT) as (http, trusted, _), dialled(http, trusted) as (
        reader, writer,
    ):  # fmt: skip
        writer.write(GET.replace(b"hello", b"large"))
        await reader.readexactly(1000)
        writer.transport.pause_reading()
        async with asyncio.timeout(LIMIT):
            await asyncio.wait(http._state.tasks)


@awaited
async def test_a_stream_and_who_is_in_the_middle_of_something_end_at_once(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with serving(tmp_path) as (http, trusted, house), dialled(http, trusted) as (
        reader, writer,
    ), dialled(http, trusted) as (_, idle):  # fmt: skip
        writer.write(GET.replace(b"hello", b"stream"))
        await reader.readuntil(b"begun\n")
        idle.write(b"GET /hel")
        _, shaking = await asyncio.open_connection("127.0.0.1", http.port)
        begun = loop.time()
        closing = asyncio.create_task(http.close())
        assert b"ended\n" in await rest_of(reader)
        await closing
        assert loop.time() - begun < 3
        assert http._connections == set()
        shaking.transport.abort()
        assert house.events == []


@awaited
async def test_a_body_that_never_comes_ends_no_stream(tmp_path: Path) -> None:
    async with serving(tmp_path, SHORT) as (http, trusted, _), dialled(http, trusted) as (
        reader, writer,
    ), dialled(http, trusted) as (other, later):  # fmt: skip
        head = GET.removesuffix(b"\r\n") + b"content-length: 5\r\n\r\n"
        writer.write(head.replace(b"hello", b"stream"))
        await reader.readuntil(b"begun\n")
        later.write(head)
        assert b"408" in await other.readline()
        http.ending.come()
        await reader.readuntil(b"ended\n")


class Wire(asyncio.Transport):
    """A connection that counts how often it is closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1


@awaited
async def test_a_connection_that_is_gone_is_not_closed_again(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secured, wire = Secured(context, asyncio.Protocol, set(), lambda *_: None), Wire()
    secured.connection_made(wire)
    secured.connection_lost(None)
    closed = wire.closed
    secured.close()
    assert wire.closed == closed
    assert secured._forced.cancelled()


FRAGMENTS = (
    b"GET /hello HTTP/1.1\r\n", b"POST /hello HTTP/1.1\r\n", b"host: a\r\n", b"\r\n", b"\r\n\r\n",
    b"content-length: 5\r\n", b"content-length: -1\r\n", b"transfer-encoding: chunked\r\n",
    b"5\r\nhello\r\n0\r\n\r\n", b"expect: 100-continue\r\n", b"upgrade: websocket\r\n",
    b"connection: upgrade\r\n", b"sec-websocket-version: 13\r\n", b"sec-websocket-key: eA==\r\n",
    b"\x00", b"\xff\xfe", b"x" * 300, b"GET /%ff%00/.. HTTP/1.0\r\n", b"hello", b"\n", b": \r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"OPTIONS * HTTP/1.1\r\n", b"connection: close\r\n",
)  # fmt: skip


@awaited
async def test_noise_of_every_kind_disturbs_nobody(tmp_path: Path) -> None:
    chance = random.Random(5)
    async with serving(tmp_path, SHORT) as (http, trusted, _):
        for _ in range(150):
            async with dialled(http, trusted) as (reader, writer):
                writer.write(b"".join(chance.choices(FRAGMENTS, k=chance.randint(1, 9))))
                writer.write(b"\r\n\r\n")
                async with asyncio.timeout(LIMIT):
                    try:
                        answer = await reader.read(12)
                    except ConnectionError:
                        answer = b""
                assert answer[:9] in (b"", b"HTTP/1.1 ")
                assert answer[9:10] in (b"", b"1", b"2", b"4")
        async with dialled(http, trusted) as (reader, writer):
            writer.write(GET)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
