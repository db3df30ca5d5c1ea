"""Everything that a cloud serves over HTTPS, asked without a server, for harnesses."""

import asyncio
import random
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from host_tools.emulator.cloud import Cloud
from host_tools.emulator.config import Config
from host_tools.emulator.dps.enrollment import EnrollmentGroup, KeyPair
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Event
from host_tools.emulator.portal.app import Portal
from host_tools.emulator.rest import dps_device, dps_service
from host_tools.emulator.rest.access import Access
from host_tools.emulator.rest.app import application
from host_tools.emulator.rest.control import Control
from host_tools.emulator.rest.event_log import EventLog
from host_tools.emulator.rest.event_stream import EventStream
from host_tools.keys import derive_device_key
from keystead import dps
from keystead.sas import sas_token
from tests.fuzz.bench import HUB, KEYS, NAME, OTHER

CONTROL = "control-token-of-the-fuzzer"
EXPIRY = 4_000_000_000
_LIMIT = 10  # seconds for an answer: all are at once


class Reply(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


class Web:
    """A cloud with two devices, and its web application."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="keystead-fuzz-")
        self._loop = asyncio.new_event_loop()
        self.asked = 0
        self.log = EventLog(100)
        self.cloud = Cloud(
            Config(groups=(EnrollmentGroup("mylegacydevices", HUB, KEYS),)),
            on_event=self._hear,
            state_dir=Path(self._directory.name),
            random=random.Random(7).randbytes,
        )
        self.hub = self.cloud.hubs.hub(HUB)
        control = Control(Access(self.cloud, CONTROL), EventStream(self.log, "1f"), dict)
        self.portal = Portal(self.cloud)
        more = [*dps_service.routes(self.cloud), *dps_device.routes(self.cloud)]
        self.app = application(control, [*more, *self.portal.routes()])
        for name in (NAME, OTHER):
            self._create(name)
        self.tokens = self._tokens()

    def _hear(self, event: Event) -> None:
        event.line()
        event.json()
        self.log.take(event)

    # of a program at the hub and at DPS, and of a device at DPS
    def _tokens(self) -> tuple[str, str, str]:
        hub_key = self.hub.policies.keys("iothubowner").primary
        service, owner = self.cloud.dps.policies, "provisioningserviceowner"
        scope = self.cloud.config.id_scope
        device_key = derive_device_key(KEYS.primary, NAME)
        return (
            sas_token(HUB, hub_key, EXPIRY, "iothubowner"),
            sas_token(self.cloud.dps.host, service.keys(owner).primary, EXPIRY, owner),
            sas_token(dps.resource(scope, NAME), device_key, EXPIRY, "registration"),
        )

    def _create(self, name: str) -> None:
        key = derive_device_key(KEYS.primary, name)
        self.hub.create(name, time.time(), KeyPair(key, KEYS.secondary))

    def mend(self) -> None:
        """Have everything there again that a request may have taken away."""
        self.cloud.faults.clear()
        assert self.hub.device(OTHER).enabled, "the neighbour's device is as it was"
        try:
            self.hub.device(NAME)
        except ServiceError:
            self._create(NAME)

    def close(self) -> None:
        """Forget all."""
        self.portal.close()
        self.cloud.close()
        self._loop.close()
        self._directory.cleanup()

    def ask(self, method: str, target: str, body: bytes = b"", **named: str | bytes) -> Reply:
        """Ask as a server would pass it on; named: headers, with _ for -."""
        self.asked += 1
        path, _, query = target.partition("?")
        headers = {name.replace("_", "-"): value for name, value in named.items() if value}
        host = str(headers.setdefault("host", HUB))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": unquote(path, errors="replace"),
            "raw_path": path.encode("latin-1", "replace"),
            "query_string": query.encode("latin-1", "replace"),
            "headers": [
                (name.encode(), value if isinstance(value, bytes) else value.encode("latin-1"))
                for name, value in headers.items()
            ],
            "client": ("127.0.0.1", 5),
            "server": (host, 443),
            "state": {},
        }
        return self._loop.run_until_complete(asyncio.wait_for(self._reply(scope, body), _LIMIT))

    async def _reply(self, scope: dict[str, Any], body: bytes) -> Reply:
        incoming = [{"type": "http.request", "body": body, "more_body": False}]
        parts: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return incoming.pop(0) if incoming else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            parts.append(message)

        await self.app(scope, receive, send)  # type: ignore[arg-type]
        headers = {name.decode().lower(): text.decode() for name, text in parts[0]["headers"]}
        content = b"".join(part.get("body", b"") for part in parts[1:])
        return Reply(parts[0]["status"], headers, content)


def renewed(web: list[Web], most: int) -> Web:
    """Return the cloud in a list, a new one after so many requests."""
    if web and web[0].asked > most:
        web.pop().close()
    if not web:
        web.append(Web())
    return web[0]


def disturbs(name: str, *texts: str) -> bool:
    """Tell whether a request might be meant for the neighbour, spelled in whichever way."""
    return any(name in unquote(text).lower() or "\\u" in text for text in texts)
