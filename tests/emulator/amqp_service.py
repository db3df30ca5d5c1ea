"""A service client on Azure's own SDK, in a process of its own; a job as JSON comes on stdin.

Whom it trusts is configuration: OpenSSL, which uamqp brings along, reads SSL_CERT_FILE. It dials
5671 whatever port the connection string names: that port is for the SDK's REST calls.
"""

import json
import os
import sys
import time

from azure.iot.hub import IoTHubRegistryManager


def main() -> None:
    """Send each message; print how it went, one line each."""
    job = json.load(sys.stdin)
    manager = IoTHubRegistryManager.from_connection_string(job["connection_string"])
    for device_id, body, properties in job["messages"]:
        if isinstance(body, list):
            body = bytes(body)
        said = {}
        try:
            manager.send_c2d_message(device_id, body, properties=properties)
        except Exception as error:
            said = {"error": type(error).__name__, "text": str(error)}
        print(json.dumps(said), flush=True)
    began = time.monotonic()
    manager.amqp_svc_client.disconnect_sync()
    print(json.dumps({"closed_in": time.monotonic() - began}), flush=True)


if __name__ == "__main__":
    main()
    os._exit(0)  # past the SDK's threads
