"""Harness: AMQP 1.0 frames to a service session, with a good token or without.

The first byte says how far the client has come, then come steps. The oracle: only the session
ends, in order, what is sent is AMQP, another session goes on, and what is kept has a limit.
"""

import random
import tempfile
from dataclasses import replace
from pathlib import Path

from host_tools.emulator.amqp import message, performatives, sasl
from host_tools.emulator.amqp.composite import Composite
from host_tools.emulator.amqp.framing import (
    AMQP,
    SASL,
    SASL_FRAME,
    Frame,
    Framer,
    frame,
    header,
)
from host_tools.emulator.amqp.hub_door import HubDoor
from host_tools.emulator.amqp.message import Message, Properties
from host_tools.emulator.amqp.messaging import Accepted, Rejected, Source, Target
from host_tools.emulator.amqp.performatives import (
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    End,
    Flow,
    Open,
    Transfer,
)
from host_tools.emulator.amqp.session import AmqpSession
from host_tools.emulator.dps.enrollment import KeyPair
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.hub.hubs import Hubs
from host_tools.emulator.store.database import Database
from host_tools.emulator.trace.trace import Spoken
from host_tools.emulator.trace.traces import Traces
from keystead.sas import sas_token
from tests.fuzz.bench import BEGIN, HUB, NAME
from tests.fuzz.chance import Chance, said

DEVICEBOUND, FEEDBACK, CBS = "/messages/devicebound", "/messages/serviceBound/feedback", "$cbs"
OPEN = Open("client", HUB)
SESSION = Begin(next_outgoing_id=0, incoming_window=1000, outgoing_window=1000)
TOKENS = [
    b"AMQP\0\1\0\0",
    b"AMQP\3\1\0\0",
    *(b"\0S" + bytes((code,)) for code in (*range(0x10, 0x19), *range(0x40, 0x45))),
    *(b"\0S" + bytes((code,)) for code in (*range(0x23, 0x30), *range(0x70, 0x79))),
    *(b"\xc0\x01\x00", b"\xd0\0\0\0\4\0\0\0\0", b"\x45", b"\x40", b"\xa1\4$cbs", b"\xa0\1x"),
    *(text.encode() for text in (DEVICEBOUND, FEEDBACK, f"/devices/{NAME}/messages/devicebound")),
]
_MOST = 48  # steps


