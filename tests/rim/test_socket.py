"""The stand-in for the chip's sockets has the rules of lwIP and of MicroPython's ESP32 port."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trustme

from host_tools.virtual_board.unix_board import UnixBoard
from tests.rim.scripts import MAC, printed

Session = Callable[[socket.socket], object]

BEGIN = """
import errno, gc, machine, select, socket, tls
def tried(what, *arguments):
    try:
        print(what(*arguments))
    except OSError as error:
        print("error", error.args[0])
def connected(port):
    raw = socket.socket()
    raw.connect(socket.getaddrinfo("server", port)[0][-1])
    return raw
def encrypted(raw):
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_NONE
    return context.wrap_socket(raw)
"""


@pytest.fixture(params=[32, 64])
def board(tmp_path: Path, request: pytest.FixtureRequest) -> UnixBoard:
    return UnixBoard(tmp_path / "board", MAC, bits=request.param, heap="256k")


def run(board: UnixBoard, script: str) -> list[str]:
    (board.folder).mkdir(exist_ok=True)
    return printed(board, BEGIN + script)


@contextmanager
def server(board: UnixBoard, *sessions: Session) -> Iterator[int]:
    """Serve one connection after the other; give the port that the board knows."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        board.hosts = {"server": ("127.0.0.1", door.getsockname()[1])}

        def serve() -> None:
            for session in sessions:
                connection, _ = door.accept()
                with connection:
                    session(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield door.getsockname()[1]
        thread.join()


def mute(connection: socket.socket) -> None:
    connection.recv(1)


def test_setblocking_ends_a_time_out(board: UnixBoard) -> None:
    script = """
raw = connected(1)
raw.settimeout(0.1)
tried(raw.read, 1)
raw.setblocking(True)
machine.WDT(timeout=1000)
tried(raw.read, 1)
"""
    with server(board, mute):
        # the second read has no time-out any more: the watchdog ends it
        assert run(board, script) == ["error 116"]


def test_there_are_twelve_sockets_and_those_that_nobody_holds_are_collected(
    board: UnixBoard,
) -> None:
    script = """
held = [socket.socket() for _ in range(12)]
tried(socket.socket)
held[0].close()
held[0] = socket.socket()
tried(socket.socket)
held = None
held = [socket.socket() for _ in range(12)]
print(len(held))
"""
    assert run(board, script) == ["error 23", "error 23", "12"]


def test_a_connection_that_is_refused_has_the_errors_of_lwip(board: UnixBoard) -> None:
    script = """
# not errno.EINPROGRESS: of a script, the Unix port makes that a constant of its own
print([getattr(errno, name) for name in ("EINPROGRESS", "ETIMEDOUT", "ENOTCONN")])
place = socket.getaddrinfo("closed", 1)[0][-1]
raw = socket.socket()
raw.setblocking(False)
tried(raw.connect, place)
poller = select.poll()
poller.register(raw, select.POLLOUT | select.POLLHUP)
print(bool(poller.poll(1000)[0][1] & select.POLLHUP))
tried(raw.read, 1)
tried(socket.socket().connect, place)
"""
    board.hosts = {"closed": ("127.0.0.1", 1)}
    assert run(board, script) == [
        "[119, 116, 128]", "error 119", "True", "error 104", "error 104",
    ]  # fmt: skip


def over_tls(session: Session) -> Session:
    """Have the session after a hand-shake, and after that good-bye to TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("server").configure_cert(context)

    def encrypted(connection: socket.socket) -> None:
        line = context.wrap_socket(connection.dup(), server_side=True)
        line.sendall(b"good")
        line.recv(1)
        socket.close(line.detach())
        session(connection)

    return encrypted


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def garble(connection: socket.socket) -> None:
    connection.sendall(b"no TLS record, and nothing that could be one")
    with suppress(ConnectionResetError):
        connection.recv(1000)


@pytest.mark.parametrize(
    ("ends", "error"), [(reset, "error -104"), (garble, "error -29184")], ids=["reset", "garbled"]
)
def test_an_error_of_tls_is_negative_and_stays(
    board: UnixBoard, ends: Session, error: str
) -> None:
    script = """
line = encrypted(connected(1))
tried(line.read, 4)
tried(line.write, b"x")
for _ in range(2):
    tried(line.read, 1)
    tried(line.write, b"x")
"""
    with server(board, over_tls(ends)):
        assert run(board, script) == ["b'good'", "1", *[error] * 4]


@pytest.mark.parametrize(
    ("dns", "took"), [(1, 0), (-1, 0), (0, 14_000)], ids=["works", "no such name", "silent"]
)
def test_a_look_up_takes_as_long_as_lwips(tmp_path: Path, dns: int, took: int) -> None:
    board = UnixBoard(tmp_path, MAC, heap="256k", hosts={"server": ("127.0.0.1", 1)}, speed=200)
    board.dns = dns
    script = """
import time
begun = time.ticks_ms()
tried(socket.getaddrinfo, "server", 1)
print(time.ticks_diff(time.ticks_ms(), begun))
"""
    answer, ticks = run(board, script)
    assert (answer == "error -202") == (dns != 1)
    assert int(ticks) >= took
