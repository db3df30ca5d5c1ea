"""A back end on Azure's own service SDK that does what it is told, in a process of its own.

Its connection string is the first line of stdin; commands follow, each a JSON list on its line.
What comes of them is printed as JSON, a line each. Whom it trusts is configuration:
REQUESTS_CA_BUNDLE for REST, SSL_CERT_FILE for AMQP.
"""

import json
import os
import sys
from typing import Any

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, Twin, TwinProperties


class BackEnd:
    """What is asked of the SDK, by name."""

    def __init__(self, connection_string: str) -> None:
        self._hub = IoTHubRegistryManager.from_connection_string(connection_string)

    def send(self, device_id: str, body: str, properties: dict[str, Any]) -> None:
        """Send a message to a device."""
        self._hub.send_c2d_message(device_id, body, properties=properties)

    def desire(self, device_id: str, desired: dict[str, Any]) -> int:
        """Change desired properties; return their version."""
        change = Twin(properties=TwinProperties(desired=desired))
        return self._hub.update_twin(device_id, change).properties.desired["$version"]

    def reported(self, device_id: str) -> dict[str, Any]:
        """Return a device's reported properties."""
        reported = self._hub.get_twin(device_id).properties.reported
        return {name: value for name, value in reported.items() if name != "$metadata"}

    def call(self, device_id: str, name: str, payload: Any, patience: int = 0) -> list[Any]:
        """Call a method; wait so long for the device to come."""
        method = CloudToDeviceMethod(
            method_name=name,
            payload=payload,
            response_timeout_in_seconds=30,
            connect_timeout_in_seconds=patience,
        )
        answer = self._hub.invoke_device_method(device_id, method)
        return [answer.status, answer.payload]

    def let(self, device_id: str, status: str) -> str:
        """Enable or disable a device; return its state of connection."""
        device = self._hub.get_device(device_id)
        keys = device.authentication.symmetric_key
        changed = self._hub.update_device_with_sas(
            device_id, device.etag, keys.primary_key, keys.secondary_key, status
        )
        return changed.connection_state

    def delete(self, device_id: str) -> None:
        """Delete a device."""
        self._hub.delete_device(device_id)


if __name__ == "__main__":
    back_end = BackEnd(json.loads(sys.stdin.readline())["connection_string"])
    for line in sys.stdin:
        command, *what = json.loads(line)
        said = {"did": command}
        try:
            said["result"] = getattr(back_end, command)(*what)
        except Exception as error:
            said |= {"error": type(error).__name__, "text": str(error)}
        print(json.dumps(said), flush=True)
    os._exit(0)  # past the SDK's threads
