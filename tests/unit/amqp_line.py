"""A client's end of one AMQP connection, and a hub's door that keeps all it is given in memory."""

import json
from dataclasses import replace
from typing import Any

from host_tools.emulator.access import AccessDenied, Reason, Token
from host_tools.emulator.amqp import message, performatives
from host_tools.emulator.amqp.composite import Composite
from host_tools.emulator.amqp.door import Principal
from host_tools.emulator.amqp.framing import AMQP, Frame, Framer, Header, frame, header
from host_tools.emulator.amqp.message import Message, Properties
from host_tools.emulator.amqp.messaging import Source, Target
from host_tools.emulator.amqp.performatives import Attach, Begin, Close, Flow, Open, Transfer
from host_tools.emulator.amqp.session import AmqpSession
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.hub.messages import CloudMessage, Feedback, Outcome
from keystead.sas import sas_token

NOW = 1_700_000_000.0
TICK = 500.0  # of the clock that nobody sets
KEY = b"k" * 32
TOKEN = sas_token("localhost", KEY, int(NOW) + 3600) + "&skn=service"
BAD_TOKEN = sas_token("localhost", b"x" * 32, int(NOW) + 3600)
OPEN = Open("client", "localhost")
BEGIN = Begin(next_outgoing_id=0, incoming_window=1000, outgoing_window=1000)
DEVICEBOUND, FEEDBACK = "/messages/devicebound", "/messages/serviceBound/feedback"


class Doorman:
    """A hub's door."""

    def __init__(self) -> None:
        self.hosts: list[str] = []  # as they were named with tokens
        self.sent: list[tuple[str, CloudMessage]] = []
        self.feed: list[Feedback] = []
        self.gone: list[tuple[Principal | None, str, str]] = []
        self.failures: list[str] = []  # of hand-shakes
        self.fault: ServiceError | None = None

    def failed(self, address: str, why: str) -> None:
        self.failures.append(why)

    def authenticate(self, token: bytes, host: str, now: float) -> Principal:
        self.hosts.append(host)
        parsed = Token.parse(token)
        if not parsed.is_signed_with((KEY,)):
            raise AccessDenied(Reason.WRONG_KEY)
        return Principal("hub", parsed.policy, parsed.expiry)

    def send(self, principal: Principal, device_id: str, sent: CloudMessage, now: float) -> None:
        if self.fault:
            raise self.fault
        self.sent.append((device_id, sent))

    def feedback(self, principal: Principal) -> "Doorman":
        return self

    def take(self, most: int) -> list[Feedback]:
        taken, self.feed = self.feed[:most], self.feed[most:]
        return taken

    def back(self, records: list[Feedback]) -> None:
        self.feed = [*records, *self.feed]

    def left(self, principal: Principal | None, address: str, why: str, now: float) -> None:
        self.gone.append((principal, address, why))

    def happened(self, *message_ids: str) -> None:
        """Messages with these IDs were taken by their device."""
        for message_id in message_ids:
            self.feed.append(Feedback(NOW, message_id, "dev-1", "g", Outcome.SUCCESS))


