"""An MQTT server in a process of its own that only answers, at once and the same.

For what a client costs: one blocking thread a connection takes some 20 us a message, so that it
is the device that is measured. `python -m bench.server CERTIFICATE` prints its port. Speaks
TLS 1.2 with AES-256-GCM only, as the anchors were measured. Ends when its stdin does.
"""

import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from host_tools.emulator.mqtt import framing
from host_tools.emulator.mqtt.framing import Framer

_LARGEST = 64 * 1024


@contextmanager
def answering(certificate: Path) -> Iterator[int]:
    """Run the server with this key and certificate; give its port."""
    command = [sys.executable, "-m", "bench.server", str(certificate)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()


def reply(first: int, body: bytes) -> bytes:
    """Return what a server that likes everything says to a packet, b"" for nothing."""
    kind = first & 0xF0
    if kind == framing.CONNECT:
        return b"\x20\x02\0\0"
    if kind == framing.SUBSCRIBE & 0xF0:
        return b"\x90\x03" + body[:2] + b"\x01"
    if kind == framing.PINGREQ:
        return b"\xd0\0"
    if kind == framing.PUBLISH and first & 6 == 2:
        end = 2 + (body[0] << 8 | body[1])
        return b"\x40\x02" + body[end : end + 2]
    return b""


def _serve(certificate: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AES256+AESGCM")
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            raw, _ = listener.accept()
            threading.Thread(target=_answer, args=(context, raw), daemon=True).start()


def _answer(context: ssl.SSLContext, raw: socket.socket) -> None:
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    framer = Framer(_LARGEST)
    # a client that is killed says no goodbye
    with suppress(OSError), context.wrap_socket(raw, server_side=True) as stream:
        while data := stream.recv(_LARGEST):
            answers = b"".join(reply(first, body) for first, body in framer.feed(data))
            if answers:
                stream.sendall(answers)


def _end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    _serve(sys.argv[1])
