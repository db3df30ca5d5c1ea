"""Calls to DPS over HTTPS: from an address and a method to a handler, and its failures to JSON.

Owns addresses that ignore case and a slash at their end (the service's clients spell them in
several ways), the checks that all requests have in common, and the error's body. Doesn't own what
is asked: dps_device.py, dps_service.py.
"""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from host_tools.emulator.dps import bodies
from host_tools.emulator.dps.bodies import guid
from host_tools.emulator.dps.service import Dps
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Event, Failed
from host_tools.emulator.faults.faults import Faults
from host_tools.emulator.mqtt.peer import API_VERSION
from host_tools.emulator.store.database import StoreError

JSON = "application/json; charset=utf-8"
_VERSION = re.compile(API_VERSION)


class House(Protocol):
    """The cloud, as these modules see it."""

    @property
    def dps(self) -> Dps:
        """Return the DPS instance."""

    @property
    def faults(self) -> Faults:
        """Return what may go wrong on demand."""

    def tell(self, event: Event) -> None:
        """Tell everybody who listens what happened."""


Handler = Callable[[Request, float], Awaitable[Response]]


def route(house: House, path: str, **handlers: Handler) -> Route:
    """Return a route: handlers by method; a handler may raise ServiceError and StoreError."""
    found = Route(path, _Address(house, handlers))
    pattern = found.path_regex.pattern.removesuffix("$")
    found.path_regex = re.compile(f"{pattern}/?$", re.IGNORECASE)
    return found


class _Address:
    """What is at one address, for whichever method: an ASGI application."""

    def __init__(self, house: House, handlers: Mapping[str, Handler]) -> None:
        self._house = house
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request, now = Request(scope, receive), time.time()
        response = await self._answer(request, now)
        await response(scope, receive, send)

    async def _answer(self, request: Request, now: float) -> Response:
        try:
            handler = self._handlers.get(request.method)
            if handler is None:
                raise ServiceError(405000, "This method is not for this address.")
            return await handler(request, now)
        except ServiceError as error:
            return failed(self._house, error, now)
        except StoreError as error:
            why = f"its state can not be used: {error}"
            self._house.tell(Failed(now, "DPS", "a caller of HTTPS", why, "error 500001"))
            return failed(self._house, ServiceError(500001, "Internal server error."), now)
        except ClientDisconnect:
            return failed(self._house, ServiceError(400004, "The body is not whole."), now)
        except HTTPException as error:  # of a body that is too large or too slow
            return failed(self._house, ServiceError(error.status_code * 1000, error.detail), now)


# {"errorCode":404201,"trackingId":"...","message":"...","info":{},"timestampUtc":"..."}
def failed(house: House, error: ServiceError, now: float) -> Response:
    """Return the answer of an error."""
    tracking_id = guid(house.dps.random)
    body = bodies.error(error.code, str(error), tracking_id, now)
    return answer(house, error.status, body, error.retry_after)


def answer(
    house: House,
    status: int,
    body: bytes,
    retry_after: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an answer with JSON."""
    named = {"x-ms-request-id": guid(house.dps.random), **(headers or {})}
    if retry_after is not None:
        named["Retry-After"] = str(retry_after)
    return Response(body, status, named, JSON)


def shown(house: House, document: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer with a document."""
    return answer(house, 200, bodies.compact(document), headers=headers)


def no_content(house: House) -> Response:
    """Return the answer to what was deleted."""
    return Response(status_code=204, headers={"x-ms-request-id": guid(house.dps.random)})


# ?api-version={date}
def version(request: Request) -> str:
    """Return the API version that a request names; raise ServiceError."""
    named = request.query_params.get("api-version", "")
    if not _VERSION.fullmatch(named):
        raise ServiceError(400004, "api-version must be a date, e.g. ?api-version=2021-10-01")
    return named


async def body_of(request: Request) -> bytes:
    """Return the body of a request, which is JSON if there is any; raise ServiceError."""
    body = await request.body()
    kind = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if body and not (kind == "application/json" or kind.endswith("+json")):
        raise ServiceError(415000, "The body must be application/json.")
    return body
