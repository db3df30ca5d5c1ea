"""The emulator in a process of its own, with devices its hub knows.

`python -m bench.cloud FOLDER COUNT` keeps its state in FOLDER, prints its port, ends with stdin.
Events go nowhere: what is measured is the server, not the printing.
"""

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from host_tools.emulator.cloud import Cloud
from host_tools.emulator.config import HUB, Config
from host_tools.emulator.dps.enrollment import KeyPair
from host_tools.emulator.records import Identity, Registration
from host_tools.emulator.serve.listener import serve
from host_tools.emulator.store.store import Store
from keystead import hub
from keystead.sas import sas_token

_KEY = bytes(range(32))
_LIFE = 3600  # seconds


def names(count: int) -> Iterator[str]:
    """Return the names of count devices."""
    return (f"bench-{number}" for number in range(count))


def password(device_id: str) -> str:
    """Return a device's token."""
    return sas_token(hub.resource(HUB, device_id), _KEY, int(time.time()) + _LIFE)


def register(folder: Path, count: int) -> None:
    """Write count devices into the state of a cloud that does not run."""
    store, now = Store(folder), time.time()
    for name in names(count):
        registration = Registration(name, name, HUB, "bench", "initialAssignment", "", now, now)
        store.assign(registration, Identity(HUB, name, KeyPair(_KEY, _KEY)))
    store.close()


async def _serve(folder: Path, stop: asyncio.Event) -> None:
    with Cloud(Config(), on_event=lambda event: None, state_dir=folder) as cloud:
        async with serve(cloud, "127.0.0.1", 0) as listener:
            print(listener.port, flush=True)
            await stop.wait()


async def _run(folder: Path, count: int) -> None:
    register(folder, count)
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def wait_for_end() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait_for_end, daemon=True).start()
    await _serve(folder, stop)


if __name__ == "__main__":
    asyncio.run(_run(Path(sys.argv[1]), int(sys.argv[2])))
