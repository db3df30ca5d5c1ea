"""The cloud: from a factory record to an assigned hub, and from there to telemetry.

Owns the order of things: connect, subscribe, ask, wait, connect. One TLS session at a time: two
do not fit beside an application in an ESP32's memory.
"""

import json
import os
import time

from keystead import dps, hub
from keystead.failure import Failure
from rim import clock
from rim.mqtt import Client
from rim.stream import open_stream
from umqtt.simple import MQTTException

_PORT = 8883
_OPENING = 20_000  # milliseconds for TCP and its addresses
_ANSWER = 30_000  # milliseconds for DPS to answer a request
_LIFE = 3600  # seconds a SAS token is valid
_DPS_KEEP_ALIVE = 60  # seconds
_HUB_KEEP_ALIVE = 240


def chance() -> float:
    """Return a number in [0, 1)."""
    return int.from_bytes(os.urandom(2), "big") / 65536


def split_endpoint(endpoint: str) -> tuple:
    """Return (host, port) of "host" or "host:port"; 8883 is the port of DPS and hubs."""
    host, _, port = endpoint.partition(":")
    return host, int(port) if port.isdigit() else _PORT


def _open(endpoint, context, client_id, user, password, keepalive, on_message):
    host, port = split_endpoint(endpoint)
    stream = open_stream(host, port, context, _OPENING)
    return Client(stream, client_id, user, password, keepalive, on_message)


def _connect(client, clean, refused) -> None:
    try:
        client.connect(clean)
    except MQTTException as error:
        code = error.args[0]
        raise Failure(refused, "CONNACK %d" % code, code)


def provision(record, context, feed, log):
    """Register at DPS and return the dps.Assignment. Raises Failure.

    record: a FactoryRecord; context: a tls.SSLContext; feed(): called while there is progress;
    log(text): told each step.
    """
    name = record.registration_id
    resource = dps.resource(record.id_scope, name)
    token = record.token(resource, clock.unix_time() + _LIFE, "registration")
    answers = []
    log("registering %s with %s" % (name, record.endpoint))
    client = _open(record.endpoint, context, name, dps.username(record.id_scope, name), token,
                   _DPS_KEEP_ALIVE, lambda *message: answers.append(message))  # fmt: skip
    try:
        _connect(client, True, "dps-refused")
        log("provisioning status: connected")
        client.subscribe(dps.RESPONSES)
        return _register(client, dps.Registration(name), answers, feed, log)
    finally:
        client.close()


def _register(client, registration, answers, feed, log):
    while True:
        topic, body = registration.request()
        client.publish(topic.encode(), body, qos=1)
        wait = _answer(client, registration, answers)
        feed()
        if registration.assignment:
            log("provisioning status: assigned")
            return registration.assignment
        log("provisioning status: %s, asking again in %d s" % (registration.status, wait))
        linger(client, wait, feed)


def _answer(client, registration, answers) -> float:
    begun = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), begun) < _ANSWER:
        while answers:
            topic, body = answers.pop(0)
            try:
                wait = registration.receive(topic.decode(), body, chance())
            except UnicodeError:
                raise Failure("dps-garbled", "a topic that is not UTF-8")
            if wait is not None:
                return wait
        client.idle(1000)
    raise Failure("no-answer", "waiting for DPS to answer")


def linger(client, seconds, feed) -> None:
    """Let seconds pass while the connection is kept alive and what arrives is taken."""
    begun = time.ticks_ms()
    while True:
        left = int(seconds * 1000) - time.ticks_diff(time.ticks_ms(), begun)
        if left <= 0:
            return
        client.idle(min(left, 1000))
        feed()


class Device:
    """A device at its hub: what app.py is given.

    device_id and hub are the names DPS assigned.
    """

    def __init__(self, record, assignment, context, feed):
        """Connect to the assigned hub. Raises Failure."""
        self.device_id = assignment.device_id
        self.hub = assignment.hub
        self.sent = 0  # telemetry messages the hub has acknowledged
        self._feed = feed
        host, _ = split_endpoint(assignment.hub)
        resource = hub.resource(host, self.device_id)
        token = record.token(resource, clock.unix_time() + _LIFE)
        self._client = _open(assignment.hub, context, self.device_id,
                             hub.username(host, self.device_id), token,
                             _HUB_KEEP_ALIVE, _ignore)  # fmt: skip
        try:
            # clean session 0: 1 would throw away messages queued for this device
            _connect(self._client, False, "hub-refused")
        except Exception:
            self.close()
            raise

    def send(self, payload, properties=None) -> None:
        """Send one telemetry message and wait until the hub has it. Raises Failure.

        payload: bytes, str, or anything json.dumps() takes, which also says so in the
        message's content type; properties: dict of str to str, see keystead.hub.property_bag.
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
        self.sent += 1
        self._feed()

    def wait(self, seconds) -> None:
        """Let seconds pass; use it instead of time.sleep(): it keeps the connection alive."""
        linger(self._client, seconds, self._feed)

    def close(self) -> None:
        """Disconnect."""
        self._client.close()


def _ignore(topic, payload) -> None:
    """Take nothing: this device subscribes to nothing at its hub yet."""
