"""HubPeer: one device at its IoT Hub.

Owns the hub's topics: telemetry in, twin requests answered, method answers and subscriptions
taken. Doesn't own who gets in (hubs.py), what is kept (hub.py) nor the connection (session.py).
Source: "Communicate with an IoT hub using the MQTT protocol"; keystead.hub is the other end.
"""

import json
import re
from collections.abc import Callable, Hashable, Iterable
from typing import cast

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Failed, Telemetry
from host_tools.emulator.hub import methods, subscriptions
from host_tools.emulator.hub.hub import Hub
from host_tools.emulator.hub.subscriptions import RESPONSES
from host_tools.emulator.hub.twin_rules import TwinError
from host_tools.emulator.mqtt.connect import Will
from host_tools.emulator.mqtt.packets import Publish
from host_tools.emulator.mqtt.peer import Hangup, Message, Peer
from host_tools.emulator.store.database import StoreError
from host_tools.emulator.timestamps import timestamp

LARGEST_MESSAGE = 256 * 1024  # bytes of body and property bag
_SURELY_FITS = LARGEST_MESSAGE - 64 * 1024  # bytes of a body with the longest topic there is
_LONGEST_RID = 1024  # characters: an answer's topic must hold it, and more
# $iothub/twin/GET/?$rid={request ID}
# $iothub/twin/PATCH/properties/reported/?$rid={request ID}
_TWIN = re.compile(r"\$iothub/twin/(GET|PATCH/properties/reported)/\?\$rid=([^&]*)")
# $iothub/methods/res/{status}/?$rid={request ID}
_METHOD = re.compile(r"\$iothub/methods/res/(-?[0-9]{1,9})/\?\$rid=([^&]*)")


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
    # thousands may be connected
    __slots__ = (
        "_bag",
        "_hub",
        "_stored",
        "_subscriptions",
        "_telemetry",
        "_tell",
        "_will",
        "api_version",
        "device_id",
        "drop",
        "expiry",
        "key",
        "last_activity",
        "push",
        "service",
        "session_present",
        "since",
    )  # fmt: skip

    def __init__(
        self,
        hub: Hub,
        device_id: str,
        api_version: str,
        expiry: float,
        stored: int | None,
        clean: bool,
        will: Will | None,
        now: float,
    ) -> None:
        """stored: subscriptions of the session that goes on, None if it begins anew."""
        self.service = hub.name
        self.device_id = device_id
        self.api_version = api_version
        self.expiry = expiry
        self.session_present = stored is not None
        self.key = (hub.key, device_id)
        self.since = self.last_activity = now
        self._hub = hub
        self._tell = hub.tell
        self._subscriptions = stored or subscriptions.NONE
        self._stored = not clean
        self._telemetry = telemetry_prefix(device_id)
        self._bag = len(self._telemetry)
        self._will = will

    def connected(self, now: float) -> Iterable[Message]:
        """Return what waited for the device, before it subscribes to anything in this session."""
        self.since = self.last_activity = now
        return self._hub.connections.arrived(self, now)

    def granted(self, topic_filter: str) -> int | None:
        """Return the QoS of a subscription, None without it.

        Methods need an API version in the user name: without one the service has the device as
        not online.
        """
        if topic_filter == subscriptions.METHODS and not self.api_version:
            return None
        return subscriptions.qos(self._subscriptions, topic_filter)

    def subscribe(self, topic_filter: str, qos: int) -> int:
        """Grant QoS 0 or 1, also where 2 is asked for."""
        found = subscriptions.find(topic_filter, self.device_id)
        if not found:
            raise Hangup("it subscribed to a topic that IoT Hub does not have")
        granted = min(qos, 1)
        self._keep(subscriptions.added(self._subscriptions, found, granted))
        if found not in (subscriptions.DESIRED, RESPONSES):  # for these nothing waits
            self._hub.connections.subscribed(self.device_id)
        return granted

    def subscribed(self, now: float) -> Iterable[Message]:
        """Return what waited for this subscription."""
        return self._hub.connections.brought(self, now)

    def unsubscribe(self, topic_filter: str) -> None:
        """Forget a filter."""
        found = subscriptions.find(topic_filter, self.device_id)
        if found:
            self._keep(subscriptions.removed(self._subscriptions, found))

    def _keep(self, changed: int) -> None:
        if changed == self._subscriptions:
            return
        if self._stored:
            try:
                self._hub.connections.keep_subscriptions(self.device_id, changed)
            except StoreError as error:
                raise Hangup(f"its subscriptions can not be kept: {error}") from None
        self._subscriptions = changed

    def publish(self, message: Publish, now: float) -> Iterable[Message]:
        """Take telemetry, answer a twin request, take a method's answer."""
        self.last_activity = now
        if message.topic.startswith(self._telemetry):
            bag = message.topic[self._bag :]
            if len(message.payload) > _SURELY_FITS:
                _check_size(bag, message.payload)
            self._take(bag, message.payload, message.retain, now)
            return ()
        if twin := _TWIN.fullmatch(message.topic):
            return self._answer(twin[1], twin[2], message.payload, now)
        if method := _METHOD.fullmatch(message.topic):
            self._answered(method[2], int(method[1]), message.payload, now)
            return ()
        if message.topic == self._telemetry[:-1]:
            _check_size("", message.payload)
            self._take("", message.payload, message.retain, now)
            return ()
        raise Hangup("it published to a topic that IoT Hub does not have")

    def acknowledged(self, token: Hashable, now: float) -> None:
        """Complete a cloud-to-device message."""
        self.last_activity = now
        self._hub.acknowledged(self.device_id, cast(int, token), now)

    def left(self, now: float, orderly: bool) -> None:
        """Deliver the will of a device that did not say goodbye."""
        self._hub.connections.left(self, now)
        if self._will and not orderly:
            topic, payload, _, retain = self._will
            bag = "&".join(filter(None, (topic[self._bag :], "iothub-MessageType=Will")))
            try:
                self._take(bag, payload, retain, now)
            except Hangup as error:  # there is nobody left to hang up on
                self._tell(Failed(now, self.service, self.device_id, str(error), "a lost will"))

    # devices/{device ID}/messages/events/{property bag}
    def _take(self, bag: str, body: bytes, retain: bool, now: float) -> None:
        if retain:  # nothing is retained; who reads the message is told
            bag = "&".join(filter(None, (bag, "mqtt-retain=true")))
        message = Telemetry(now, self.service, self.device_id, body, bag)
        if self._hub.telemetry:
            try:
                self._hub.telemetry.keep(message)
            except StoreError as error:
                raise Hangup(f"its message can not be kept: {error}") from None
        self._tell(message)

    def _answered(self, request_id: str, status: int, body: bytes, now: float) -> None:
        if len(body) > methods.LARGEST:
            raise Hangup(f"its answer to a method exceeds {methods.LARGEST} bytes")
        self._hub.answered(self.device_id, request_id, status, body, now)

    # $iothub/twin/res/{status}/?$rid={request ID}[&$version={version}]
    def _answer(self, request: str, rid: str, body: bytes, now: float) -> Iterable[Message]:
        if len(rid) > _LONGEST_RID:
            raise Hangup(f"its request ID exceeds {_LONGEST_RID} characters")
        try:
            if not self.api_version:
                raise TwinError("the user name has no api-version, which a twin request needs")
            if request == "GET":
                answer = self._hub.twin(self.device_id).document()
                topic = f"$iothub/twin/res/200/?$rid={rid}"
            else:
                version, answer = self._hub.report(self.device_id, body, now), b""
                topic = f"$iothub/twin/res/204/?$rid={rid}&$version={version}"
        except ServiceError as error:
            topic = f"$iothub/twin/res/{error.status}/?$rid={rid}"
            answer = _error(error, self._hub.random, now)
        # answered without a subscription too: SDKs ask for the twin right after a reconnect
        qos = self.granted(RESPONSES)
        if qos is None and self._hub.strict_twin:
            return ()
        return (Message(topic, answer, qos or 0),)


# {"errorCode": 400004, "trackingId": "...", "message": "...", "timestampUtc": "..."}
def _error(error: ServiceError, random: Callable[[int], bytes], now: float) -> bytes:
    document = {
        "errorCode": error.code,
        "trackingId": random(16).hex().upper(),
        "message": str(error),
        "timestampUtc": timestamp(now),
    }
    return json.dumps(document).encode()


def _check_size(bag: str, body: bytes) -> None:
    size = len(bag.encode()) + len(body)
    if size > LARGEST_MESSAGE:
        raise Hangup(f"its message has {size} bytes, at most {LARGEST_MESSAGE} are taken")
