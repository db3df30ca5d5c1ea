"""Harness: an MQTT stream to a session, with a token that opens the door or without.

The first byte says who is there, then come steps: packets good and bad, what the service does
meanwhile, time. The oracle is bench.py's.
"""

import json
from functools import cache

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.faults.action import ACTIONS
from host_tools.emulator.faults.rule import Rule, from_sentence
from host_tools.emulator.faults.when import WHEN
from host_tools.emulator.hub.messages import CloudMessage
from host_tools.emulator.hub.methods import MethodAnswer, MethodCall
from host_tools.emulator.mqtt.connect import Connect
from host_tools.emulator.mqtt.fields import text, uint16
from host_tools.emulator.mqtt.framing import frame
from host_tools.emulator.mqtt.packets import Puback, Publish
from host_tools.errors import CommandError
from tests.fuzz.bench import BEGIN, NAME, Bench, Line
from tests.fuzz.chance import Chance, said

TOPICS = (
    "$dps/registrations/PUT/iotdps-register/?$rid=",
    "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1&operationId=",
    f"devices/{NAME}/messages/events/",
    f"devices/{NAME}/messages/events",
    "$iothub/twin/GET/?$rid=",
    "$iothub/twin/PATCH/properties/reported/?$rid=",
    "$iothub/methods/res/200/?$rid=",
    "$iothub/methods/res/",
    "",
)
FILTERS = (
    "$dps/registrations/res/#",
    "$iothub/twin/res/#",
    "$iothub/methods/POST/#",
    "$iothub/twin/PATCH/properties/desired/#",
    f"devices/{NAME}/messages/devicebound/#",
    "devices/+/messages/devicebound/#",
)
TOKENS = [
    *(topic.encode() for topic in TOPICS + FILTERS),
    b'{"registrationId":"dev-1"}',
    b'"payload":',
    b'{"tags":{"a":1},"properties":{"desired":{"b":null}}}',
    b"%24.ct=application%2Fjson",
    b"&%24.mid=",
    b"$version",
    b"null",
    b"NaN",
    b"1e999",
    b"\\ud800",
    b"\xed\xa0\x80",
    b"SharedAccessSignature sr=",
]
_MOST = 64  # steps
_WAITS = (0, 0.3, 2, 40, 400)

_bench: list[Bench] = []


def run(data: bytes) -> None:
    """Hold one conversation."""
    if not _bench or _bench[0].now > BEGIN + 5_000_000_000:
        while _bench:
            _bench.pop().close()
        _bench.append(Bench())
    bench = _bench[0]
    bench.cloud.faults.clear()
    bench.renew()
    Conversation(bench, Chance(data)).hold()
    bench.check_neighbour()


