"""Load: many clients in this process, to see what a server takes.

Blocking threads connect, as a hand-shake leaves Python's lock alone; one loop over non-blocking
sockets publishes, with packets made before the clock starts.
"""

import selectors
import socket
import ssl
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from host_tools.emulator.mqtt.connect import Connect
from host_tools.emulator.mqtt.packets import Publish
from host_tools.emulator.mqtt.subscribe import Subscribe

_FILTER = "$iothub/methods/POST/#"
_PUBACK = 4  # bytes
_LIMIT = 20  # seconds for any answer


@dataclass(frozen=True)
class Login:
    """How one client comes in."""

    client_id: str
    user: str
    password: str


def connect(port: int, context: ssl.SSLContext, login: Login) -> ssl.SSLSocket:
    """Connect and subscribe one client; return it when both are answered."""
    raw = socket.create_connection(("127.0.0.1", port), timeout=_LIMIT)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client = context.wrap_socket(raw, server_hostname="localhost")
    client.sendall(
        Connect(
            login.client_id, username=login.user, password=login.password.encode(), keep_alive=240
        ).encode()
    )
    _expect(client, b"\x20\x02\0\0")
    client.sendall(Subscribe(1, ((_FILTER, 1),)).encode())
    _expect(client, b"\x90\x03\0\x01\x01")
    return client


def _expect(client: ssl.SSLSocket, wanted: bytes) -> None:
    got = b""
    while len(got) < len(wanted):
        data = client.recv(len(wanted) - len(got))
        if not data:
            break
        got += data
    if got != wanted:
        raise OSError(f"the server answered {got.hex()} instead of {wanted.hex()}")


def connect_all(
    port: int, context: ssl.SSLContext, logins: Sequence[Login], at_once: int
) -> tuple[float, list[ssl.SSLSocket]]:
    """Connect all clients, at_once at a time; return the seconds it took, and them."""
    with ThreadPoolExecutor(at_once) as pool:
        begun = time.perf_counter()
        clients = list(pool.map(lambda login: connect(port, context, login), logins))
        return time.perf_counter() - begun, clients


def publish_all(clients: Sequence[tuple[ssl.SSLSocket, str]], payload: bytes, each: int) -> float:
    """Let every client (with its topic) send each messages, every PUBACK awaited; seconds."""
    left = {}
    packets = {}
    with selectors.DefaultSelector() as selector:
        for client, topic in clients:
            client.setblocking(False)
            selector.register(client, selectors.EVENT_READ)
            left[client] = each
            packets[client] = Publish(topic, payload, 1, 1).encode()
        begun = time.perf_counter()
        for client in left:
            client.send(packets[client])
        while left:
            ready = selector.select(_LIMIT)
            if not ready:
                raise OSError("the server stopped answering")
            for key, _ in ready:
                _next(key.fileobj, left, packets)
        return time.perf_counter() - begun


def _next(
    client: object, left: dict[ssl.SSLSocket, int], packets: dict[ssl.SSLSocket, bytes]
) -> None:
    assert isinstance(client, ssl.SSLSocket)
    with suppress(ssl.SSLWantReadError):  # a session ticket, not an answer
        if len(client.recv(_PUBACK)) != _PUBACK:
            raise OSError("the server closed a connection")
        left[client] -= 1
        if left[client]:
            client.send(packets[client])
        else:
            del left[client]
