"""A device on Azure's own SDK that answers every method, in a process of its own."""

import asyncio
import json
import sys

from azure.iot.device import MethodRequest, MethodResponse
from azure.iot.device.aio import IoTHubDeviceClient, ProvisioningDeviceClient


async def main(job: dict) -> None:
    provisioning = ProvisioningDeviceClient.create_from_symmetric_key(
        provisioning_host="localhost",
        registration_id="pump-7",
        id_scope=job["id_scope"],
        symmetric_key=job["key"],
        server_verification_cert=job["ca"],
        websockets=job.get("websockets", False),
    )
    state = (await provisioning.register()).registration_state
    client = IoTHubDeviceClient.create_from_symmetric_key(
        symmetric_key=job["key"],
        hostname=state.assigned_hub,
        device_id=state.device_id,
        server_verification_cert=job["ca"],
        websockets=job.get("websockets", False),
    )

    async def answer(request: MethodRequest) -> None:
        heard = {"heard": request.payload}
        response = MethodResponse.create_from_method_request(request, 207, heard)
        await client.send_method_response(response)

    client.on_method_request_received = answer
    await client.connect()
    await client.get_twin()  # by then the subscription for methods is through
    print("listening", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(json.load(sys.stdin)))
