"""Harness: HTTP requests to the REST interface, with a service's token or without.

Method, path and body are the fuzzer's, the server below (uvicorn) is not in it. The oracle: an
answer, always; its status says whose fault it is, and never ours; its JSON is JSON.
"""

import asyncio
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from host_tools.emulator.dps.enrollment import KeyPair
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Event
from host_tools.emulator.faults.faults import Faults
from host_tools.emulator.hub.hubs import Hubs
from host_tools.emulator.rest.access import Access
from host_tools.emulator.rest.app import application
from host_tools.emulator.rest.control import Control
from host_tools.emulator.rest.event_log import EventLog
from host_tools.emulator.rest.event_stream import EventStream
from host_tools.emulator.store.database import Database
from keystead.sas import sas_token
from tests.fuzz.bench import HUB, NAME, OTHER
from tests.fuzz.chance import Chance, said

CONTROL = "control-token-of-the-fuzzer"
PATHS = (
    "/devices",
    f"/devices/{NAME}",
    "/devices/query",
    f"/twins/{NAME}",
    f"/twins/{NAME}/methods",
    "/statistics/devices",
    "/statistics/service",
    "/keystead/status",
    "/keystead/faults",
    "/keystead/traces",
    f"/keystead/hubs/{HUB}/devices/{NAME}/messages",
    "/",
)
METHODS = ("GET", "PUT", "POST", "PATCH", "DELETE")
TOKENS = [
    *(path.encode() for path in PATHS),
    b'{"deviceId":"dev-1","status":"enabled"}',
    b'"authentication":{"type":"sas","symmetricKey":{"primaryKey":"","secondaryKey":""}}',
    b'{"query":"SELECT * FROM devices WHERE tags.a = 1 AND properties.desired.b != \'x\'"}',
    b"SELECT COUNT() AS n FROM devices",
    b"ORDER BY deviceId DESC",
    b"is_defined(",
    b" IN ['a','b']",
    b"startswith(deviceId, 'd')",
    b" AND ",
    b" OR ",
    b"NOT (",
    b"properties.reported.",
    b"GROUP BY tags.a",
    b"TOP 5",
    b'{"tags":{"a":1},"properties":{"desired":{"b":null}}}',
    b'{"methodName":"reboot","payload":{}}',
    b'[{"id":"a","importMode":"create"}]',
    b'"importMode":"updateTwin"',
    b'{"body":"hello","properties":{"a":"b"}}',
    b'"the 3rd board gets 429, twice"',
    b'{"who":"every board","gets":"429"}',
    b"?api-version=2021-04-12",
    b"\\ud800",
    b"NaN",
    b"1e999",
]
_LIFE = 2000  # requests to one bench
_EXPIRY = 4_000_000_000