class Bench:
    """A hub behind AMQP's door, with a neighbour who must not notice anything."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="keystead-fuzz-")
        self.now, self.tick = BEGIN, 500.0
        self.events: list[object] = []
        self.database = Database(Path(self._directory.name))
        self.hubs = Hubs(
            [HUB], self.database, self.events.append, random=random.Random(7).randbytes
        )
        self.hub = self.hubs.hub(HUB)
        self.door = HubDoor(self.hubs, self.events.append)
        key = self.hub.policies.keys("service").primary
        expiry = int(BEGIN) + 100_000_000_000
        self.token = sas_token(HUB, key, expiry, "service")
        self.hub.create(NAME, self.now, KeyPair(bytes(32), bytes(32)))
        self.neighbour = Line(self)
        self.neighbour.come_in()

    def check_neighbour(self) -> None:
        """See that the neighbour is still served."""
        self.hub.purge(NAME, self.now)
        line = self.neighbour
        line.said.clear()
        line.transfer(2, hello(NAME).encode())
        states = [one.state for one in line.said if isinstance(one, Disposition)]
        assert states == [Accepted()], line.said
        assert self.hub.pending(NAME) == 1
        self.hub.purge(NAME, self.now)
        self.events.clear()


class Line:
    """A client's end of one connection; checks all that it hears."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.said: list[Composite] = []
        self.ended = False
        self.traces = Traces(on=True)
        self.trace = self.traces.open("127.0.0.1:5", bench.now)
        assert self.trace
        self._framer = Framer()
        self._deliveries = 0
        self.session = AmqpSession(
            bench.door, self._take, self._end, bench.tick, "127.0.0.1:5", Spoken(self.trace)
        )

    def say(self, data: bytes) -> None:
        """Send bytes."""
        self.session.receive(data, self.bench.now, self.bench.tick)

    def tell(self, performative: Composite, payload: bytes = b"", channel: int = 0) -> None:
        """Send a frame."""
        self.say(frame(performative.encode() + payload, channel))

    def transfer(self, handle: int, data: bytes, more: bool = False) -> None:
        """Send a message, or its beginning."""
        number, self._deliveries = self._deliveries, self._deliveries + 1
        self.tell(Transfer(handle, number, b"%d" % number, more=more), data)

    def open(self) -> None:
        """Be through open and begin."""
        self.say(header(AMQP))
        self.tell(OPEN)
        self.tell(SESSION)

    def come_in(self) -> None:
        """Put a good token, attach to the devices' node and to the feedback's."""
        self.open()
        self.tell(Attach("s", 0, False, target=Target(CBS), initial_delivery_count=0))
        self.tell(Attach("r", 1, True, source=Source(CBS)))
        self.tell(flow(1, 100))
        named = {"operation": "put-token", "type": "servicebus.windows.net:sastoken", "name": "x"}
        self.transfer(0, Message(Properties(1), named, body=self.bench.token).encode())
        self.tell(Attach("d", 2, False, target=Target(DEVICEBOUND), initial_delivery_count=0))
        self.tell(Attach("f", 3, True, source=Source(FEEDBACK)))
        self.tell(flow(3, 10))
        assert not self.ended, self.said

    def _take(self, data: bytes) -> None:
        assert not self.ended, "bytes behind the end"
        self._framer.feed(data)
        while item := self._framer.take():
            if isinstance(item, Frame) and item.body and item.kind == SASL_FRAME:
                outcome = sasl.parse(item.body)
                if isinstance(outcome, sasl.Outcome) and outcome.code == sasl.OK:
                    self._framer.header_next = True
            elif isinstance(item, Frame) and item.body:
                performative, payload = performatives.parse(item.body)
                self.said.append(performative)
                if isinstance(performative, Transfer) and not performative.more and payload:
                    message.parse(payload)
        assert not self._framer._rest, "half a frame"

    def _end(self) -> None:
        assert not self.ended, "ended twice"
        self.ended = True

    def finish(self) -> None:
        """Close as the network would, and see that nothing is left behind."""
        assert len(self.session._framer._rest) <= 64 * 1024 + 4096 or self.session.closed
        self.session.close("the connection broke", self.bench.now)
        assert self.session.closed
        assert self.ended
        signature = self.bench.token.partition("sig=")[2].partition("&")[0]
        assert self.trace
        for line in self.trace.lines():
            said = line.text_among_others() + line.json()
            assert said.isprintable(), said
            assert signature not in said, "a signature"


def run(data: bytes) -> None:
    """Hold one conversation."""
    if not _bench:
        _bench.append(Bench())
    bench, chance = _bench[0], Chance(data)
    line, stage = Line(bench), chance.below(5)
    if stage == 1:
        line.open()
    elif stage == 2:
        line.say(header(SASL))
    elif stage > 2:
        line.come_in()
    for _ in range(_MOST):
        if not chance.more():
            break
        _STEPS[chance.below(len(_STEPS))](line, chance)
    line.finish()
    bench.check_neighbour()


_bench: list[Bench] = []


def flow(handle: int | None, credit: int, drain: bool = False) -> Flow:
    """Return a flow by which the client receives."""
    return Flow(
        next_incoming_id=0,
        incoming_window=1000,
        next_outgoing_id=0,
        outgoing_window=1000,
        handle=handle,
        delivery_count=0,
        link_credit=credit,
        drain=drain,
    )


def hello(device_id: str) -> Message:
    """Return a message for a device, whose sender wants to hear of it."""
    to = f"/devices/{device_id}/messages/devicebound"
    return Message(Properties("m", to=to), {"iothub-ack": "full"}, body=b"hello")


def _symbol(chance: Chance) -> str:
    return chance.piece().decode("ascii", "replace").replace("\ufffd", "?")


def _raw(line: Line, chance: Chance) -> None:
    line.say(chance.piece())


def _frame(line: Line, chance: Chance) -> None:
    kind, channel = chance.below(3), chance.below(3)
    line.say(frame(chance.piece(), channel, kind))


def _performative(line: Line, chance: Chance) -> None:
    body = b"\0\x53" + bytes((0x10 + chance.below(9),)) + chance.piece()
    line.say(frame(body, chance.below(3)))


