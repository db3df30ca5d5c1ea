"""The device: what app.py is given. Connections come and go beneath it.

Owns the connection while there is one: its keeping, its renewal, what comes in on it. What is
done without one is in rim.away. Holds no key: rim.credentials signs.
"""

import gc
import time

from keystead import hub
from keystead.failure import Failure
from rim import clock, mqtt  # mqtt stays: loaded early, it lies where it is in nobody's way
from rim.memory import forget_all_but, give_up, once

_SETTLED = 600  # seconds connected, after which earlier failures are history
_JUMP = 300  # seconds by which a clock may run away from the ticks: a hub allows for as much
_STARVED = 3  # as rim.aftermath has it
_TURN = 100  # milliseconds between two looks while there is no connection
_QUEUE = 8  # incoming messages that wait for their handlers
# stays in the heap while the board is connected; all else is loaded when it is needed
_KEPT = ("keystead.failure", "keystead.hub", "keystead.percent", "rim.start", "rim.device",
         "rim.clock", "rim.log", "rim.memory", "rim.mqtt", "rim.stream", "rim.keeping",
         "keystead.journal")  # fmt: skip
_HEARD = "rim.inbox", "keystead.incoming"  # as well, for an application that is called


class Device:
    """A device and its hub. hub and device_id are the names DPS assigned, "" before it did."""

    # what rim.away gives its first value
    life: dict
    told: dict
    time: int
    since: int
    lasts: int
    sent: int
    starved: int
    settled: bool
    unread: bool
    stale: bool
    readable: bool

    def __init__(self, feed, settings):
        """feed(): tell the watchdog that there is progress; settings: of rim.settings."""
        self.feed = feed
        self.settings = settings
        self.hub = self.device_id = ""
        self.handlers: dict = {}  # what app.py wants to hear of: rim.inbox knows the names
        self.renew = False  # set it to have a new connection at the next turn
        self.reprovision = False  # set it to have DPS asked on the way
        self.client: mqtt.Client = None  # type: ignore[assignment]  # while there is no connection
        self.journal = None  # rim.keeping's, if config.json has one
        self.incoming: list = []
        self.kept: tuple = ()  # modules that were there when app.py was loaded
        self._busy = False
        once("rim.away.begin", self)

    @property
    def online(self) -> bool:
        """Tell whether there is a connection to the hub."""
        return self.client is not None

    # ---- for the application

    def send(self, payload, properties=None) -> None:
        """Send one telemetry message; return when the hub has it, or the journal if there is one.

        payload: bytes, str, or anything json.dumps() takes, which the message's content type
        then says; properties: dict of str to str, see keystead.hub.property_bag; creation_time is
        among them unless you say another. However long the hub is away, this does not raise: it
        waits, or keeps the message.
        """
        bag, payload = _message(payload, properties)
        if self.journal and b"%24.mid=" not in bag:
            # it may be sent more than once: whoever receives it can tell
            self.sent += 1
            bag += b"%s%%24.mid=%x" % (b"&" if bag else b"", self.sent)
        if self._behind() or time.ticks_diff(time.ticks_ms(), self.turned) > 1000:
            self.turn(0)
        if self.client and self._behind():  # two go out for one that comes in
            self._replay()
        while self._behind() or not self._sent(bag, payload):
            if self._keeps(bag, payload):
                return
            self.turn(_TURN)

    def wait(self, seconds) -> None:
        """Let seconds pass; use it instead of time.sleep(): it keeps the connection alive."""
        left = int(seconds * 1000)
        last = time.ticks_ms()
        while True:
            self.turn(max(0, min(left, 1000)))
            now = time.ticks_ms()
            left -= time.ticks_diff(now, last)
            last = now
            if left <= 0:
                return

    def step(self) -> int:
        """Do what is due without waiting; return milliseconds until it is worth calling again."""
        self.turn(0)
        return 20 if self.client else _TURN

    def report(self, patch: dict) -> None:
        """Report properties to the twin, now or when there is a connection again."""
        once("rim.twin.report", self, patch)

    def on_message(self, handler) -> None:
        """Have handler(payload, properties) called for each cloud-to-device message."""
        self.handlers["message"] = handler

    def on_method(self, name: str, handler) -> None:
        """Have handler(payload) called for this direct method.

        It returns the response, anything json.dumps() takes, or (status, response).
        """
        self.handlers["method/" + name] = handler

    def on_desired(self, handler) -> None:
        """Have handler(patch, version) called for desired properties.

        It returns what to report as a dict, or None to have all of them acknowledged.
        """
        self.handlers["desired"] = handler
        self.desired_version = 0
        once("rim.twin.read", self)

    # ---- one turn

    def turn(self, wait: int) -> None:
        """Do what is due; wait at most so many milliseconds for something to come."""
        self.turned = time.ticks_ms()
        if self.client is None:
            from rim.away import turn

            turn(self, wait)
            del turn
            if self.client:
                self.tidy()
            return
        try:
            if not self._busy and self._is_stale():
                while self.client.stream.readable(0) and len(self.incoming) < _QUEUE:
                    self.client.idle(0)  # what has come already is not to be lost
                self._deal()
                once("rim.away.renew", self)
                return
            replaying = self.journal and self.journal.count and self.readable
            waiting = self.incoming and not self._busy
            self.client.idle(0 if waiting or replaying else wait)
            self._deal()
            if replaying:
                self._replay()
        except Failure as failure:
            self.fail(failure)
        except MemoryError:
            self.starve()

    def _is_stale(self) -> bool:
        """Tell whether the connection needs a new token, or is wanted anew."""
        age = time.ticks_diff(time.ticks_ms(), self.since) // 1000
        if abs(time.time() - self.time - age) > _JUMP:
            return True  # rim.away sees it, too
        if age > _SETTLED and not self.settled:
            once("rim.aftermath.settle", self)
        if self.unread and self.handlers.get("message") and not self.incoming:
            return True  # what was not acknowledged comes again with a new connection only
        return self.renew or self.reprovision or age > self.lasts

    def fail(self, failure: Failure) -> None:
        """Take a failure: the connection goes; say why, and decide when to try again."""
        once("rim.away.fail", self, failure)

    def starve(self) -> None:
        """Take a MemoryError: the connection goes, for the room it gives."""
        gc.collect()
        if self.client and self.client.inside:
            self.client.stream.is_open = False
        try:
            self.fail(Failure("out-of-memory", "%d bytes free" % gc.mem_free()))
        except MemoryError:  # not even room to say so: this ends the application, or the board
            self.starved += 1
            if self.starved >= _STARVED:
                give_up()
            raise

    def tidy(self) -> None:
        """Unload what is not needed while nothing happens."""
        forget_all_but(_KEPT + self.kept + (_HEARD if self.handlers else ()))

    # ---- out

    def publish(self, topic: str, payload: bytes, qos: int = 0) -> None:
        """Publish on any topic. Raises Failure."""
        if self.client is None:
            raise Failure("connection-lost", "there is no connection")
        self.client.publish(topic.encode(), payload, qos=qos)

    def _sent(self, bag: bytes, payload: bytes) -> bool:
        """Send a message; tell whether the hub has it."""
        if self.client is None:
            return False
        try:
            topic = hub.events(self.device_id).encode() + bag
            self.client.publish(topic, payload, qos=1)
            return True
        except Failure as failure:
            self.fail(failure)
        except MemoryError:
            self.starve()
        return False

    def _behind(self) -> bool:
        """Tell whether older messages, or the want of a hub, put a new one into the journal."""
        return self.journal is not None and (self.client is None or self.journal.count > 0)

    def _keeps(self, bag: bytes, payload: bytes) -> bool:
        """Put a message into the journal, if there is one; tell whether it is there."""
        if self.journal is None:
            return False
        try:
            self.journal.append(clock.shown() if clock.is_set() else 0, bag, payload)
            return True
        except Failure as failure:  # flash is full or worn: the message waits for the hub
            once("rim.aftermath.complain", self, failure)
        return False

    def _replay(self) -> None:
        """Send the oldest message of the journal."""
        journal = self.journal
        if journal is None or not self.readable:
            return
        try:
            sure = clock.is_set() and not self.life["doubt"]
            oldest = journal.peek(clock.shown() if sure else 0)
            if oldest and self._sent(oldest[1], oldest[2]):
                journal.done(oldest[3])
        except Failure as failure:
            once("rim.aftermath.complain", self, failure)
            self.readable = False  # until the next connection

    # ---- in

    def take(self, topic: bytes, payload: bytes, packet_id: int) -> None:
        """Take a message from the MQTT client, which can not send while it calls."""
        if len(self.incoming) < _QUEUE:
            self.incoming.append((topic, payload, packet_id))
        else:  # what was for the twin is read there again
            self.unread = self.stale = True
            self.due = time.ticks_ms()

    def _deal(self) -> None:
        late = self.due is not None and time.ticks_diff(time.ticks_ms(), self.due) >= 0
        if self._busy or not (self.incoming or late):
            return
        client = self.client
        # before anything is set: it may find no room
        from rim import inbox

        self._busy = True
        try:
            while self.incoming and client is self.client:
                topic, payload, packet_id = self.incoming.pop(0)
                if not inbox.handle(self, topic.decode(), payload):
                    self.unread = True
                elif client is self.client:
                    client.acknowledge(packet_id)
                    client.stream.flush()
            if late and client is self.client:
                from rim.twin import flush

                flush(self)
        except UnicodeError:
            raise client.garbled("a topic that is not UTF-8")
        finally:
            self._busy = False
        del inbox
        self.tidy()

    # ---- for the cloud's side

    def rotate(self, primary: bytes, secondary: bytes) -> bool:
        """Try a new pair of device keys; the old one stays until the hub took the new.

        False: it is the old one. Raises Failure key-rejected, and then nothing has changed.
        """
        new = once("rim.credentials.propose", primary, secondary)
        self.renew = self.renew or new
        return new

    def facts(self) -> dict:
        """Return what Keystead itself has to tell: JSON, without a secret."""
        return once("rim.facts.facts", self)


def _message(payload, properties) -> tuple:
    """Return (property bag, payload) of a message that was made now, as bytes."""
    properties = dict(properties or {})
    if isinstance(payload, str):
        payload = payload.encode()
    elif not isinstance(payload, (bytes, bytearray, memoryview)):
        import json

        payload = json.dumps(payload).encode()
        properties.setdefault("content_type", "application/json")
        properties.setdefault("content_encoding", "utf-8")
    if clock.is_set():
        properties.setdefault("creation_time", clock.stamp())
    return hub.property_bag(properties).encode(), bytes(payload)
