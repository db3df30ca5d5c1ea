"""A device's end of a wire on which rules play faults, and what it says there, on a fake clock."""

from host_tools.emulator.faults.faults import Faults
from host_tools.emulator.faults.rule import Rule
from host_tools.emulator.faults.wire import Wire
from host_tools.emulator.mqtt.connect import Connack, Connect
from host_tools.emulator.mqtt.framing import Framer
from host_tools.emulator.mqtt.packets import Pingreq, Pingresp, Puback, Publish, Unsuback, parse
from host_tools.emulator.mqtt.peer import Message, Peer
from host_tools.emulator.mqtt.subscribe import Suback, Subscribe, Unsubscribe

NOW, TICK = 1_700_000_000.0, 500.0
AT_DPS = Connect("dev-1", "0ne00002193/registrations/dev-1/api-version=2019-03-31")
AT_HUB = Connect("dev-1", "hub.example/dev-1/?api-version=2021-04-12")
ANSWERS = "$dps/registrations/res/#"
TWIN = "$iothub/twin/res/#"
REGISTER = Publish("$dps/registrations/PUT/iotdps-register/?$rid=7", b"{}", 1, 5)
POLL = Publish(
    "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=8&operationId=4.ab.cd", b" ", 1, 6
)
GET = Publish("$iothub/twin/GET/?$rid=9", b"", 1, 7)
REPORT = Publish("$iothub/twin/PATCH/properties/reported/?$rid=10", b"{}", 1, 8)
TELEMETRY = Publish("devices/dev-1/messages/events/", b"21", 1, 9)
RESULT = Publish("$iothub/methods/res/200/?$rid=1a", b"{}", 1, 10)
TWIN_ANSWER = Publish("$iothub/twin/res/200/?$rid=9", b'{"a":1}', 1, 1)
DPS_ANSWER = Publish("$dps/registrations/res/202/?$rid=7&retry-after=1", b'{"a":1}', 1, 1)
CALL = Message("$iothub/methods/POST/reboot/?$rid=1a", b"{}", 0)
COMMAND = Message("devices/dev-1/messages/devicebound/%24.mid=1", b"x", 1, "token")
DESIRED = Message("$iothub/twin/PATCH/properties/desired/?$version=2", b'{"$version":2}', 0)


class Service(Peer):
    """Both services, as far as the wire is concerned: it answers and keeps what it was told."""

    api_version = "2021-04-12"
    expiry = float("inf")
    largest = 300_000

    def __init__(self, connect, first):
        self.service = "DPS" if connect is AT_DPS else "hub.example"
        self.device_id = connect.client_id
        self.done = []
        self.arrived = []
        self.granted = None
        self.first = first
        self.ended = None

    def subscribe(self, topic_filter, qos):
        self.granted = min(qos, 1)
        return self.granted

    def unsubscribe(self, topic_filter):
        self.granted = None

    def publish(self, message, now):
        self.done.append(message)
        rid = message.topic.partition("$rid=")[2].partition("&")[0]
        if message.topic.startswith("$dps"):
            topic = f"$dps/registrations/res/202/?$rid={rid}&retry-after=1"
            return [Message(topic, b'{"a":1}', self.granted)] if self.granted is not None else []
        if message.topic.startswith("$iothub/twin"):
            return [Message(f"$iothub/twin/res/200/?$rid={rid}", b'{"a":1}', self.granted or 0)]
        return []

    def connected(self, now):
        return self.first

    def acknowledged(self, token, now):
        self.arrived.append(token)

    def left(self, now, orderly):
        self.ended = orderly


class Door:
    """Lets everybody in."""

    def __init__(self, *rules, first=(), seed=0):
        self.events = []
        self.faults = Faults(self.events.append, seed)
        for rule in rules:
            self.faults.add(Rule.from_json(rule), NOW)
        self.first = first
        self.left = []

    def admit(self, connect, session, now):
        self.peer = Service(connect, self.first)
        return self.peer

    def leave(self, session, peer, why, now):
        assert peer is None or peer is self.peer
        self.left.append(why)


class Watcher:
    """A trace."""

    def __init__(self):
        self.seen = []

    def received(self, first, body, now):
        self.seen.append((">", first))

    def sent(self, data, now):
        self.seen.append(("<", data[0]))

    def ended(self, why, now):
        self.seen.append(why)


class Device:
    """A device's end of a wire."""

    def __init__(self, *rules, connect=None, watcher=None, **door):
        self.door = Door(*rules, **door)
        self.sent = bytearray()
        self.end = None
        self.tick = TICK
        self.wire = Wire(
            self.door,
            self._sent,
            lambda: self._ended("in order"),
            lambda: self._ended("dropped"),
            TICK,
            "127.0.0.1:5",
            watcher,
        )
        if connect:
            assert self.ask(connect) == [Connack(0)]

    def _sent(self, data):
        assert data
        assert not self.end
        self.sent += data

    def _ended(self, how):
        assert not self.end
        self.end = how

    def say(self, *packets):
        """Send packets in one piece; return the bytes that come back."""
        data = b"".join(p if isinstance(p, bytes) else p.encode() for p in packets)
        self.wire.receive(data, NOW + self.tick - TICK, self.tick)
        return self.heard()

    def ask(self, *packets):
        return [parse(*packet) for packet in Framer().feed(self.say(*packets))]

    def heard(self):
        data = bytes(self.sent)
        self.sent.clear()
        return data

    def wait(self, seconds):
        """Let time go by; return the bytes that come."""
        self.tick += seconds
        self.wire.expire(NOW + self.tick - TICK, self.tick)
        return self.heard()

    def push(self, message):
        self.door.peer.push(message)
        return self.heard()

    @property
    def done(self):
        return [message.topic for message in self.door.peer.done]


def at_dps(*rules, qos=1, **more):
    device = Device(*rules, connect=AT_DPS, **more)
    assert device.ask(Subscribe(1, ((ANSWERS, qos),))) == [Suback(1, (qos,))]
    return device


def at_hub(*rules, qos=1, **more):
    device = Device(*rules, connect=AT_HUB, **more)
    assert device.ask(Subscribe(1, ((TWIN, qos),))) == [Suback(1, (qos,))]
    return device


PLACES = [
    ("it connects", AT_HUB, Connack(0)),
    ("it subscribes", Subscribe(3, ((TWIN, 1),)), Suback(3, (1,))),
    ("it unsubscribes", Unsubscribe(3, (TWIN,)), Unsuback(3)),
    ("it pings", Pingreq(), Pingresp()),
    ("it sends telemetry", TELEMETRY, Puback(9)),
    ("it asks for its twin", GET, TWIN_ANSWER._replace(qos=0, packet_id=0)),
]


def provoked(when, packet, gets, **more):
    device = Device(f"dev-1, when {when}, gets {gets}, once", **more)
    if packet is not AT_HUB:
        device.say(AT_HUB)
    data = device.say(packet)
    # PUBACK comes first, and is as it should be
    return device, data.removeprefix(Puback(7).encode()) if packet is GET else data
