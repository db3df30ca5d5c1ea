"""The REST interface of a DPS without a server: requests in, answers out."""

import asyncio
import base64
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from host_tools.emulator.dps.service import Dps
from host_tools.emulator.faults.faults import Faults
from keystead.percent import quote
from keystead.sas import sas_token

HOST = "keystead.azure-devices-provisioning.net"
POLICY = "provisioningserviceowner"
VERSION = "api-version=2021-10-01"


class House:
    """What the routes see of a cloud."""

    def __init__(self, dps: Dps, tell: Callable[[Any], None]) -> None:
        self.dps = dps
        self.tell = tell
        self.faults = Faults(tell)


class Rest:
    """A client of some routes."""

    def __init__(self, house: House, routes: Iterable[BaseRoute]) -> None:
        self._house = house
        self.app = Starlette(routes=list(routes))
        self.app.router.redirect_slashes = False

    def token(self, resource: str = HOST, policy: str = POLICY, key: bytes = b"") -> str:
        """Return a program's token."""
        key = key or self._house.dps.policies.keys(POLICY).primary
        return sas_token(resource, key, int(time.time()) + 3600, policy)

    def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        query: str = VERSION,
        **headers: str,
    ) -> httpx.Response:
        """Ask; headers: with _ for -; bytes as a body are sent as they are."""
        sent = {"authorization": self.token(), "host": HOST}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes) else None
        json = None if body is None or content is not None else body
        return asyncio.run(self._ask(method, f"{path}?{query}", content, json, sent))

    async def _ask(
        self, method: str, url: str, content: bytes | None, json: object, headers: dict[str, str]
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url=f"https://{HOST}") as client:
            return await client.request(method, url, content=content, json=json, headers=headers)


def code(response: httpx.Response) -> int:
    """Return an error's code; check that all of it is the service's."""
    error = response.json()
    assert set(error) == {"errorCode", "trackingId", "message", "info", "timestampUtc"}
    assert response.status_code == error["errorCode"] // 1000
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    return error["errorCode"]


def text(key: bytes) -> str:
    """Return a key as JSON has it."""
    return base64.b64encode(key).decode()


def encoded(name: str) -> str:
    """Return a name as a path has it."""
    return quote(name)
