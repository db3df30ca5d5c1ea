"""App: everything that a cloud serves over HTTPS, put together.

Owns the order of the routes and the answer to what none of them takes. Doesn't own the server
(serve/http.py).
"""

from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.rest import errors, hub
from host_tools.emulator.rest.control import Control

_CODES = {404: errors.NOT_FOUND}
_WORDS = {404: "nothing is at this address", 405: "this method is not for this address"}


def application(control: Control, more: Iterable[BaseRoute] = ()) -> Starlette:
    """Return the application; more: DPS's routes, MQTT over WebSocket, the portal."""
    routes = [*hub.routes(control.access), *control.routes(), *more]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _refused})
    app.router.redirect_slashes = False
    return app


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = error.status_code
    code = _CODES.get(status, status * 1000 + 1)
    return errors.response(ServiceError(code, _WORDS.get(status, error.detail)))
