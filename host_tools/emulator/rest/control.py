"""Control: this cloud's own interface, for commands, rigs and tests.

    GET    /keystead/status                                what is listened on, hubs, enrollments
    GET    /keystead/events?device=&event=&hub=&from=      server-sent events (event_stream.py)
    *      /keystead/hubs/{hub}/devices..., /twins...      the hub's REST interface, by its name
    POST   /keystead/hubs/{hub}/devices/{id}/messages      a cloud-to-device message, without AMQP
    GET    /keystead/traces                                the time lines of connections
    GET, POST, DELETE /keystead/faults[/{id}]              the rules of faults/rule.py

A message's body is the body of the request, as it is; its properties are the query's
(?name=value), its system properties headers: message-id, correlation-id, user-id, content-type,
content-encoding, expiry (seconds from now), ack.

Owns these addresses. Callers show the control token (Authorization: Bearer ...), which opens
everything; with a SAS token of a hub's policy only that hub is open.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.faults.rule import Rule
from host_tools.emulator.hub.messages import CloudMessage
from host_tools.emulator.policies import SERVICE_CONNECT
from host_tools.emulator.rest import bodies, errors, hub
from host_tools.emulator.rest.access import Access, unauthorized
from host_tools.emulator.rest.bodies import INVALID
from host_tools.emulator.rest.calls import Call, Endpoint, answer, served
from host_tools.emulator.rest.errors import NOT_FOUND, NOT_SERVED
from host_tools.emulator.rest.event_stream import EventStream, Filter
from host_tools.emulator.store.database import StoreError
from host_tools.errors import CommandError

ROOT = "/keystead"
_LONGEST_LIFE = 172_800  # seconds that a message may wait: two days


@dataclass(frozen=True)
class Control:
    """What is served below /keystead."""

    access: Access
    stream: EventStream
    status: Callable[[], dict[str, Any]]  # no key is in it
    traces: Callable[[str], Iterable[dict[str, Any]]] | None = None  # of a device, "" for all

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        send = served(self.access, SERVICE_CONNECT, send_message)
        return [
            Route(f"{ROOT}/status", self._open(self._status)),
            Route(f"{ROOT}/events", self._events),
            Route(f"{ROOT}/traces", self._open(self._traces)),
            Route(f"{ROOT}/faults", self._open(self._faults), methods=["GET", "POST", "DELETE"]),
            Route(f"{ROOT}/faults/{{fault}}", self._open(self._fault), methods=["DELETE"]),
            Mount(
                f"{ROOT}/hubs/{{hub}}",
                routes=[
                    Route("/devices/{device_id}/messages", send, methods=["POST"]),
                    *hub.routes(self.access),
                ],
            ),
        ]

    def _open(self, handler: Endpoint) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            try:
                if not self.access.is_control(request):
                    raise unauthorized()
                return await handler(request)
            except ServiceError as error:
                return errors.response(error)
            except StoreError as error:
                why = f"the cloud's state can not be used: {error}"
                return errors.response(ServiceError(500001, why))
            except ClientDisconnect:
                return errors.response(ServiceError(INVALID, "the body is not whole"))

        return endpoint

    async def _status(self, request: Request) -> Response:
        return answer(self.status())

    # a hub's policy opens what happens at that hub
    async def _events(self, request: Request) -> Response:
        try:
            wanted = Filter.parse(request.query_params)
            if not self.access.is_control(request):
                own = self.access.hub(request, SERVICE_CONNECT, time.time()).name.lower()
                if wanted.hubs - {own}:
                    raise unauthorized()
                wanted = replace(wanted, hubs=frozenset({own}))
            return self.stream.response(request, wanted)
        except ServiceError as error:
            return errors.response(error)

    async def _traces(self, request: Request) -> Response:
        if self.traces is None:
            raise ServiceError(NOT_SERVED, "no traces are kept: start the cloud with --trace")
        return answer(list(self.traces(request.query_params.get("device", ""))))

    async def _faults(self, request: Request) -> Response:
        faults = self.access.house.faults
        if request.method == "POST":
            try:
                rule = Rule.from_json(bodies.parse(await request.body()))
            except CommandError as error:
                raise ServiceError(INVALID, str(error)) from None
            return answer({"id": faults.add(rule, time.time())})
        if request.method == "DELETE":
            faults.clear()
        return answer(faults.list())

    async def _fault(self, request: Request) -> Response:
        number = str(request.path_params["fault"])
        known = number.isascii() and number.isdigit() and len(number) < 10
        if not (known and self.access.house.faults.remove(int(number))):
            raise ServiceError(NOT_FOUND, "no rule has this id")
        return Response(status_code=204)


async def send_message(call: Call) -> Response:
    """Answer POST /keystead/hubs/{hub}/devices/{device ID}/messages."""
    request, header = call.request, call.request.headers.get
    lifetime = header("expiry", "0")
    if not (lifetime.isascii() and lifetime.isdigit() and len(lifetime) < 10):
        raise ServiceError(INVALID, "expiry is not a number of seconds")
    if int(lifetime) > _LONGEST_LIFE:
        raise ServiceError(INVALID, f"expiry is more than {_LONGEST_LIFE} s, two days")
    message = CloudMessage(
        await request.body(),
        message_id=header("message-id", ""),
        correlation_id=header("correlation-id", ""),
        user_id=header("user-id", ""),
        content_type=header("content-type", ""),
        content_encoding=header("content-encoding", ""),
        ack=header("ack", "none"),
        expires=call.now + int(lifetime) if int(lifetime) else 0,
        properties={
            name: value for name, value in request.query_params.items() if name != "api-version"
        },
    )
    call.hub.send(call.device_id, message, call.now)
    return Response(status_code=204)
