"""HubPeer: one device at its IoT Hub.

Owns the hub's topics: telemetry in, twin requests answered, method answers and subscriptions
taken. Doesn't own who gets in (hub.py) nor the connection (session.py).
Source: "Communicate with an IoT hub using the MQTT protocol"; keystead.hub is the other end.
"""

import json
import re
from collections.abc import Callable, Iterable

from host_tools.emulator.events import Event, Telemetry
from host_tools.emulator.hub.twin import Twin, TwinError
from host_tools.emulator.mqtt.connect import Will
from host_tools.emulator.mqtt.packets import Publish
from host_tools.emulator.mqtt.peer import Hangup, Message, Peer
from host_tools.emulator.records import Identity

LARGEST_MESSAGE = 256 * 1024  # bytes of body and property bag
TWIN_RESPONSES = "$iothub/twin/res/#"
_FILTERS = (
    "$iothub/methods/POST/#",
    "$iothub/twin/PATCH/properties/desired/#",
    TWIN_RESPONSES,
    "devices/+/messages/devicebound/#",
)
# $iothub/twin/GET/?$rid={request ID}
# $iothub/twin/PATCH/properties/reported/?$rid={request ID}
_TWIN = re.compile(r"\$iothub/twin/(GET|PATCH/properties/reported)/\?\$rid=([^&]*)")
# $iothub/methods/res/{status}/?$rid={request ID}
_METHOD = re.compile(r"\$iothub/methods/res/-?\d+/\?\$rid=([^&]*)")


# devices/{device ID}/messages/events/{property bag}
def telemetry_prefix(device_id: str) -> str:
    """Return what a device's telemetry topics begin with."""
    return f"devices/{device_id}/messages/events/"


def is_telemetry(topic: str, device_id: str) -> bool:
    """Tell whether a topic is for telemetry, with a property bag or without."""
    return (topic + "/").startswith(telemetry_prefix(device_id))


class HubPeer(Peer):
    """One device that its hub let in."""

    largest = LARGEST_MESSAGE + 64 * 1024  # what is around a message: its topic, above all

    def __init__(
        self,
        tell: Callable[[Event], None],
        identity: Identity,
        *,
        api_version: str,
        expiry: float,
        subscriptions: dict[str, int],
        session_present: bool,
        twin: Twin,
        will: Will | None,
    ) -> None:
        """subscriptions: QoS by filter; the hub keeps it for a device that wants that."""
        self.service = identity.hub
        self.device_id = identity.device_id
        self.api_version = api_version
        self.expiry = expiry
        self.session_present = session_present
        self.key = (identity.hub.lower(), identity.device_id)
        self._tell = tell
        self._subscriptions = subscriptions
        self._twin = twin
        self._filters = (*_FILTERS, f"devices/{identity.device_id}/messages/devicebound/#")
        self._telemetry = telemetry_prefix(identity.device_id)
        self._bag = len(self._telemetry)
        self._will = will

    def subscribe(self, topic_filter: str, qos: int) -> int:
        """Grant QoS 0 or 1, also where 2 is asked for."""
        if topic_filter not in self._filters:
            raise Hangup("it subscribed to a topic that IoT Hub does not have")
        granted = self._subscriptions[topic_filter] = min(qos, 1)
        return granted

    def unsubscribe(self, topic_filter: str) -> None:
        """Forget a filter."""
        self._subscriptions.pop(topic_filter, None)

    def publish(self, message: Publish, now: float) -> Iterable[Message]:
        """Take telemetry, answer a twin request, take a method's answer."""
        if message.topic.startswith(self._telemetry):
            bag = message.topic[self._bag :]
            _check_size(bag, message.payload)
            self._take(bag, message.payload, message.retain, now)
            return ()
        if twin := _TWIN.fullmatch(message.topic):
            return (self._answer(twin[1], twin[2], message.payload),)
        if _METHOD.fullmatch(message.topic):
            return ()
        if message.topic == self._telemetry[:-1]:
            _check_size("", message.payload)
            self._take("", message.payload, message.retain, now)
            return ()
        raise Hangup("it published to a topic that IoT Hub does not have")

    def left(self, now: float, orderly: bool) -> None:
        """Deliver the will of a device that did not say goodbye."""
        if self._will and not orderly:
            topic, payload, _, retain = self._will
            bag = "&".join(filter(None, (topic[self._bag :], "iothub-MessageType=Will")))
            self._take(bag, payload, retain, now)

    # devices/{device ID}/messages/events/{property bag}
    def _take(self, bag: str, body: bytes, retain: bool, now: float) -> None:
        if retain:  # nothing is retained; who reads the message is told
            bag = "&".join(filter(None, (bag, "mqtt-retain=true")))
        self._tell(Telemetry(now, self.service, self.device_id, body, bag))

    # $iothub/twin/res/{status}/?$rid={request ID}[&$version={version}]
    def _answer(self, request: str, rid: str, body: bytes) -> Message:
        topic, answer = f"$iothub/twin/res/200/?$rid={rid}", b""
        if request == "GET":
            answer = self._twin.document()
        else:
            try:
                version = self._twin.report(body)
                topic = f"$iothub/twin/res/204/?$rid={rid}&$version={version}"
            except TwinError as error:
                topic = f"$iothub/twin/res/{error.code // 1000}/?$rid={rid}"
                answer = json.dumps({"errorCode": error.code, "message": str(error)}).encode()
        # answered without a subscription too: SDKs ask for the twin right after a reconnect
        return Message(topic, answer, self._subscriptions.get(TWIN_RESPONSES, 0))


def _check_size(bag: str, body: bytes) -> None:
    size = len(bag.encode()) + len(body)
    if size > LARGEST_MESSAGE:
        raise Hangup(f"its message has {size} bytes, at most {LARGEST_MESSAGE} are taken")