class Bench:
    """A hub and its REST interface."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="keystead-fuzz-")
        self.left = _LIFE
        self.log = EventLog()
        self.database = Database(Path(self._directory.name))
        chance = random.Random(7).randbytes
        self.hubs = Hubs([HUB], self.database, self.tell, "localhost", chance)
        self.hub = self.hubs.hub(HUB)
        self.faults = Faults(self.tell)
        control = Control(Access(self, CONTROL), EventStream(self.log, "1f"), dict, lambda _: [])
        self.app = application(control)
        key = self.hub.policies.keys("iothubowner").primary
        self.token = sas_token(HUB, key, _EXPIRY, "iothubowner")
        keys = KeyPair(bytes(range(32)), bytes(range(32)))
        for name in (NAME, OTHER):
            self.hub.create(name, time.time(), keys)

    def tell(self, event: Event) -> None:
        """Hear what happens."""
        event.line()
        event.json()
        self.log.take(event)

    def close(self) -> None:
        """Forget all."""
        self.database.close()
        self._directory.cleanup()

    async def ask(
        self, method: str, target: str, body: bytes, token: str, etag: bytes
    ) -> tuple[int, bytes]:
        """Ask as a server would pass it on; return status and body."""
        path, _, query = target.partition("?")
        headers = [(b"host", HUB.encode()), (b"authorization", token.encode())]
        headers += [(b"if-match", etag)] if etag else []
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": unquote(path, errors="replace"),
            "raw_path": path.encode("latin-1", "replace"),
            "query_string": query.encode("latin-1", "replace"),
            "headers": headers,
            "client": ("127.0.0.1", 5),
            "server": (HUB, 443),
            "state": {},
        }
        incoming = [{"type": "http.request", "body": body, "more_body": False}]
        answer: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return incoming.pop(0) if incoming else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            answer.append(message)

        await self.app(scope, receive, send)  # type: ignore[arg-type]
        content = b"".join(part.get("body", b"") for part in answer[1:])
        return answer[0]["status"], content


_loop = asyncio.new_event_loop()
_bench: list[Bench] = []


def run(data: bytes) -> None:
    """Ask a few things, one after the other."""
    if not _bench or _bench[0].left < 0:
        while _bench:
            _bench.pop().close()
        _bench.append(Bench())
    bench, chance = _bench[0], Chance(data)
    for _ in range(8):
        if not chance.more():
            break
        _ask(bench, chance)
    bench.faults.clear()
    assert bench.hub.device(OTHER).enabled, "the neighbour's device is as it was"


def _ask(bench: Bench, chance: Chance) -> None:
    method = METHODS[chance.below(len(METHODS))]
    choice, tail = chance.below(len(PATHS) + 1), chance.piece().decode("latin-1")
    target = (PATHS[choice] if choice < len(PATHS) else "/") + tail
    target += ("&" if "?" in target else "?") + "api-version=2021-04-12"
    token = (bench.token, f"Bearer {CONTROL}", "", tail)[chance.below(4)]
    etag, body = (b"", b"*", b'"x"', b"\xff")[chance.below(4)], chance.piece()
    if "/query" in target and body[:1] != b"{":
        body = json.dumps({"query": body.decode(errors="replace")}).encode()
    # nobody waits for a device that is not there, or reads events for ever, in a fuzzer's time
    if b"onnectTimeout" in body or "/events" in unquote(target) or _is_for(OTHER, target, body):
        return
    bench.left -= 1
    status, content = _loop.run_until_complete(
        asyncio.wait_for(bench.ask(method, target, body, token, etag), 10)
    )
    if not bench.faults.active:  # a rule may ask for just that
        assert 200 <= status < 500 or status in (501, 504), (status, content)
        if content:
            json.loads(content, parse_constant=_refuse)
    try:
        bench.hub.device(NAME)
    except ServiceError:
        bench.hub.create(NAME, time.time(), KeyPair(bytes(32), bytes(32)))


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def _is_for(name: str, target: str, body: bytes) -> bool:
    return name in unquote(target).lower() or name.encode() in body.lower() or b"\\u" in body


SEEDS = [
    said(1, 1, b"", 0, 0, b'{"deviceId":"dev-1","status":"disabled","statusReason":"x"}'),
    said(2, 2, b"", 0, 0, b'{"query":"SELECT * FROM devices WHERE tags.a = 1 AND status != 1"}'),
    said(
        2, 2, b"", 0, 0, b"SELECT COUNT() AS n FROM devices WHERE is_defined(tags.a) OR a IN ['b']"
    ),
    said(2, 2, b"", 0, 0, b"SELECT deviceId, tags FROM devices WHERE NOT (tags.a >= 1.5)"),
    said(3, 3, b"", 0, 1, b'{"tags":{"a":1},"properties":{"desired":{"b":null,"c":[1]}}}'),
    said(0, 3, b"", 1, 0, b""),
    said(2, 4, b"", 0, 0, b'{"methodName":"reboot","payload":{},"responseTimeoutInSeconds":5}'),
    said(2, 0, b"", 0, 0, b'[{"id":"a","importMode":"create"},{"id":"a","importMode":"delete"}]'),
    said(2, 8, b"", 1, 0, b'"the 3rd board gets 429, twice"', 0, 8, b"", 1, 0, b""),
    said(2, 10, b"", 1, 0, b'{"body":"hello","properties":{"a":"b"}}'),
    said(4, 1, b"", 0, 2, b"", 0, 5, b"", 0, 0, b"", 0, 6, b"", 0, 0, b""),
]
