"""A back end built on Azure's own service SDK, in a process of its own.

A job as JSON comes on stdin; what comes of it is printed as JSON.
The SDK's warnings are its own, and its AMQP client leaves threads behind.
"""

import json
import os
import sys
from typing import Any

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import (
    CloudToDeviceMethod,
    ExportImportDevice,
    QuerySpecification,
    Twin,
    TwinProperties,
)
from msrest.exceptions import HttpOperationError

KEYS = "AAECAwQFBgcICQoLDA0ODw==", "EBESExQVFhcYGRobHB0eHw=="


def refused(action: Any, *arguments: Any, **named: Any) -> list:
    """What the SDK raises: the status, what it says, and the service's own words."""
    try:
        action(*arguments, **named)
    except HttpOperationError as error:
        body = error.response.json()
        return [error.response.status_code, str(error), body["Message"].partition(";")[0]]
    return []


def registry(hub: IoTHubRegistryManager) -> dict:
    """Make, change, list, count and delete devices."""
    made = hub.create_device_with_sas("sdk-1", *KEYS, "enabled", status_reason="new")
    again = refused(hub.create_device_with_sas, "sdk-1", *KEYS, "enabled")
    generated = hub.create_device_with_sas("sdk-2", "", "", "enabled", iot_edge=True)
    got = hub.get_device("sdk-1")
    changed = hub.update_device_with_sas("sdk-1", made.etag, *KEYS, "disabled", status_reason="x")
    stale = refused(hub.update_device_with_sas, "sdk-1", made.etag, *KEYS, "enabled")
    x509 = refused(hub.create_device_with_x509, "sdk-3", "A" * 40, "B" * 40, "enabled")
    authority = refused(hub.create_device_with_certificate_authority, "sdk-3", "enabled")
    module = refused(hub.create_module_with_sas, "sdk-1", "m", "", *KEYS)
    listed = [device.device_id for device in hub.get_devices(10)]
    counted = hub.get_device_registry_statistics()
    connected = hub.get_service_statistics()
    wrong = refused(hub.delete_device, "sdk-1", made.etag)
    hub.delete_device("sdk-1", changed.etag)
    hub.delete_device("sdk-2")
    return {
        "made": [made.status, made.status_reason, made.authentication.symmetric_key.primary_key],
        "again": again,
        "generated": len(generated.authentication.symmetric_key.primary_key),
        "edge": generated.capabilities.iot_edge,
        "same": [got.etag == made.etag, got.generation_id == made.generation_id],
        "changed": [changed.status, changed.status_reason, changed.etag == made.etag],
        "time": changed.status_updated_time.year > 2000,
        "stale": stale,
        "x509": x509,
        "authority": authority,
        "module": module,
        "listed": listed,
        "counted": [counted.total_device_count, counted.disabled_device_count],
        "connected": connected.connected_device_count,
        "wrong": wrong,
        "gone": refused(hub.get_device, "sdk-1"),
    }


def bulk(hub: IoTHubRegistryManager) -> dict:
    """Many at once."""
    devices = [
        ExportImportDevice(id=f"bulk-{number}", import_mode="create", status="enabled")
        for number in range(3)
    ]
    made = hub.bulk_create_or_update_devices(devices)
    again = hub.bulk_create_or_update_devices(devices[:1])
    gone = hub.bulk_create_or_update_devices(
        [ExportImportDevice(id=device.id, import_mode="delete") for device in devices]
    )
    failure = again.errors[0]
    return {
        "made": made.is_successful,
        "again": [again.is_successful, failure.device_id, failure.error_code],
        "gone": gone.is_successful,
        "left": len(hub.get_devices()),
    }


def queries(hub: IoTHubRegistryManager) -> dict:
    """Find twins, page by page."""
    for number in range(5):
        hub.create_device_with_sas(f"q-{number}", *KEYS, "enabled")
    hub.update_twin("q-3", Twin(tags={"site": "home"}))

    def pages(text: str, size: int | None = None) -> list:
        found, more = [], None
        while True:
            page = hub.query_iot_hub(QuerySpecification(query=text), more, size)
            found.append([item.device_id for item in page.items])
            more = page.continuation_token
            if not more:
                return [page.type, found]

    return {
        "all": pages("SELECT * FROM devices", 2),
        "one": pages("SELECT * FROM devices WHERE tags.site = 'home'"),
        "wrong": refused(hub.query_iot_hub, QuerySpecification(query="SELECT * FROM nowhere")),
    }


def twins(hub: IoTHubRegistryManager) -> dict:
    """Get, patch and replace a twin, with an etag that is right and one that is not."""
    hub.create_device_with_sas("sdk-1", *KEYS, "enabled")
    first = hub.get_twin("sdk-1")
    properties = TwinProperties(desired={"interval": 5})
    patched = hub.update_twin("sdk-1", Twin(tags={"a": 1}, properties=properties), first.etag)
    stale = refused(hub.update_twin, "sdk-1", Twin(tags={"a": 2}), first.etag)
    replaced = hub.replace_twin("sdk-1", Twin(tags={"b": 2}), patched.etag)
    stale_too = refused(hub.replace_twin, "sdk-1", Twin(tags={"a": 2}), first.etag)
    return {
        "first": [first.tags or {}, first.connection_state, first.version > 0],
        "patched": [patched.tags, patched.properties.desired["interval"]],
        "version": patched.properties.desired["$version"],
        "replaced": [replaced.tags, "interval" in replaced.properties.desired],
        "stale": [stale, stale_too],
        "nobody": refused(hub.get_twin, "nobody"),
    }


def call(hub: IoTHubRegistryManager, device_id: str) -> dict:
    """Call a method of a device that is there, and purge its messages."""
    method = CloudToDeviceMethod(
        method_name="reboot", payload={"delay": 1}, response_timeout_in_seconds=30
    )
    answer = hub.invoke_device_method(device_id, method)
    purged = hub.protocol.cloud_to_device_messages.purge_cloud_to_device_message_queue(device_id)
    return {
        "status": answer.status,
        "payload": answer.payload,
        "state": hub.get_device(device_id).connection_state,
        "connected": hub.get_service_statistics().connected_device_count,
        "purged": purged.total_messages_purged,
    }


def absent(hub: IoTHubRegistryManager) -> dict:
    """Call a method of a device that is not there."""
    hub.create_device_with_sas("sdk-1", *KEYS, "enabled")
    method = CloudToDeviceMethod(method_name="reboot")
    return {
        "offline": refused(hub.invoke_device_method, "sdk-1", method),
        "nobody": refused(hub.invoke_device_method, "nobody", method),
    }


def stranger(hub: IoTHubRegistryManager) -> dict:
    """Come with a wrong key."""
    return {"list": refused(hub.get_devices), "twin": refused(hub.get_twin, "sdk-1")}


JOBS = (registry, bulk, queries, twins, call, absent, stranger)

if __name__ == "__main__":
    asked = json.load(sys.stdin)
    manager = IoTHubRegistryManager.from_connection_string(asked["connection_string"])
    job = next(one for one in JOBS if one.__name__ == asked["job"])
    found = job(manager, *asked["more"])
    print(json.dumps(found), flush=True)
    os._exit(0)  # past the AMQP client
