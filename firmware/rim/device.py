"""The device at its hub: what app.py is given.

Owns the connection while the application runs, and its renewal: the hub hangs up when a token
expires. Holds no key: renew() hands it one token after the other.
"""

import json
import time

from keystead import hub
from keystead.failure import Failure
from rim.memory import forget

_KEEP_ALIVE = 240  # seconds
_RENEWAL = 2880  # seconds, 0.8 of a token's life


class Device:
    """A connected device. hub and device_id are the names DPS assigned."""

    def __init__(self, renew, feed):
        """Connect. renew(): return hub, device ID, a fresh token and a tls.SSLContext.

        Raises Failure.
        """
        self._renew = renew
        self._feed = feed
        self._connect()

    def _connect(self) -> None:
        self.hub, self.device_id, token, context = self._renew()
        from rim.opening import enter, open_client

        user = hub.username(self.hub, self.device_id)
        self._client = open_client(self.hub, context, self.device_id, user, token, _KEEP_ALIVE,
                                   _ignore, self._feed)  # fmt: skip
        # clean session 0: 1 would throw away messages queued for this device
        enter(self._client, False, "hub-refused", "hub-unavailable")
        del enter, open_client
        forget("rim.opening", "rim.dial")
        self._since = time.ticks_ms()

    def _keep_fresh(self) -> None:
        if not self._client.stream.is_open:
            # whoever swallowed the first Failure meets it again, and the watchdog is not fed
            raise Failure("connection-lost", "app.py went on after a failure")
        if time.ticks_diff(time.ticks_ms(), self._since) > _RENEWAL * 1000:
            self._client.close()
            self._connect()

    def send(self, payload, properties=None) -> None:
        """Send one telemetry message and wait until the hub has it. Raises Failure.

        payload: bytes, str, or anything json.dumps() takes, which the message's content type
        then says; properties: dict of str to str, see keystead.hub.property_bag.
        """
        self._keep_fresh()
        if not isinstance(payload, (bytes, str)):
            payload = json.dumps(payload)
            properties = dict(properties or {})
            properties["content_type"] = "application/json"
            properties["content_encoding"] = "utf-8"
        if isinstance(payload, str):
            payload = payload.encode()
        topic = hub.telemetry_topic(self.device_id, properties)
        self._client.publish(topic.encode(), payload, qos=1)

    def wait(self, seconds) -> None:
        """Let seconds pass; use it instead of time.sleep(): it keeps the connection alive."""
        self._keep_fresh()
        self._client.idle(0)  # also where there is nothing to wait for
        while seconds > 0:
            step = min(seconds, 60)
            self._client.linger(step)
            seconds -= step
            self._keep_fresh()

    def close(self) -> None:
        """Disconnect."""
        self._client.close()


def _ignore(topic, payload) -> None:
    """Take nothing: this device subscribes to nothing at its hub yet."""
