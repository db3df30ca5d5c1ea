"""Hubs with devices on real sessions, without a socket, on a clock that the test sets."""

import random

from host_tools.emulator.access import AccessDenied
from host_tools.emulator.hub.hubs import Hubs
from host_tools.emulator.key_pair import KeyPair
from host_tools.emulator.mqtt.connect import NOT_AUTHORIZED, Connack, Connect
from host_tools.emulator.mqtt.framing import Framer
from host_tools.emulator.mqtt.packets import Disconnect, Puback, Publish, parse
from host_tools.emulator.mqtt.session import ConnectRefused, Session
from host_tools.emulator.mqtt.subscribe import Suback, Subscribe, Unsubscribe
from host_tools.emulator.store.database import Database
from keystead import hub as wire
from keystead.sas import sas_token

NOW = 1_700_000_000.0
HUB = "test-docs-hub.azure-devices.net"
OTHER = "other-hub.azure-devices.net"
KEYS = KeyPair(b"p" * 32, b"s" * 32)
MESSAGES = "devices/dev-1/messages/devicebound/#"
METHODS = "$iothub/methods/POST/#"
DESIRED = "$iothub/twin/PATCH/properties/desired/#"
RESPONSES = "$iothub/twin/res/#"


class Bench:
    """Two hubs that also go by "bench.local:18883", "dev-1" on the first; a door for sessions."""

    def __init__(self, directory, **how):
        self.directory, self.how = directory, how
        self.events = []
        self.now, self.tick = NOW, 500.0
        self.live = {}
        self.open()
        self.hub.create("dev-1", self.now, KEYS)
        self.events.clear()

    def open(self):
        self.database = Database(self.directory)
        self.hubs = Hubs(
            [HUB, OTHER],
            self.database,
            self.events.append,
            "Bench.local:18883",
            random.Random(7).randbytes,
            **self.how,
        )
        self.hub, self.other = self.hubs.hub(HUB), self.hubs.hub(OTHER)

    def kill(self):
        """End as kill -9 does, and start again."""
        self.database.close()
        self.live.clear()
        self.open()

    def close(self):
        self.database.close()

    def wait(self, seconds=0.25):
        """Let time pass, and the sweep look at every deadline."""
        self.now += seconds
        self.tick += seconds
        self.hubs.expire(self.now, self.tick)
        for session in list(self.live.values()):
            session.expire(self.now, self.tick)

    def admit(self, connect, session, now):
        try:
            peer = self.hubs.connect(connect, now)
        except AccessDenied:
            raise ConnectRefused(NOT_AUTHORIZED) from None
        if older := self.live.get(peer.key):
            older.close("the same device connected again", now)
        self.live[peer.key] = session
        return peer

    def leave(self, session, peer, why, now):
        if peer and self.live.get(peer.key) is session:
            del self.live[peer.key]

    def device(self, name="dev-1", filters=(), **changes):
        """Connect a device (clean session 0) and subscribe it, with QoS 1, to filters."""
        device = BenchDevice(self, name, **changes)
        for topic_filter in filters:
            device.subscribe(topic_filter)
        self.wait()
        return device

    def told(self, kind):
        """Return the events of one class so far."""
        return [event for event in self.events if type(event) is kind]


class BenchDevice:
    """A device's end of one session."""

    def __init__(self, bench, name, clean=False, key=KEYS.primary, hub=HUB, **changes):
        self.bench = bench
        self.closed = False
        self._framer = Framer()
        self._news = []
        self.session = Session(bench, self._send, self._hang_up, bench.tick)
        token = sas_token(wire.resource(hub, name), key, int(bench.now) + 36000)
        username = changes.pop("username", wire.username(hub, name))
        connect = Connect(name, username, token.encode(), clean=clean, **changes)
        (self.connack, *self._news) = self.say(connect)
        assert isinstance(self.connack, Connack)

    def _send(self, data):
        self._news += [parse(*packet) for packet in self._framer.feed(data)]

    def _hang_up(self):
        self.closed = True

    def say(self, *packets):
        """Send packets; return what came since the last look."""
        data = b"".join(packet.encode() for packet in packets)
        self.session.receive(data, self.bench.now, self.bench.tick)
        return self.heard()

    def heard(self):
        news, self._news = self._news, []
        return news

    def subscribe(self, topic_filter, qos=1):
        answers = self.say(Subscribe(1, ((topic_filter, qos),)))
        (suback,) = [one for one in answers if isinstance(one, Suback)]
        self._news = [one for one in answers if one is not suback]
        return suback.codes[0]

    def unsubscribe(self, topic_filter):
        self.say(Unsubscribe(2, (topic_filter,)))

    def publish(self, topic, body=b""):
        """Publish with QoS 0; return topics and bodies of what is answered."""
        return [(one.topic, one.payload) for one in self.say(Publish(topic, body))]

    def acknowledge(self, *messages):
        return self.say(*(Puback(one.packet_id) for one in messages))

    def leave(self):
        self.say(Disconnect())

    def break_off(self):
        self.session.close("the connection broke", self.bench.now)
