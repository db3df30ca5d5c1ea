"""Calls: one request to a hub's REST interface, from its checks to its answer.

Owns the order of the checks and how failures are answered, those that a rule of the faults wants
among them. Doesn't own what is asked: that is the handlers (devices.py, twins.py, ...), each a
function of a Call.
"""

import json
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Failed
from host_tools.emulator.faults import when as at
from host_tools.emulator.hub.hub import Hub
from host_tools.emulator.mqtt.peer import API_VERSION
from host_tools.emulator.rest import bodies, errors
from host_tools.emulator.rest.access import Access
from host_tools.emulator.rest.troubles import befall
from host_tools.emulator.store.database import StoreError

_VERSION = re.compile(API_VERSION)
_ETAG = re.compile(r'(?:W/)?"?([^"]*)"?')


@dataclass(frozen=True)
class Call:
    """A request that may do what it asks for, and the hub it is for."""

    request: Request
    hub: Hub
    now: float

    @property
    def device_id(self) -> str:
        """Return the device ID in the path."""
        return str(self.request.path_params["device_id"])

    # If-Match: "{etag}", with quotation marks or without, or *
    @property
    def if_match(self) -> str | None:
        """Return the etag that is asked for, "*" for any, None without the header."""
        header = self.request.headers.get("if-match")
        match = _ETAG.fullmatch((header or "").strip())
        return None if header is None else match[1] if match else header

    async def json(self) -> Any:
        """Return the JSON in the body; raise ServiceError."""
        return bodies.parse(await self.request.body())


Handler = Callable[[Call], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def served(
    access: Access,
    right: str,
    handler: Handler,
    failed: Callable[[ServiceError], Response] = errors.response,
) -> Endpoint:
    """Return handler as a route's end point, for callers that have right."""

    house = access.house

    async def answered(request: Request, now: float) -> Response:
        hub: Hub | None = None
        try:
            _check_version(request)
            hub = access.hub(request, right, now)
            return await handler(Call(request, hub, now))
        except ServiceError as error:
            return failed(error)
        except StoreError as error:
            name = hub.name if hub else "IoT Hub"
            why = f"its state can not be used: {error}"
            house.tell(Failed(now, name, "a caller of REST", why, "HTTP 500"))
            return failed(ServiceError(500001, "Internal server error."))
        except ClientDisconnect:
            return failed(ServiceError(400004, "the body is not whole"))

    async def endpoint(request: Request) -> Response:
        device_id, now = str(request.path_params.get("device_id", "")), time.time()
        checked = house.faults.clock(at.REST, device_id, now)
        trouble = house.faults.request(at.REST, device_id, at.REQUEST, now)
        if trouble is None:
            return await answered(request, checked)
        return await befall(trouble, request, lambda: answered(request, checked), failed)

    return endpoint


def answer(document: Any, etag: str = "", headers: dict[str, str] | None = None) -> Response:
    """Return a JSON answer."""
    named = {"ETag": f'"{etag}"'} if etag else {}
    # in ASCII: half a surrogate pair, which a device may report, is JSON and has no UTF-8
    try:
        text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    except RecursionError:  # what a device answered could just be read
        raise ServiceError(500001, "the answer is nested too deep") from None
    return Response(text, headers={**named, **(headers or {})}, media_type=errors.JSON)


# ?api-version={date}; our own end points need none
def _check_version(request: Request) -> None:
    version = request.query_params.get("api-version")
    if version is None and "hub" in request.path_params:
        return
    if not _VERSION.fullmatch(version or ""):
        raise ServiceError(400001, "api-version must be a date, e.g. ?api-version=2021-04-12")
