"""The emulator in a process of its own, and the devices that may come.

`python -m bench.cloud FOLDER` keeps its state in FOLDER, prints its port, ends with stdin.
Events go nowhere: what is measured is the server, not the printing.
"""

import asyncio
import sys
import threading
from pathlib import Path

from host_tools import garbage, open_files
from host_tools.emulator.cloud import Cloud
from host_tools.emulator.config import HUB, Config
from host_tools.emulator.dps.enrollment import EnrollmentGroup, KeyPair
from host_tools.emulator.serve.listener import HOST, serve
from host_tools.fleet.plan import PREFIX, Member, Plan, body, members

MOST = 5000  # devices at the same time
_KEY = bytes(range(64))
_PAYLOAD = 61  # bytes


def config() -> Config:
    """Return what this cloud is made of: the defaults, but for a group key that is known."""
    return Config(groups=(EnrollmentGroup("mylegacydevices", HUB, KeyPair(_KEY, _KEY)),))


def plan() -> Plan:
    """Return what its devices do."""
    return Plan(config().id_scope, HUB, payload=body(_PAYLOAD))


def devices(count: int) -> list[Member]:
    """Return devices of its group."""
    return list(members(config().groups[0], count, PREFIX, 1))


async def _run(folder: Path) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def wait_for_end() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(stop.set)

    with Cloud(config(), on_event=lambda event: None, state_dir=folder) as cloud:
        async with serve(cloud, HOST, 0) as listener:
            print(listener.port, flush=True)
            threading.Thread(target=wait_for_end, daemon=True).start()
            await stop.wait()


if __name__ == "__main__":
    open_files.allow(MOST)
    garbage.search_rarely()
    asyncio.run(_run(Path(sys.argv[1])))
