"""Subscriptions: which of the hub's few filters a device has, and with which QoS.

Owns the filters that there are: five, which is also as many as the service lets a device have.
One number says it all, so that thousands of devices cost nothing: two bits for each filter.
Source: "Communicate with an IoT hub using the MQTT protocol".
"""

METHODS = "$iothub/methods/POST/#"
DESIRED = "$iothub/twin/PATCH/properties/desired/#"
RESPONSES = "$iothub/twin/res/#"
MESSAGES = "devices/+/messages/devicebound/#"
_OWN_MESSAGES = "devices/{}/messages/devicebound/#"
NONE = 0

_SHIFTS = {METHODS: 0, DESIRED: 2, RESPONSES: 4, MESSAGES: 6, _OWN_MESSAGES: 8}


def find(topic_filter: str, device_id: str) -> str:
    """Return the filter as it is called here; "" if the hub has no such filter."""
    if topic_filter == _OWN_MESSAGES.format(device_id):
        return _OWN_MESSAGES
    return topic_filter if topic_filter in (METHODS, DESIRED, RESPONSES, MESSAGES) else ""


# 0: not subscribed, 1: with QoS 0, 2: with QoS 1
def added(subscriptions: int, found: str, qos: int) -> int:
    """Return subscriptions with a filter of find() at QoS 0 or 1."""
    return removed(subscriptions, found) | (qos + 1) << _SHIFTS[found]


def removed(subscriptions: int, found: str) -> int:
    """Return subscriptions without a filter of find()."""
    return subscriptions & ~(3 << _SHIFTS[found])


def qos(subscriptions: int, found: str) -> int | None:
    """Return the QoS of a filter, None without it; for MESSAGES the better of its two names."""
    granted = subscriptions >> _SHIFTS[found] & 3
    if found == MESSAGES:
        granted = max(granted, subscriptions >> _SHIFTS[_OWN_MESSAGES] & 3)
    return granted - 1 if granted else None
