"""IoT Hub over MQTT: the texts a device says to its hub.

Owns user name, resource and telemetry topic. Doesn't own the connection, nor what the hub says
(keystead.incoming).
Source: "Communicate with an IoT hub using the MQTT protocol".
"""

from keystead.percent import quote

API_VERSION = "2021-04-12"
MODEL_ID = "dtmi:com:keystead:Device;1"  # docs/dtdl has the model

# what the service calls system properties, by the names this project uses
SYSTEM_PROPERTIES = {
    "message_id": "$.mid",
    "correlation_id": "$.cid",
    "content_type": "$.ct",
    "content_encoding": "$.ce",
    "creation_time": "$.ctime",
}


# {hub host}/{device ID}/?api-version={date}&model-id={model ID, percent-encoded}
def username(hub: str, device_id: str, model_id: str = "") -> str:
    """Return the MQTT user name; the device ID is the MQTT client ID.

    hub may have a port behind it, as benches do; the name goes without it. model_id: the Plug and
    Play model the device follows, "" for none.
    """
    name = "%s/%s/?api-version=%s" % (hub.partition(":")[0], device_id, API_VERSION)
    return name + "&model-id=" + quote(model_id) if model_id else name


# {hub host}/devices/{device ID}
def resource(hub: str, device_id: str) -> str:
    """Return the resource that the hub's SAS token signs; a port behind hub is left out."""
    return "%s/devices/%s" % (hub.partition(":")[0], device_id)


# devices/{device ID}/messages/events/{property bag}
def events(device_id: str) -> str:
    """Return what telemetry topics begin with; a property bag may follow."""
    return "devices/%s/messages/events/" % device_id


def telemetry_topic(device_id: str, properties: dict[str, str | None] | None = None) -> str:
    """Return the topic for one telemetry message with these properties (see property_bag)."""
    return events(device_id) + property_bag(properties or {})


# {name}={value}&{name}={value}, both sides percent-encoded; None gives the bare name
def property_bag(properties: dict[str, str | None]) -> str:
    """Return properties (str to str or None) as the service's property bag, in the dict's order.

    A name of SYSTEM_PROPERTIES becomes the service's own; routing on the body wants
    content_type "application/json" and content_encoding "utf-8".
    """
    return "&".join(_property(name, value) for name, value in properties.items())


def _property(name: str, value: str | None) -> str:
    name = quote(SYSTEM_PROPERTIES.get(name, name))
    return name if value is None else name + "=" + quote(value)
