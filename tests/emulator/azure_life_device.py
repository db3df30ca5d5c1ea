"""A device on Azure's own SDK that stays and tells what happens to it, in a process of its own.

A job as JSON is the first line of stdin; commands follow, each a JSON list on its line. What
happens, and what comes of a command, is printed as JSON, a line each.
"""

import asyncio
import json
import os
import sys
from typing import Any

from azure.iot.device import Message, MethodRequest, MethodResponse
from azure.iot.device.aio import IoTHubDeviceClient, ProvisioningDeviceClient


def tell(**what: Any) -> None:
    """Print a line."""
    print(json.dumps(what), flush=True)


async def register(job: dict) -> IoTHubDeviceClient:
    """Ask DPS for a hub; return a client for it."""
    common = {
        "symmetric_key": job["key"],
        "server_verification_cert": job["ca"],
        "websockets": job.get("websockets", False),
    }
    dps = ProvisioningDeviceClient.create_from_symmetric_key(
        provisioning_host="localhost",
        registration_id=job["registration_id"],
        id_scope=job["id_scope"],
        **common,
    )
    state = (await dps.register()).registration_state
    return IoTHubDeviceClient.create_from_symmetric_key(
        hostname=state.assigned_hub, device_id=state.device_id, **common, **job.get("options", {})
    )


class Device:
    """The device's application."""

    def __init__(self, client: IoTHubDeviceClient) -> None:
        self.client = client
        client.on_connection_state_change = lambda: tell(connected=client.connected)
        client.on_background_exception = lambda error: tell(trouble=type(error).__name__)
        client.on_message_received = received
        client.on_twin_desired_properties_patch_received = lambda patch: tell(desired=patch)
        client.on_method_request_received = self.called

    async def called(self, request: MethodRequest) -> None:
        """Answer a method with what it brought."""
        tell(method=request.name)
        heard = {"heard": request.payload}
        answer = MethodResponse.create_from_method_request(request, 207, heard)
        await self.client.send_method_response(answer)

    async def obey(self, command: str, *what: Any) -> Any:
        """Do what is asked; the methods are the client's."""
        if command == "send":
            return await self.client.send_message(Message(*what))
        if command == "report":
            return await self.client.patch_twin_reported_properties(*what)
        if command == "twin":
            return await self.client.get_twin()
        if command == "connect":
            return await self.client.connect()
        return await self.client.disconnect()


def received(message: Message) -> None:
    """Tell of a message, with what the SDK makes of its properties."""
    tell(
        message=message.data.decode(),
        message_id=message.message_id,
        correlation_id=message.correlation_id,
        content_type=message.content_type,
        content_encoding=message.content_encoding,
        ack=message.ack,
        expires=message.expiry_time_utc,
        properties=message.custom_properties,
    )


async def main() -> None:
    """Register, connect, obey to the end of stdin."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    loop.run_in_executor(None, read, loop, lines)
    device = Device(await register(json.loads(await lines.get())))
    await device.client.connect()
    await device.client.get_twin()  # by then the subscriptions are through
    tell(ready=True)
    while line := await lines.get():
        command = json.loads(line)
        try:
            tell(did=command[0], result=await device.obey(*command))
        except Exception as error:
            tell(did=command[0], error=type(error).__name__)


def read(loop: asyncio.AbstractEventLoop, lines: asyncio.Queue[str]) -> None:
    """Pass on the lines of stdin, "" at its end."""
    while line := sys.stdin.readline():
        loop.call_soon_threadsafe(lines.put_nowait, line)
    loop.call_soon_threadsafe(lines.put_nowait, line)


if __name__ == "__main__":
    asyncio.run(main())
    os._exit(0)  # past the SDK's threads