class Conversation:
    """A device, its packets, and what the service does meanwhile."""

    def __init__(self, bench: Bench, chance: Chance) -> None:
        self.bench = bench
        self.chance = chance
        self.lines = [Line(bench)]
        self.calls = self.answered = 0

    def hold(self) -> None:
        """Go step by step."""
        service = self.chance.below(4)
        if service:
            self._connect(service)
        for _ in range(_MOST):
            if not self.chance.more():
                break
            _STEPS[self.chance.below(len(_STEPS))](self)
        for line in self.lines:
            line.finish()
        self.bench.wait(700)  # longer than any method call waits
        assert self.answered == self.calls, "a method call has one answer"

    def _connect(self, service: int) -> None:
        bench = self.bench
        good = bench.at_dps if service == 1 else bench.at_hub
        connect = Connect(
            good.client_id, good.username, good.password, 0 if service < 3 else 60, service < 3
        )
        self.say(connect.encode())

    def say(self, data: bytes) -> None:
        """Send bytes on the newest line."""
        self.lines[-1].say(data)

    # --- the device

    def raw(self) -> None:
        """Send bytes."""
        self.say(self.chance.piece())

    def framed(self) -> None:
        """Send a packet of any type."""
        first = self.chance.byte()
        self.say(frame(first, self.chance.piece()))

    def publish(self) -> None:
        """Publish to a topic that there is, or nearly."""
        topic = TOPICS[self.chance.below(len(TOPICS))].encode() + self.chance.piece()
        flags = self.chance.byte() & 0x0F
        packet_id = uint16(self.chance.byte()) if flags & 6 else b""
        body = uint16(len(topic)) + topic + packet_id + self.chance.piece()
        self.say(frame(0x30 | flags, body))

    def poll(self) -> None:
        """Ask DPS how a registration goes that has really begun."""
        for packet in self.lines[-1].heard:
            if isinstance(packet, Publish) and b'"operationId":"' in packet.payload:
                operation = packet.payload.partition(b'"operationId":"')[2].partition(b'"')[0]
                self.say(Publish(TOPICS[1] + operation.decode(), self.chance.piece()).encode())
                return

    def trouble(self) -> None:
        """Put a rule in force: something goes wrong with this device."""
        chance, bench = self.chance, self.bench
        rule = _rule(chance.below(len(WHEN)), chance.below(len(ACTIONS)))
        if rule is None:
            return
        bench.cloud.faults.add(rule, bench.now)
        for line in self.lines:
            line.bent = True

    def subscribe(self) -> None:
        """Subscribe, to a filter that there is for once."""
        choice = self.chance.below(len(FILTERS) + 1)
        name = FILTERS[choice] if choice < len(FILTERS) else self.chance.text()
        self.say(frame(0x82, b"\x00\x01" + text(name) + bytes((self.chance.below(4),))))

    def unsubscribe(self) -> None:
        """Unsubscribe."""
        name = FILTERS[self.chance.below(len(FILTERS))]
        self.say(frame(0xA2, b"\x00\x01" + text(name)))

    def acknowledge(self) -> None:
        """Acknowledge a message, perhaps one that was sent."""
        self.say(Puback(self.chance.byte() + 1).encode())

    def answer(self) -> None:
        """Answer the newest method call."""
        for packet in reversed(self.lines[-1].heard):
            if isinstance(packet, Publish) and packet.topic.startswith("$iothub/methods/"):
                rid = packet.topic.partition("$rid=")[2]
                topic = f"$iothub/methods/res/{self.chance.byte()}/?$rid={rid}"
                self.say(Publish(topic, self.chance.piece()).encode())
                return

    def connect_again(self) -> None:
        """Come in by another connection."""
        if len(self.lines) < 4:
            self.lines.append(Line(self.bench, self.bench.cloud.faults.active))
            self._connect(self.chance.below(3) + 1)

    # --- the service

    def wait(self) -> None:
        """Let time go by."""
        self.bench.wait(_WAITS[self.chance.below(len(_WAITS))])
        for line in self.lines:
            line.wire.expire(self.bench.now, self.bench.tick)

    def send(self) -> None:
        """Send a message to the device."""
        chance = self.chance
        message = CloudMessage(
            chance.piece(),
            message_id=chance.text(),
            content_type=chance.text(),
            ack=("none", "full", "positive", "negative", "x")[chance.below(5)],
            expires=self.bench.now + chance.byte() if chance.below(2) else 0,
            properties={chance.text(): chance.text() if chance.below(2) else None},
        )
        self._ask(lambda: self.bench.hub.send(NAME, message, self.bench.now))

    def patch_twin(self) -> None:
        """Change the twin from the service's side."""
        patch, replaces = _json(self.chance.piece()), self.chance.below(2)
        if isinstance(patch, dict):
            hub, now = self.bench.hub, self.bench.now
            change = hub.replace_twin if replaces else hub.patch_twin
            self._ask(lambda: change(NAME, patch, now))

    def invoke(self) -> None:
        """Call a method."""
        call = MethodCall(
            self.chance.text(),
            _json(self.chance.piece()),
            self.chance.byte() + 5,
            self.chance.byte(),
        )

        def done(answer: MethodAnswer | ServiceError) -> None:
            self.answered += 1

        self.calls += 1
        self.bench.hub.invoke(NAME, call, self.bench.tick, done)

    def manage(self) -> None:
        """Change the device's identity."""
        bench, what = self.bench, self.chance.below(4)
        if what == 0:
            self._ask(lambda: bench.hub.update(NAME, bench.now, enabled=False))
        elif what == 1:
            self._ask(lambda: bench.hub.update(NAME, bench.now, enabled=True))
        elif what == 2:
            self._ask(lambda: bench.hub.purge(NAME, bench.now))
        else:
            bench.renew()

    def look(self) -> None:
        """Read all that the service shows of the device."""
        hub = self.bench.hub
        self._ask(lambda: json.dumps(hub.twin_document(NAME)))
        self._ask(lambda: hub.statistics())

    def _ask(self, question: object) -> None:
        try:
            question()  # type: ignore[operator]
        except ServiceError as error:
            assert 400_000 <= error.code < 600_000
            assert error.code // 1000 != 500, error


