"""`keystead cloud` as a process, through its command line, and what it says."""

import asyncio
import fcntl
import functools
import json
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

HUB = "test-docs-hub.azure-devices.net"
LIMIT = 30  # seconds for anything to happen


@contextmanager
def port_of_sdks(port: int) -> Iterator[None]:
    """Hold a port that SDKs dial, and no other; skip if a stranger has it.

    One lock for all of them, as a cloud with default ports has three: tests in other processes
    wait. A lock, as pytest 9.2 ignores the groups of pytest-xdist 3.8 (how a test is renamed
    changed).
    """
    path = Path(tempfile.gettempdir(), f"keystead-sdk-ports-{os.getuid()}.lock")
    with path.open("w") as lock, socket.socket() as probe:
        fcntl.flock(lock, fcntl.LOCK_EX)
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            pytest.skip(f"port {port} on 127.0.0.1, the only one that SDKs dial: {error.strerror}")
        probe.close()
        yield


def port_8883() -> AbstractContextManager[None]:
    """Hold the port of MQTT."""
    return port_of_sdks(8883)


def awaited(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Make a test of a coroutine function."""

    @functools.wraps(test)
    def run_it(*arguments: object, **named: object) -> None:
        asyncio.run(test(*arguments, **named))

    return run_it


class CloudProcess:
    """A running `keystead cloud --json`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[str] = []
        self.facts: dict = {}

    async def event(self, name: str, **fields: object) -> dict:
        """Wait for an event with this name and these fields; return it."""
        async with asyncio.timeout(LIMIT):
            while True:
                event = await self._next()
                if event["event"] == name and fields.items() <= event.items():
                    return event

    async def _next(self) -> dict:
        line = (await self.process.stdout.readline()).decode()
        if not line:
            complaint = (await self.process.stderr.read()).decode()
            raise AssertionError(f"the cloud ended; it had said:\n{''.join(self.said)}{complaint}")
        self.said.append(line)
        return json.loads(line)

    def stop(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Wait for the end; keep what was said; return the exit code."""
        async with asyncio.timeout(LIMIT):
            out, err = await self.process.communicate()
        self.said.append(out.decode() + err.decode())
        return self.process.returncode


async def start(*arguments: object) -> asyncio.subprocess.Process:
    """Start `keystead cloud` with these arguments; every word of it is to be seen."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        "-m",
        "host_tools",
        "cloud",
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=2**24,  # bytes of a line: the first one names every enrollment
    )


@asynccontextmanager
async def running(*arguments: object) -> AsyncIterator[CloudProcess]:
    """Run a cloud until the block ends; it must end cleanly and complain about nothing."""
    cloud = CloudProcess(await start("--json", *arguments))
    try:
        cloud.facts = await cloud.event("listening")
        yield cloud
    except BaseException:
        if cloud.process.returncode is None:
            cloud.process.kill()
        await cloud.process.wait()
        raise
    if cloud.process.returncode is None:
        cloud.stop(15)
    assert await cloud.ended() == 0, "".join(cloud.said)
    assert "Error" not in cloud.said[-1], cloud.said[-1]
    assert "Warning" not in cloud.said[-1], cloud.said[-1]


async def run(*arguments: object) -> tuple[int, str, str]:
    """Run a cloud that ends by itself; return exit code, stdout, stderr."""
    process = await start(*arguments)
    async with asyncio.timeout(LIMIT):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()
