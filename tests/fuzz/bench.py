"""A cloud in memory for harnesses, with a neighbour who must not notice anything."""

import random
import re
import tempfile
import time
from pathlib import Path

from host_tools.emulator.cloud import Cloud
from host_tools.emulator.config import Config
from host_tools.emulator.dps.enrollment import EnrollmentGroup, KeyPair
from host_tools.emulator.errors import ServiceError
from host_tools.emulator.events import Event, Telemetry
from host_tools.emulator.faults.wire import Wire
from host_tools.emulator.mqtt.connect import Connack, Connect
from host_tools.emulator.mqtt.framing import Framer
from host_tools.emulator.mqtt.packets import Packet, Pingresp, Puback, Publish, Unsuback, parse
from host_tools.emulator.mqtt.subscribe import Suback
from host_tools.emulator.trace.traces import Traces
from host_tools.keys import derive_device_key
from keystead import dps, hub
from keystead.sas import sas_token

HUB = "test-docs-hub.azure-devices.net"
NAME, OTHER = "dev-1", "neighbour"
KEYS = KeyPair(bytes(range(32)), bytes(range(32, 64)))
BEGIN = 1_700_000_000.0
_EXPIRY = int(BEGIN) + 100_000_000_000
_TOPICS = re.compile(
    r"\$dps/registrations/res/\d{3}/\?\$rid=.*|\$iothub/twin/res/\d{3}/\?\$rid=.*"
    r"|\$iothub/twin/PATCH/properties/desired/\?\$version=\d+|\$iothub/methods/POST/.*/\?\$rid=.*"
    rf"|devices/{NAME}/messages/devicebound/.*",
    re.DOTALL,
)


class Line:
    """A device's end of a connection; checks all that it hears."""

    def __init__(self, bench: "Bench", bent: bool = False) -> None:
        """bent: rules are in force that may bend what is sent."""
        self.heard: list[Packet] = []
        self.ended = False
        self._bench = bench
        self.bent = bent
        self._framer = Framer()
        self._unparsed = 0
        self.trace = bench.traces.open("127.0.0.1:5", bench.now)
        self.wire = Wire(
            bench.cloud,
            self._take,
            self._end,
            self._abort,
            bench.tick,
            "127.0.0.1:5",
            self.trace,
        )

    def say(self, data: bytes) -> None:
        """Send bytes."""
        self.wire.receive(data, self._bench.now, self._bench.tick)

    def _take(self, data: bytes) -> None:
        assert not self.ended, "bytes behind the end"
        assert data, "nothing is not to be sent"
        if self.bent:
            self._unparsed = 0
            return
        self._unparsed += len(data)
        for first, body in self._framer.feed(data):
            self._unparsed -= len(body) + 2 + (len(body) > 127) + (len(body) > 16_383)
            self._check(parse(first, body))
        assert not self._unparsed, "half a packet"

    def _check(self, packet: Packet) -> None:
        assert isinstance(packet, Connack | Publish | Puback | Suback | Unsuback | Pingresp)
        assert isinstance(packet, Connack) == (not self.heard), "CONNACK is the first, and once"
        if isinstance(packet, Publish):
            assert packet.qos < 2, "no QoS 2"
            assert not packet.retain, "nothing is retained"
            assert _TOPICS.fullmatch(packet.topic), packet.topic
        self.heard.append(packet)

    def _end(self) -> None:
        assert not self.ended, "ended twice"
        self.ended = True

    def _abort(self) -> None:
        self.ended = True

    def finish(self) -> None:
        """Close as the network would, and see that nothing is left behind."""
        session = self.wire.session
        assert len(session._framer._rest) <= session._framer.limit + 5
        assert len(session._unacknowledged) <= 65_535
        self.wire.close("the connection broke", self._bench.now)
        assert session.closed
        if self.trace:
            for line in self.trace.lines():
                said = line.text_among_others() + line.json()
                assert said.isprintable(), said
                assert not any(sig in said for sig in self._bench.signatures), "a signature"


class Bench:
    """A cloud, a clock and a neighbour."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="keystead-fuzz-")
        self.now, self.tick = BEGIN, time.monotonic()
        self.telemetry = 0
        self.traces = Traces(on=True)
        group = EnrollmentGroup("mylegacydevices", HUB, KEYS)
        self.cloud = Cloud(
            Config(groups=(group,)),
            on_event=self._hear,
            state_dir=Path(self._directory.name),
            random=random.Random(7).randbytes,
        )
        self.hub = self.cloud.hubs.hub(HUB)
        connects = [self.connect(one, at_dps) for one in (NAME, OTHER) for at_dps in (True, False)]
        self.at_dps, self.at_hub = connects[:2]
        self.signatures = [
            (connect.password or b"").decode().partition("sig=")[2].partition("&")[0]
            for connect in connects
        ]
        self.renew(OTHER)
        self._neighbour = Line(self)
        self._neighbour.say(connects[3].encode())
        assert self._neighbour.heard.pop() == Connack(0)
        self._neighbour.heard.append(Connack(0))

    def _hear(self, event: Event) -> None:
        assert event.line().isprintable() or isinstance(event, Telemetry)
        event.json()
        self.telemetry += isinstance(event, Telemetry) and event.device_id == OTHER
        self.traces.event(event)

    def connect(self, name: str, at_dps: bool) -> Connect:
        """Return a device's good CONNECT, keep-alive 0."""
        key = derive_device_key(KEYS.primary, name)
        if at_dps:
            scope = Config.id_scope
            resource, user = dps.resource(scope, name), dps.username(scope, name)
        else:
            resource, user = hub.resource(HUB, name), hub.username(HUB, name)
        return Connect(name, user, sas_token(resource, key, _EXPIRY).encode(), 0)

    def renew(self, name: str = NAME) -> None:
        """Have a device as new: no twin, no messages, no session."""
        try:
            self.hub.delete(name, self.now)
        except ServiceError as error:
            assert error.code == 404001, error
        key = derive_device_key(KEYS.primary, name)
        self.hub.create(name, self.now, KeyPair(key, KEYS.secondary))

    def check_neighbour(self) -> None:
        """See that the neighbour's next message is acknowledged, told, and all it hears."""
        before = self.telemetry
        self._neighbour.say(Publish(hub.telemetry_topic(OTHER), b"{}", 1, 7).encode())
        assert self._neighbour.heard == [Connack(0), Puback(7)], self._neighbour.heard
        assert self.telemetry == before + 1
        self._neighbour.heard.pop()

    def wait(self, seconds: float) -> None:
        """Let time go by."""
        self.now += seconds
        self.tick += seconds
        self.cloud.expire(self.now, self.tick)
        self._neighbour.wire.expire(self.now, self.tick)

    def close(self) -> None:
        """Forget all."""
        self.cloud.close()
        self._directory.cleanup()
