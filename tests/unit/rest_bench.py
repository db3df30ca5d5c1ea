"""Hubs on a bench and their REST interface, without a socket: for the tests beside."""

import asyncio
import functools
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from host_tools.emulator.events import Event
from host_tools.emulator.faults.faults import Faults
from host_tools.emulator.hub.hubs import Hubs
from host_tools.emulator.hub.peer import HubPeer
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.mqtt.connect import Connect
from host_tools.emulator.mqtt.packets import Publish
from host_tools.emulator.mqtt.peer import Message
from host_tools.emulator.rest.access import Access
from host_tools.emulator.rest.app import application
from host_tools.emulator.rest.control import Control
from host_tools.emulator.rest.event_log import EventLog
from host_tools.emulator.rest.event_stream import EventStream
from host_tools.emulator.store.database import Database
from host_tools.keys import decode_key
from keystead import hub as hub_wire
from keystead.sas import sas_token

HUB, OTHER_HUB = "bench-hub.azure-devices.net", "other-hub.azure-devices.net"
TOKEN = "control-token"
KEYS = KeyPair(bytes(range(32)), bytes(range(32, 64)))


def awaited(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Make a test of a coroutine function."""

    @functools.wraps(test)
    def run_it(*arguments: object, **named: object) -> None:
        asyncio.run(test(*arguments, **named))

    return run_it


class Bench:
    """Two hubs, what they tell, and an HTTP client for them."""

    def __init__(self, directory: Path, more: Callable[["Bench"], dict[str, Any]]) -> None:
        self.events: list[Event] = []
        self.log = EventLog()
        self.database = Database(directory)
        self.hubs = Hubs([HUB, OTHER_HUB], self.database, self.tell, "localhost")
        self.hub = self.hubs.hub(HUB)
        self.faults = Faults(self.tell)
        access = Access(self, TOKEN)
        control = Control(access, EventStream(self.log, "1f"), dict, **more(self))
        self.app = application(control)

    def tell(self, event: Event) -> None:
        self.events.append(event)
        self.log.take(event)

    def token(
        self, policy: str = "iothubowner", host: str = HUB, hub: str = HUB, life: int = 3600
    ) -> str:
        """A service's SAS token."""
        key = self.hubs.hub(hub).policies.keys(policy).primary
        return f"{sas_token(host, key, int(time.time()) + life)}&skn={policy}"

    async def ask(
        self, method: str, path: str, body: Any = None, *, host: str = HUB, **named: str
    ) -> httpx.Response:
        """Ask as iothubowner, unless named has another authorization."""
        headers = {
            "authorization": self.token(),
            **{k.replace("_", "-"): v for k, v in named.items()},
        }
        if "api-version" not in path and not path.startswith("/keystead"):
            path += ("&" if "?" in path else "?") + "api-version=2021-04-12"
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url=f"https://{host}") as client:
            return await client.request(
                method, path, headers=headers, **(content if body is not None else {})
            )

    async def create(self, device_id: str = "pump-7", **more: Any) -> dict[str, Any]:
        """Make a device; return what the registry says of it."""
        answer = await self.ask("PUT", f"/devices/{device_id}", {"deviceId": device_id, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def connected(self, device: dict[str, Any], *filters: str) -> "Device":
        """Let a device connect that the registry told of."""
        name = device["deviceId"]
        key = decode_key(device["authentication"]["symmetricKey"]["primaryKey"], "it")
        token = sas_token(hub_wire.resource(HUB, name), key, int(time.time()) + 3600)
        connect = Connect(name, hub_wire.username(HUB, name), token.encode())
        return Device(self.hubs.connect(connect, time.time()), filters)


class Device:
    """A device that is connected, by its peer alone."""

    def __init__(self, peer: HubPeer, filters: tuple[str, ...]) -> None:
        self.got: list[Message] = []
        self.dropped = ""
        self.peer = peer
        peer.push = self.got.append
        peer.drop = self._drop
        for message in peer.connected(time.time()):
            self.got.append(message)
        for one in filters:
            peer.subscribe(one, 1)

    def _drop(self, why: str, now: float) -> None:
        self.dropped = why

    def publish(self, topic: str, body: bytes = b"") -> None:
        self.peer.publish(Publish(topic, body), time.time())


@contextmanager
def bench(more: Callable[[Bench], dict[str, Any]] = lambda _: {}) -> Iterator[Bench]:
    """Set up a bench."""
    with tempfile.TemporaryDirectory() as directory:
        found = Bench(Path(directory), more)
        try:
            yield found
        finally:
            found.database.close()
