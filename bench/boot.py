"""A boot: the real firmware from power-on to telemetry, against the emulator in this process.

Owns the board's folder, the cloud it meets and what is heard of both.
"""

import asyncio
import functools
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.workshop import ON_BOARD, Workshop
from host_tools.emulator.cloud import Cloud
from host_tools.emulator.config import HUB, ID_SCOPE, Config
from host_tools.emulator.dps.enrollment import EnrollmentGroup, KeyPair
from host_tools.emulator.events import Event, Telemetry
from host_tools.emulator.serve.listener import Listener, serve
from host_tools.errors import CommandError
from host_tools.keys import derive_device_key
from host_tools.virtual_board.unix_board import UnixBoard
from keystead.record import FactoryRecord

MAC = bytes.fromhex("a1b2c3d4e5f6")
NAME = "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6"

_GROUP_KEY = bytes(range(64))
_SAYS = "bench "  # what a line of on_board/app.py begins with
_LIMIT = 20  # seconds for one boot


@dataclass(frozen=True)
class Connected:
    """What a board says when its application runs."""

    heap: int  # bytes in use after a collection
    modules: frozenset[str]


@functools.cache
def connected(workshop: Workshop) -> Connected:
    """Boot a 32-bit board and return what it keeps while it is connected."""
    return asyncio.run(_ask(workshop, "connected", None))


@functools.cache
def bare(workshop: Workshop) -> Connected:
    """Return the same of a board without Keystead: stand-ins, umqtt.simple, built-in modules."""
    return asyncio.run(_ask(workshop, "bare", ON_BOARD / "bare.py"))


def reaches_the_hub(workshop: Workshop, kib: int) -> bool:
    """Tell whether a 32-bit board with so much heap sends telemetry without any FAILURE."""
    return asyncio.run(_reaches(workshop, kib))


async def _ask(workshop: Workshop, folder: str, main: Path | None) -> Connected:
    async with _cloud(asyncio.Queue()) as listener:
        board = _board(workshop.folder / folder, listener, ON_BOARD / "app.py")
        if main:
            (board.flash / "main.py").write_bytes(main.read_bytes())
        heard = []
        async with asyncio.timeout(_LIMIT), board.powered() as console:
            async for line in console:
                heard.append(line)
                if line.startswith(_SAYS):
                    said = json.loads(line.removeprefix(_SAYS))
                    return Connected(said["heap"], frozenset(said["modules"]))
    raise CommandError("the bench's board did not get connected: " + " / ".join(heard[-3:]))


async def _reaches(workshop: Workshop, kib: int) -> bool:
    heard: asyncio.Queue[Event | str | None] = asyncio.Queue()
    folder = workshop.folder / "least"
    async with _cloud(heard) as listener:
        board = _board(folder, listener, None)
        board.heap = f"{kib}k"
        async with board.powered() as console:
            listening = asyncio.create_task(_listen(console, heard))
            try:
                async with asyncio.timeout(_LIMIT):
                    return await succeeds(heard)
            except TimeoutError:
                return False
            finally:
                listening.cancel()


async def succeeds(heard: "asyncio.Queue[Event | str | None]") -> bool:
    """Listen to both ends until telemetry is at the hub, or the board fails or goes out."""
    while what := await heard.get():
        if isinstance(what, Telemetry):
            return True
        if isinstance(what, str) and " FAILURE " in what:
            return False
    return False


async def _listen(console: AsyncIterator[str], heard: "asyncio.Queue[Event | str | None]") -> None:
    async for line in console:
        heard.put_nowait(line or " ")
    heard.put_nowait(None)


@asynccontextmanager
async def _cloud(heard: "asyncio.Queue[Event | str | None]") -> AsyncIterator[Listener]:
    group = EnrollmentGroup("bench", hub=HUB, keys=KeyPair(_GROUP_KEY))
    config = Config(id_scope=ID_SCOPE, assigning_replies=1, retry_after=1, groups=(group,))
    with Cloud(config, on_event=heard.put_nowait) as cloud:
        async with serve(cloud, "127.0.0.1", 0) as listener:
            yield listener


def _board(folder: Path, listener: Listener, app: Path | None) -> UnixBoard:
    board = UnixBoard(folder, MAC, hosts={"*": ("127.0.0.1", listener.port)})
    # fresh from the factory: what an earlier boot's cloud assigned is not to be found at this one
    shutil.rmtree(folder / "nvs", ignore_errors=True)
    board.install({"bench": listener.cloud.ca_der}, app)
    key = derive_device_key(_GROUP_KEY, NAME)
    board.write_nvs("record", FactoryRecord(MAC, ID_SCOPE, NAME, key).pack())
    return board
