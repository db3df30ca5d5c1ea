"""A device built on Azure's own SDK, in a process of its own; a job as JSON comes on stdin.

The SDK leaves timers and threads behind that would outlive a test in its process.
"""

import asyncio
import json
import os
import sys

from azure.iot.device import Message
from azure.iot.device.aio import IoTHubDeviceClient, ProvisioningDeviceClient

LIMIT = 60


async def register(job: dict) -> dict:
    """Ask DPS for a hub."""
    client = ProvisioningDeviceClient.create_from_symmetric_key(
        provisioning_host="localhost",
        registration_id=job["registration_id"],
        id_scope=job["id_scope"],
        symmetric_key=job["key"],
        server_verification_cert=job["ca"],
    )
    client.provisioning_payload = {"modelId": "dtmi:com:example:Thermostat;1"}
    result = await client.register()
    state = result.registration_state
    return {
        "status": result.status,
        "assigned_hub": state.assigned_hub,
        "device_id": state.device_id,
        "substatus": state.sub_status,
    }


def hub_client(job: dict) -> IoTHubDeviceClient:
    """Return a client for the hub, which is dialled by the name it was assigned by."""
    return IoTHubDeviceClient.create_from_symmetric_key(
        symmetric_key=job["key"],
        hostname=job["hub"],
        device_id=job["device_id"],
        gateway_hostname="localhost" if job["hub"] != "localhost" else None,
        server_verification_cert=job["ca"],
        connection_retry=False,
    )


async def send(job: dict) -> dict:
    """Send one message with system and application properties."""
    client = hub_client(job)
    await client.connect()
    message = Message('{"t":21.5}')
    message.content_type, message.content_encoding = "application/json", "utf-8"
    message.custom_properties["alarm level"] = "high&low"
    await client.send_message(message)
    await client.shutdown()
    return {}


async def report(job: dict) -> dict:
    """Report a property; return the twin."""
    client = hub_client(job)
    await client.connect()
    await client.patch_twin_reported_properties({"battery": 60})
    twin = await client.get_twin()
    await client.shutdown()
    return {"twin": twin}


async def stay(job: dict) -> dict:
    """Stay connected until the hub ends the connection."""
    client = hub_client(job)
    dropped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def changed() -> None:
        if not client.connected:
            loop.call_soon_threadsafe(dropped.set)

    await client.connect()
    client.on_connection_state_change = changed
    print(json.dumps({"connected": True}), flush=True)
    await dropped.wait()
    return {"dropped": True}


async def outcome(job: dict) -> dict:
    """Return what the job gives, or the names of the exception and its cause."""
    action = {"register": register, "send": send, "report": report, "stay": stay}[job["action"]]
    try:
        return await asyncio.wait_for(action(job), LIMIT)
    except Exception as error:
        return {"error": type(error).__name__, "cause": type(error.__cause__).__name__}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(outcome(json.load(sys.stdin)))), flush=True)
    os._exit(0)  # past the SDK's threads
