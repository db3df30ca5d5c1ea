"""DPS for devices over HTTPS: the same three requests as over MQTT, and the same answers.

    PUT  /{ID scope}/registrations/{registration ID}/register
    GET  /{ID scope}/registrations/{registration ID}/operations/{operation ID}
    POST /{ID scope}/registrations/{registration ID}          where was I assigned?

The SAS token is the Authorization header. Owns these addresses and headers. Doesn't own what is
answered (dps/registrar.py).
Source: "How to use symmetric keys over HTTPS"; "Runtime registration" in the DPS REST API.
"""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from host_tools.emulator.dps.bodies import guid
from host_tools.emulator.dps.events import Asked
from host_tools.emulator.dps.registrar import Answer, Caller
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.faults import answers, when
from host_tools.emulator.faults.action import Kind
from host_tools.emulator.faults.faults import Trouble
from host_tools.emulator.rest.dps_calls import House, answer, body_of, route, version
from host_tools.emulator.rest.troubles import befall

_DEVICE = "/{scope}/registrations/{registration_id}"


def routes(house: House) -> list[BaseRoute]:
    """Return the routes of the device's API."""
    desk = _Desk(house)
    return [
        route(house, f"{_DEVICE}/register", PUT=desk.register),
        route(house, _DEVICE + "/operations/{operation_id}", GET=desk.poll),
        route(house, _DEVICE, POST=desk.look_up),
    ]


class _Desk:
    """Where devices come to."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._registrar = house.dps.registrar

    async def register(self, request: Request, now: float) -> Response:
        body = await body_of(request)
        return await self._asked(
            request, when.REGISTER, lambda caller: self._registrar.register(caller, body, now), now
        )

    async def poll(self, request: Request, now: float) -> Response:
        identifier = str(request.path_params["operation_id"])
        return await self._asked(
            request, when.POLL, lambda caller: self._registrar.poll(caller, identifier, now), now
        )

    async def look_up(self, request: Request, now: float) -> Response:
        body = await body_of(request)
        return await self._asked(
            request, when.LOOK_UP, lambda caller: self._registrar.look_up(caller, body, now), now
        )

    async def _asked(
        self, request: Request, operation: str, ask: Callable[[Caller], Answer], now: float
    ) -> Response:
        caller = self._caller(request, operation, now)
        name = caller.registration_id
        trouble = self._house.faults.request(when.DPS, name, operation, now)

        async def asked() -> Response:
            return self._response(request, ask(caller))

        def refused(error: ServiceError) -> Response:
            return self._response(request, self._registrar.refuse(error, now))

        if trouble is None:
            return await asked()
        if trouble.action.kind is Kind.STATUS:
            return self._response(request, self._invented(request, name, trouble, now))
        # of an error, the code is DPS's own
        return await befall(trouble, request, asked, lambda error: refused(trouble.error or error))

    def _caller(self, request: Request, operation: str, now: float) -> Caller:
        scope, name = (str(request.path_params[key]) for key in ("scope", "registration_id"))
        named = version(request)
        self._house.tell(Asked(now, name, operation, named))
        password = request.headers.get("authorization", "").encode("latin-1")
        checked = self._house.faults.clock(when.DPS, name, now)
        return self._house.dps.caller(scope, name, named, password, checked)

    def _invented(self, request: Request, name: str, trouble: Trouble, now: float) -> Answer:
        asked = str(request.path_params.get("operation_id", ""))
        identifier = asked or answers.operation_id("", trouble.lot)
        tag = guid(self._house.dps.random)
        return Answer(200, answers.state_body(trouble.action, name, identifier, tag, now))

    # Location: where it was sent to; the operation's address is the client's to make
    def _response(self, request: Request, made: Answer) -> Response:
        host = request.headers.get("host", self._house.dps.host)
        headers = {"Location": f"https://{host}{request.url.path}"} if made.status == 202 else {}
        return answer(self._house, made.status, made.body, made.retry_after, headers)