_STEPS = (
    Conversation.raw,
    Conversation.framed,
    Conversation.publish,
    Conversation.publish,
    Conversation.subscribe,
    Conversation.unsubscribe,
    Conversation.acknowledge,
    Conversation.answer,
    Conversation.connect_again,
    Conversation.wait,
    Conversation.send,
    Conversation.patch_twin,
    Conversation.invoke,
    Conversation.manage,
    Conversation.look,
    Conversation.poll,
    Conversation.trouble,
)
_NUMBER = {step.__name__: number for number, step in enumerate(_STEPS)}


@cache
def _rule(happens: int, gets: int) -> Rule | None:
    try:
        sentence = f"{NAME}, when {WHEN[happens].sample}, gets {ACTIONS[gets].sample}"
        return from_sentence(sentence)
    except CommandError:
        return None


def _json(data: bytes) -> object:
    try:
        document = json.loads(data, parse_constant=lambda name: None)
        json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return document


def _step(name: str, *parts: int | bytes) -> bytes:
    return bytes((_NUMBER[name],)) + said(*parts)


SEEDS = [
    said(0) + _step("raw", b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03abc"),
    said(1)
    + _step("subscribe", 0, 1)
    + _step("publish", 0, b"1", 2, 1, b'{"registrationId":"dev-1","payload":{"a":1}}')
    + _step("publish", 1, b"5.x", 0, b" ")
    + _step("poll", b" ")
    + _step("poll", b"")
    + _step("framed", 0xE0, b""),
    said(2)
    + _step("subscribe", 1, 1)
    + _step("publish", 4, b"7", 0, b"")
    + _step("publish", 5, b"8", 2, 3, b'{"a":{"b":[1,null,"x"]},"c":1.5}')
    + _step("publish", 2, b"%24.ct=application%2Fjson&a&b=", 3, 4, b'{"t":1}')
    + _step("framed", 0xC0, b""),
    said(3)
    + _step("subscribe", 4, 1)
    + _step("subscribe", 2, 0)
    + _step("subscribe", 3, 1)
    + _step("send", b"hello", b"m1", b"text/plain", 1, 1, 60, b"a b", 1, b"c&d")
    + _step("acknowledge", 0)
    + _step("invoke", b"reboot", b'{"in":5}', 30, 0)
    + _step("answer", 200, b"{}")
    + _step("patch_twin", b'{"tags":{"x":1},"properties":{"desired":{"a":{"b":null}}}}', 0)
    + _step("patch_twin", b'{"properties":{"desired":{"c":[1,2]}}}', 1)
    + _step("connect_again", 2)
    + _step("wait", 4)
    + _step("manage", 0)
    + _step("look"),
    said(2) + _step("trouble", 8, 3) + _step("publish", 2, b"", 2, 1, b"{}") + _step("wait", 2),
]