def _transfer(line: Line, chance: Chance) -> None:
    line.transfer(chance.below(4), chance.piece(), bool(chance.below(2)))


def _section(line: Line, chance: Chance) -> None:
    data = b"".join(
        b"\0\x53" + bytes((0x70 + chance.below(9),)) + chance.piece() for _ in range(2)
    )
    line.transfer(2, data)


def _message(line: Line, chance: Chance) -> None:
    sent = hello(NAME if chance.below(2) else chance.text())
    kind = _symbol(chance)
    properties = replace(sent.properties, message_id=chance.text(), content_type=kind)
    line.transfer(2, replace(sent, properties=properties, body=chance.piece()).encode())


def _attach(line: Line, chance: Chance) -> None:
    address = (DEVICEBOUND, FEEDBACK, CBS, None, chance.text())[chance.below(5)]
    handle, receives = chance.below(6), bool(chance.below(2))
    line.tell(
        Attach(
            chance.text(),
            handle,
            receives,
            chance.below(3),
            chance.below(2),
            Source(address),
            Target(address),
            initial_delivery_count=None if receives else chance.byte(),
        )
    )


def _flow(line: Line, chance: Chance) -> None:
    handle = (None, 0, 1, 3, 9)[chance.below(5)]
    line.tell(flow(handle, chance.byte(), bool(chance.below(2))))


def _dispose(line: Line, chance: Chance) -> None:
    first, count = chance.below(8), chance.below(8)
    state = (Accepted(), Rejected(), None)[chance.below(3)]
    receives, settled = bool(chance.below(2)), bool(chance.below(2))
    line.tell(Disposition(receives, first, first + count, settled, state))


def _end(line: Line, chance: Chance) -> None:
    what = chance.below(3)
    line.tell((Detach(chance.below(4), bool(chance.below(2))), End(), Close())[what])


def _wait(line: Line, chance: Chance) -> None:
    bench = line.bench
    seconds = (0.3, 61, 250, 4000)[chance.below(4)]
    bench.now, bench.tick = bench.now + seconds, bench.tick + seconds
    bench.hubs.expire(bench.now, bench.tick)
    line.session.expire(bench.now, bench.tick)
    bench.neighbour.say(frame(b""))  # its heartbeat


# messages that are purged or expire leave feedback
def _purge(line: Line, chance: Chance) -> None:
    try:
        line.bench.hub.purge(NAME, line.bench.now)
    except ServiceError as error:
        assert error.code // 1000 == 404, error
    line.session.expire(line.bench.now, line.bench.tick)


def _sasl(line: Line, chance: Chance) -> None:
    mechanism = ("MSSBCBS", "ANONYMOUS", "PLAIN", _symbol(chance))[chance.below(4)]
    user = b"\0service@sas.root." + HUB.partition(".")[0].encode() + b"\0"
    response = (user + line.bench.token.encode(), chance.piece())[chance.below(2)]
    line.say(sasl.encode(sasl.Init(mechanism, response, HUB)))


_STEPS = (
    _raw,
    _frame,
    _performative,
    _transfer,
    _section,
    _message,
    _attach,
    _flow,
    _dispose,
    _end,
    _wait,
    _purge,
    _sasl,
)
_NUMBER = {step.__name__: number for number, step in enumerate(_STEPS)}


def _step(name: str, *parts: int | bytes) -> bytes:
    return bytes((_NUMBER[name],)) + said(*parts)


SEEDS = [
    said(0) + _step("_raw", header(AMQP) + frame(OPEN.encode()) + frame(SESSION.encode())),
    said(1) + _step("_attach", b"", b"link", 0, 0, 0, 0, 0) + _step("_end", 2),
    said(2) + _step("_sasl", b"", 2, b"", 0) + _step("_raw", header(AMQP) + frame(OPEN.encode())),
    said(3)
    + _step("_message", 1, b"m1", b"text/plain", b"hello")
    + _step("_purge")
    + _step("_dispose", 0, 1, 0, 1, 1)
    + _step("_flow", 3, 10, 1)
    + _step("_wait", 1)
    + _step("_end", 0, 0),
    said(4) + _step("_section", 3, b"\xc0\x03\x01\xa1\x00", 5, b"\xa0\x01x"),
]
