"""Troubles: what goes wrong with a request over HTTP because a rule of the faults wants it.

Owns how a fault is done to a request. Doesn't own the rules (faults/) nor the error's body, which
is the caller's.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.faults.action import Kind
from host_tools.emulator.faults.answers import service_error
from host_tools.emulator.faults.faults import Trouble
from host_tools.emulator.serve.line import of

Answer = Callable[[], Awaitable[Response]]


async def befall(
    trouble: Trouble,
    request: Request,
    answer: Answer,
    failed: Callable[[ServiceError], Response],
) -> Response:
    """Return the answer that trouble leaves of the right one.

    answer: does what is asked for; failed: makes the answer of an error.
    """
    if trouble.drop:
        of(request).abort()
        return _nothing()
    if trouble.delay:
        await _wait(request, trouble.delay)
    if trouble.action.kind is Kind.ERROR:
        response = failed(service_error(trouble.action, dps=False))
    else:
        response = _nothing() if trouble.undone else await answer()
    if trouble.silent:
        await _silence(request)
    return _emptied(response) if trouble.empty else response


def _nothing() -> Response:
    return Response(status_code=204)


def _emptied(response: Response) -> Response:
    kept = {name: value for name, value in response.headers.items() if name != "content-length"}
    return Response(b"", response.status_code, kept)


async def _wait(request: Request, seconds: float) -> None:
    over = asyncio.Event()
    with of(request).ending.told(over.set), suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await over.wait()


# until the client gives up, or the cloud stops
async def _silence(request: Request) -> None:
    over = asyncio.Event()
    line = of(request)
    leaving = asyncio.create_task(_leaving(request))
    leaving.add_done_callback(lambda _: over.set())
    with line.ending.told(over.set):
        await over.wait()
    leaving.cancel()
    await asyncio.wait([leaving])
    line.abort()


async def _leaving(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
