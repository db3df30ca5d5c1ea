"""Hub: the table of a hub's REST interface, and the rights that its rows need.

Owns addresses and rights. Doesn't own the handlers. What Azure has and this cloud has not is
answered with 501 and words.
Sources: "IoT Hub REST API", api-version 2021-04-12; "Control access to IoT Hub with shared access
signatures"; for twins ServiceConnect is asked for, not RegistryRead [seen].
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.policies import REGISTRY_READ, REGISTRY_WRITE, SERVICE_CONNECT
from host_tools.emulator.rest import bulk, devices, errors, twins
from host_tools.emulator.rest.access import Access
from host_tools.emulator.rest.calls import Endpoint, Handler, served
from host_tools.emulator.rest.errors import NOT_SERVED

_TABLE: tuple[tuple[str, str, str, Handler], ...] = (
    ("GET", "/devices", REGISTRY_READ, devices.list_all),
    ("GET", "/devices/", REGISTRY_READ, devices.list_all),  # Azure's Node SDK asks so
    ("POST", "/devices", REGISTRY_WRITE, bulk.change),
    ("POST", "/devices/query", REGISTRY_READ, twins.find),
    ("GET", "/devices/{device_id}", REGISTRY_READ, devices.get),
    ("PUT", "/devices/{device_id}", REGISTRY_WRITE, devices.put),
    ("DELETE", "/devices/{device_id}", REGISTRY_WRITE, devices.delete),
    ("DELETE", "/devices/{device_id}/commands", SERVICE_CONNECT, devices.purge),
    ("GET", "/twins/{device_id}", SERVICE_CONNECT, twins.get),
    ("PATCH", "/twins/{device_id}", SERVICE_CONNECT, twins.patch),
    ("PUT", "/twins/{device_id}", SERVICE_CONNECT, twins.put),
    ("GET", "/statistics/devices", REGISTRY_READ, devices.counts),
    ("GET", "/statistics/service", SERVICE_CONNECT, devices.connected),
)
_METHODS = "/twins/{device_id}/methods"
_ABSENT = {
    "/devices/{device_id}/modules": "modules",
    "/devices/{device_id}/modules/{rest:path}": "modules",
    "/devices/{device_id}/applyConfigurationContent": "IoT Edge",
    "/devices/{device_id}/messages/{rest:path}": "the device's own HTTPS interface",
    "/twins/{device_id}/modules/{rest:path}": "modules",
    "/digitaltwins/{rest:path}": "digital twins",
    "/configurations": "configurations",
    "/configurations/{rest:path}": "configurations",
    "/jobs": "jobs",
    "/jobs/{rest:path}": "jobs",
    "/messages/serviceBound/{rest:path}": "feedback over HTTPS (it comes by AMQP)",
}


def routes(access: Access) -> list[BaseRoute]:
    """Return the routes of the hubs' REST interface."""
    found: list[BaseRoute] = [
        Route(path, served(access, right, handler), methods=[method])
        for method, path, right, handler in _TABLE
    ]
    invoke = served(access, SERVICE_CONNECT, twins.invoke, errors.nested_response)
    found.append(Route(_METHODS, invoke, methods=["POST"]))
    found += [Route(path, _absent(what), methods=_EVERY) for path, what in _ABSENT.items()]
    return found


_EVERY = ["DELETE", "GET", "PATCH", "POST", "PUT"]


def _absent(what: str) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return errors.response(ServiceError(NOT_SERVED, f"this cloud has not: {what}"))

    return endpoint
