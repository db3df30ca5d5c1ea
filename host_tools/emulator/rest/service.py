"""Service: everything over HTTPS of one cloud, served until a block ends.

Owns which parts there are, the control token, and the file by which commands find it. Doesn't own
the parts.
"""

import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from starlette.routing import BaseRoute

from host_tools.emulator.cloud import Cloud
from host_tools.emulator.host_names import dialable, place
from host_tools.emulator.portal import guard
from host_tools.emulator.portal.app import Portal
from host_tools.emulator.rest import control_file, dps_device, dps_service
from host_tools.emulator.rest.access import Access
from host_tools.emulator.rest.address import Address
from host_tools.emulator.rest.app import application
from host_tools.emulator.rest.control import Control
from host_tools.emulator.rest.event_log import EventLog
from host_tools.emulator.rest.event_stream import EventStream
from host_tools.emulator.serve import websocket
from host_tools.emulator.serve.amqp import AmqpSessions
from host_tools.emulator.serve.http import serve_http


@asynccontextmanager
async def serve_rest(
    cloud: Cloud,
    host: str,
    port: int,
    endpoint: str,
    status: Callable[[Address], dict[str, Any]],
    amqp: AmqpSessions | None = None,
) -> AsyncIterator[Address]:
    """Serve on host and port (0: a free one); CommandError.

    endpoint: where devices dial MQTT; status: what /keystead/status says; amqp: takes the
    connections that begin with AMQP.
    """
    log, token, run = EventLog(), secrets.token_urlsafe(32), f"{time.time_ns():x}"
    key = guard.token_for(host)
    portal = Portal(cloud, host=host, token=key, names=[dialable(host)], endpoint=endpoint)
    stream, traces = EventStream(log, run), cloud.traces.documents
    control = Control(Access(cloud, token), stream, lambda: status(rest), traces)
    more: list[BaseRoute] = [
        *dps_service.routes(cloud),
        *dps_device.routes(cloud),
        *websocket.routes(cloud),
        *portal.routes(),
    ]
    async with AsyncExitStack() as stack:
        for message in cloud.earlier_telemetry():
            log.take(message)
        stack.callback(cloud.subscribe(log.take))
        stack.callback(portal.close)
        app, context = application(control, more), cloud.tls_context(host)
        serving = serve_http(cloud, app, context, host, port, amqp=amqp, clock=cloud.clock)
        http = await stack.enter_async_context(serving)
        stack.callback(portal.close)  # ends its streams before the server waits for them
        name = place(dialable(host), http.port)
        page = guard.address(dialable(host), http.port, key)
        known = control_file.Control(f"https://{name}", str(cloud.ca_path.resolve()), token, page)
        path = stack.enter_context(control_file.published(known, cloud.state_dir.resolve()))
        rest = Address(known.url, name, page, path)
        yield rest