class Line:
    """A client's end; its say() sends performatives, alone or with a payload."""

    def __init__(self, watcher: Any = None, door: Any = None) -> None:
        self.door = door or Doorman()
        self.sent = bytearray()
        self.hung_up = False
        self.tick = TICK
        self.session = AmqpSession(
            self.door, self.sent.extend, self._hang_up, TICK, "there:1", watcher
        )
        self.framer = Framer()
        self.said: list[Composite] = []  # what came back last
        self.payloads: list[bytes] = []  # of these
        self._number = 0

    def _hang_up(self) -> None:
        assert not self.hung_up, "once is enough"
        self.hung_up = True

    def raw(self, data: bytes) -> list[Header | Frame]:
        """Send bytes; return what comes back."""
        self.session.receive(data, NOW, self.tick)
        return self._heard()

    def say(self, *said: Composite | tuple[Composite, bytes], channel: int = 0) -> list[Composite]:
        """Send frames in one piece; return the performatives that come back."""
        pairs = [one if isinstance(one, tuple) else (one, b"") for one in said]
        data = b"".join(frame(one.encode() + payload, channel) for one, payload in pairs)
        return self.hear(data)

    def hear(self, data: bytes) -> list[Composite]:
        """Send bytes; return the performatives that come back."""
        return self._read(self.raw(data))

    def wait(self, seconds: float, now: float = NOW) -> list[Composite]:
        """Let time pass in one step; return what comes."""
        self.tick += seconds
        self.session.expire(now, self.tick)
        return self._read(self._heard())

    def _heard(self) -> list[Header | Frame]:
        self.framer.feed(bytes(self.sent))
        self.sent.clear()
        items = []
        while item := self.framer.take():
            items.append(item)
        return items

    def _read(self, items: list[Header | Frame]) -> list[Composite]:
        pairs = [performatives.parse(item.body) for item in items if item.body]
        self.said = [performative for performative, _ in pairs]
        self.payloads = [payload for _, payload in pairs]
        return self.said

    def transfer(self, sent: Message | bytes, handle: int = 2, **changes: Any) -> Any:
        """Return a message's only or first frame."""
        number, self._number = self._number, self._number + 1
        data = sent if isinstance(sent, bytes) else sent.encode()
        return replace(Transfer(handle, number, b"%d" % number), **changes), data

    def opened(self, opening: Open = OPEN, begin: Begin = BEGIN) -> "Line":
        """Be through open and begin."""
        self.raw(header(AMQP))
        self.say(opening, begin)
        return self

    def known(self, token: str = TOKEN, **terms: Any) -> "Line":
        """Have put a token, on handles 0 and 1."""
        self.opened(**terms)
        self.say(sender("$cbs", 0), receiver("$cbs", 1))
        self.say(credit(1, 10))
        self.say(self.transfer(put(token), 0))
        return self

    def sender(self) -> "Line":
        """Be attached to the devices' node, on handle 2."""
        self.known()
        self.say(sender(DEVICEBOUND, 2))
        return self

    def receiver(self, most: int = 10, begin: Begin = BEGIN, **changes: Any) -> "Line":
        """Be attached to the feedback's node, on handle 2, with this credit."""
        self.known(begin=begin)
        self.say(replace(receiver(FEEDBACK, 2), **changes))
        self.say(credit(2, most))
        return self

    def batches(self) -> list[list[str]]:
        """Return the message IDs in batches of feedback that came last."""
        found, data = [], b""
        for said, payload in zip(self.said, self.payloads, strict=True):
            if isinstance(said, Transfer):
                data += payload
                if not said.more:
                    body = json.loads(message.parse(data).body)
                    found.append([record["originalMessageId"] for record in body])
                    data = b""
        return found

    def ended(self) -> tuple[str, str]:
        """Return the condition that the close told, and why the operator hears it ended."""
        assert self.hung_up
        close = self.said[-1]
        assert isinstance(close, Close)
        assert close.error is not None
        return close.error.condition, self.door.gone[-1][2]


def sender(address: object, handle: int) -> Attach:
    """Return an attach to send by."""
    return Attach(f"to {address}", handle, False, target=Target(address), initial_delivery_count=0)


def receiver(address: object, handle: int) -> Attach:
    """Return an attach to receive by."""
    return Attach(f"from {address}", handle, True, source=Source(address))


def credit(handle: int | None, most: int, seen: int = 0, **changes: Any) -> Flow:
    """Return a flow for a link by which the client receives."""
    flow = Flow(
        next_incoming_id=0,
        incoming_window=1000,
        next_outgoing_id=0,
        outgoing_window=1000,
        handle=handle,
        delivery_count=seen,
        link_credit=most,
    )
    return replace(flow, **changes)


def put(token: Any, message_id: object = 1) -> Message:
    """Return a request to $cbs."""
    named = {"operation": "put-token", "type": "servicebus.windows.net:sastoken", "name": "x"}
    return Message(Properties(message_id), named, body=token)


def hello(device_id: str = "dev-1", body: Any = b"hello") -> Message:
    """Return a message for a device."""
    return Message(Properties(to=f"/devices/{device_id}/messages/devicebound"), body=body)


def conditions(said: list[Composite]) -> list[str]:
    """Return the conditions of all errors in what was said."""
    return [one.error.condition for one in said if getattr(one, "error", None)]
