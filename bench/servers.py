"""Servers that are loaded: the emulator, mosquitto and bare TLS, each in a process of its own.

Owns starting and ending them, and what the system knows of them. All show the same RSA
certificate, as an RSA signature is most of what a connect costs.
"""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.cores import on_core
from bench.ports import kept_port
from host_tools.emulator.serve.certificates import CA_FILE
from host_tools.errors import CommandError

MOSQUITTO = "mosquitto"
_SBIN = "/usr/sbin"  # where Debian puts it, and where a user's PATH does not look
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Server:
    """A server that runs: where, and whose certificate it shows."""

    port: int
    pid: int
    ca: Path

    def cpu(self) -> float:
        """Return the seconds of CPU it has used (Linux: the clock of another process)."""
        return time.clock_gettime((~self.pid << 3) | 2)

    # {size} {resident} ..., in pages
    def resident(self) -> int:
        """Return the bytes of memory it has (Linux)."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


def mosquitto_path() -> str | None:
    """Return where mosquitto is, None where it is not installed."""
    return shutil.which(MOSQUITTO) or shutil.which(MOSQUITTO, path=_SBIN)


@contextmanager
def emulator(folder: Path, core: int | None) -> Iterator[Server]:
    """Run the emulator with its state in folder."""
    with _python("bench.cloud", folder, core) as server:
        yield server


@contextmanager
def bare_tls(folder: Path, core: int | None) -> Iterator[Server]:
    """Run a server that only shakes hands, with the certificate of the emulator of folder."""
    with _python("bench.handshakes", folder, core) as server:
        yield server


@contextmanager
def _python(module: str, folder: Path, core: int | None) -> Iterator[Server]:
    with on_core(core):
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise CommandError(f"{module} did not start")
        try:
            yield Server(int(line), process.pid, folder / CA_FILE)
        finally:
            process.stdin.close()


@contextmanager
def mosquitto(folder: Path, core: int | None) -> Iterator[Server]:
    """Run mosquitto with the certificate of the emulator of folder."""
    path = mosquitto_path()
    assert path is not None
    with kept_port() as port, _broker(path, folder, port, core) as process:
        _wait_for(port)
        yield Server(port, process.pid, folder / CA_FILE)


@contextmanager
def _broker(
    path: str, folder: Path, port: int, core: int | None
) -> Iterator[subprocess.Popen[bytes]]:
    certificate, settings = folder / "server.pem", folder / "mosquitto.conf"
    settings.write_text(
        f"listener {port} {HOST}\ncertfile {certificate}\nkeyfile {certificate}\n"
        f"allow_anonymous true\nuser {getpass.getuser()}\npersistence false\nlog_type none\n"
        "set_tcp_nodelay true\n"
    )
    with on_core(core):
        process = subprocess.Popen([path, "-c", str(settings)], stderr=subprocess.DEVNULL)
    with process:
        try:
            yield process
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            socket.create_connection((HOST, port)).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise CommandError("mosquitto did not start") from None
            time.sleep(0.05)
