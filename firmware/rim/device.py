"""The device at its hub: what app.py is given.

Owns the connection while the application runs. Holds no key: it is handed one token.
"""

import json

from keystead import hub
from rim.mqtt import open_client

_KEEP_ALIVE = 240  # seconds


class Device:
    """A connected device. hub and device_id are the names DPS assigned."""

    def __init__(self, assigned_hub: str, device_id: str, token: str, context, feed):
        """Connect. Raises Failure."""
        self.hub = assigned_hub
        self.device_id = device_id
        self._feed = feed
        self._client = open_client(assigned_hub, context, device_id,
                                   hub.username(assigned_hub, device_id), token,
                                   _KEEP_ALIVE, _ignore)  # fmt: skip
        # clean session 0: 1 would throw away messages queued for this device
        self._client.enter(False, "hub-refused")

    def send(self, payload, properties=None) -> None:
        """Send one telemetry message and wait until the hub has it. Raises Failure.

        payload: bytes, str, or anything json.dumps() takes, which the message's content type
        then says; properties: dict of str to str, see keystead.hub.property_bag.
        """
        if not isinstance(payload, (bytes, str)):
            payload = json.dumps(payload)
            properties = dict(properties or {})
            properties["content_type"] = "application/json"
            properties["content_encoding"] = "utf-8"
        if isinstance(payload, str):
            payload = payload.encode()
        topic = hub.telemetry_topic(self.device_id, properties)
        self._client.publish(topic.encode(), payload, qos=1)
        self._feed()

    def wait(self, seconds) -> None:
        """Let seconds pass; use it instead of time.sleep(): it keeps the connection alive."""
        self._client.linger(seconds, self._feed)

    def close(self) -> None:
        """Disconnect."""
        self._client.close()


def _ignore(topic, payload) -> None:
    """Take nothing: this device subscribes to nothing at its hub yet."""
