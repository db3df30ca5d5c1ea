"""A TLS server that does what a test's script says, for all that no decent server does."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import trustme

NAMES = ("*.azure-devices.net", "global.azure-devices-provisioning.net", "localhost")
CONNACK = b"\x20\x02\x00\x00"

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def der(ca: trustme.CA) -> bytes:
    return ssl.PEM_cert_to_DER_cert(ca.cert_pem.bytes().decode())


def tls(cert: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert.configure_cert(context)
    return context


def abort(writer: asyncio.StreamWriter) -> None:
    """Break off a connection, which may have ended."""
    with suppress(AttributeError):  # Python 3.11.2 has nothing left to abort after two closes
        writer.transport.abort()


@asynccontextmanager
async def serve(script: Script, context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Run script for every connection; give the port."""

    held = set()  # a loop alone does not keep a connection from the collector

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        held.add(task)
        task.add_done_callback(held.discard)
        try:
            await script(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the board hung up, or the test is over
        finally:
            abort(writer)

    # how long a farewell may take is the script's affair, or the board's
    patience = {"ssl_shutdown_timeout": 3600} if context else {}
    server = await asyncio.start_server(guarded, "127.0.0.1", 0, ssl=context, **patience)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read one MQTT packet: first byte and body."""
    kind = (await reader.readexactly(1))[0]
    size = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return kind, await reader.readexactly(size)


def published(body: bytes) -> tuple[str, bytes, bytes]:
    """Split the body of a QoS 1 PUBLISH: topic, packet ID, payload."""
    end = 2 + int.from_bytes(body[:2], "big")
    return body[2:end].decode(), body[end : end + 2], body[end + 2 :]


def publish(topic: str, payload: bytes, quality: int = 0) -> bytes:
    """Return a PUBLISH packet of less than 16 KB."""
    body = len(topic).to_bytes(2, "big") + topic.encode()
    body += (b"\x00\x07" if quality else b"") + payload
    return bytes([0x30 | quality << 1, len(body) & 0x7F | 0x80, len(body) >> 7]) + body


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take CONNECT and SUBSCRIBE as DPS does."""
    await packet(reader)
    writer.write(CONNACK)
    _, body = await packet(reader)
    writer.write(b"\x90\x03" + body[:2] + b"\x01")


async def request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """Take one request to DPS, acknowledge it, return its request ID."""
    _, body = await packet(reader)
    topic, packet_id, _ = published(body)
    writer.write(b"\x40\x02" + packet_id)
    return topic.partition("$rid=")[2].partition("&")[0]


def answer(status: int, request_id: str, payload: bytes, tail: str = "") -> bytes:
    """Return DPS's PUBLISH for one request."""
    return publish(f"$dps/registrations/res/{status}/?$rid={request_id}{tail}", payload)


def suback(body: bytes) -> bytes:
    """Grant QoS 1 for every filter of a SUBSCRIBE."""
    granted, at = b"", 2
    while at < len(body):
        at += 3 + int.from_bytes(body[at : at + 2], "big")
        granted += b"\x01"
    return bytes([0x90, 2 + len(granted)]) + body[:2] + granted


async def admit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take SUBSCRIBE and the question for the twin as a hub does, and answer."""
    _, body = await packet(reader)
    writer.write(suback(body))
    _, body = await packet(reader)
    rid = body.decode().partition("$rid=")[2]
    twin = b'{"desired": {"$version": 1}, "reported": {"$version": 1}}'
    writer.write(publish(f"$iothub/twin/res/200/?$rid={rid}", twin))
