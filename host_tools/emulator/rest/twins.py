"""Twins: device twins, their queries and direct methods over REST.

Owns the bodies. Doesn't own the twins (hub/twin.py), the query language (query.py) nor the wait
for a device (hub/methods.py).
Seen of the service: PATCH merges, PUT replaces tags and desired properties, whether the body has
both or not; both go with If-Match or without.
Source: "IoT Hub REST API: Devices, Query"; "Understand and invoke direct methods from IoT Hub".
"""

import asyncio
import json
import time
from binascii import a2b_base64, b2a_base64
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.hub.hub import Hub
from host_tools.emulator.hub.methods import MethodAnswer, MethodCall
from host_tools.emulator.rest import bodies, query
from host_tools.emulator.rest.bodies import INVALID
from host_tools.emulator.rest.calls import Call, answer
from host_tools.emulator.rest.errors import STOPPING
from host_tools.emulator.serve.line import of

_PAGE, _LARGEST_PAGE = 100, 1000  # twins in one answer to a query
_TURN = 100  # twins looked at before others get their turn
_RESPONSE_TIMEOUT = 30  # seconds


async def get(call: Call) -> Response:
    """Answer GET /twins/{device ID}."""
    return _shown(call)


async def patch(call: Call) -> Response:
    """Answer PATCH /twins/{device ID}."""
    changes = bodies.fields(await call.json())
    call.hub.patch_twin(call.device_id, changes, call.now, call.if_match or "*")
    return _shown(call)


async def put(call: Call) -> Response:
    """Answer PUT /twins/{device ID}."""
    body = bodies.fields(await call.json())
    desired = bodies.part(body, "properties").get("desired")
    whole = {"tags": body.get("tags"), "properties": {"desired": desired}}
    call.hub.replace_twin(call.device_id, whole, call.now, call.if_match or "*")
    return _shown(call)


def _shown(call: Call) -> Response:
    document = call.hub.twin_document(call.device_id)
    return answer(document, document.get("etag", ""))


async def find(call: Call) -> Response:
    """Answer POST /devices/query."""
    asked = query.parse(bodies.text(bodies.fields(await call.json()), "query", 1 << 20))
    headers = {"x-ms-item-type": asked.item_type}
    if asked.count:
        count = 0
        async for twin in _all(call.hub):
            count += asked.finds(twin)
        return answer([{asked.count: count}], headers=headers)
    page, (seen, last) = _page(call)
    most = page if asked.top is None else min(page, max(asked.top - seen, 0))
    found: list[Any] = []
    async for twin in _all(call.hub, last):
        if not asked.finds(twin):
            continue
        if len(found) == most:
            if asked.top is None or seen + most < asked.top:
                headers["x-ms-continuation"] = _continuation(seen + most, last)
            break
        found.append(asked.shown(twin))
        last = twin["deviceId"]
    return answer(found, headers=headers)


# a few at a time: devices and other callers have their turns, and may change what comes next
async def _all(hub: Hub, after: str = "") -> AsyncIterator[dict[str, Any]]:
    for number, device in enumerate(hub.devices()):
        if number % _TURN == _TURN - 1:
            await asyncio.sleep(0)
        if device.device_id <= after:
            continue
        try:
            twin = hub.twin_document(device.device_id)
        except ServiceError as error:
            if error.status != 404:
                raise
            continue  # deleted since
        yield twin


# x-ms-max-item-count: {number}; x-ms-continuation: {Base64 of [how many there were, last ID]}
def _page(call: Call) -> tuple[int, tuple[int, str]]:
    size = call.request.headers.get("x-ms-max-item-count") or str(_PAGE)
    if not (size.isascii() and size.isdigit() and len(size) < 10 and int(size)):
        raise ServiceError(INVALID, "x-ms-max-item-count is not a number from 1")
    token = call.request.headers.get("x-ms-continuation") or _continuation(0, "")
    try:
        seen, last = json.loads(a2b_base64(token.encode("latin-1"), strict_mode=True))
        if not (isinstance(seen, int) and isinstance(last, str)):
            raise ValueError("not made here")
    except (ValueError, TypeError, RecursionError):
        raise ServiceError(INVALID, "x-ms-continuation is not one that came from here") from None
    return min(int(size), _LARGEST_PAGE), (seen, last)


def _continuation(seen: int, last: str) -> str:
    return b2a_base64(json.dumps([seen, last]).encode(), newline=False).decode()


async def invoke(call: Call) -> Response:
    """Answer POST /twins/{device ID}/methods when the device did."""
    method = _method(bodies.fields(await call.json()))
    waiting: asyncio.Future[MethodAnswer | ServiceError]
    waiting = asyncio.get_running_loop().create_future()

    def done(result: MethodAnswer | ServiceError) -> None:
        if not waiting.done():
            waiting.set_result(result)

    call.hub.invoke(call.device_id, method, time.monotonic(), done)
    with of(call.request).ending.told(lambda: done(ServiceError(STOPPING, "the cloud stops"))):
        result = await waiting
    if isinstance(result, ServiceError):
        raise result
    return answer({"status": result.status, "payload": result.payload})


# {"methodName", "payload", "responseTimeoutInSeconds", "connectTimeoutInSeconds"}
def _method(body: dict[str, Any]) -> MethodCall:
    response = bodies.number(body, "responseTimeoutInSeconds", _RESPONSE_TIMEOUT)
    connect = bodies.number(body, "connectTimeoutInSeconds", 0)
    if connect > response:
        raise ServiceError(
            INVALID,
            f"Device connection timeout {connect} s cannot be longer than an overall call"
            f" timeout {response} s",
        )
    return MethodCall(bodies.text(body, "methodName"), body.get("payload"), response, connect)
