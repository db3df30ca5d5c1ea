"""Connecting: from an assigned hub to a client that it has let in.

Owns the connection's first words. Loaded for a connection, unloaded once there is one.
"""

from keystead import hub
from rim.log import log
from rim.memory import chance, once

_KEEP_ALIVE = 120  # seconds
_RENEWAL = 2880  # seconds, 0.8 of a token's life
_JITTER = 180  # seconds by which a renewal may be early: boards that came together part


def connect(device, context) -> None:
    """Give the device a Client that its hub has let in, subscribed to all a hub sends.

    context: a tls.SSLContext. Raises Failure.
    """
    name, user = device.device_id, hub.username(device.hub, device.device_id, hub.MODEL_ID)
    token = once("rim.credentials.token", hub.resource(device.hub, name))
    filters = once("keystead.incoming.filters", name)
    device.client = once(
        "rim.opening.opened", device.hub, context, name, user, token, _KEEP_ALIVE,
        device.take, device.feed, "hub", filters, not device.subscribed,
    )  # fmt: skip
    device.subscribed = True
    log("hub: connected")
    device.lasts = _RENEWAL - int(_JITTER * chance())
