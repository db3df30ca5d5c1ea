"""Stay: a device at its hub, from CONNECT to DISCONNECT, with telemetry in between.

Owns the pace of messages and the keep-alive. One message is under way at a time: the next goes
when the PUBACK came, as a small board does it. Topics and user name are keystead.hub.
"""

from collections.abc import Callable

from host_tools.emulator.mqtt.connect import Connect
from host_tools.emulator.mqtt.packets import Packet, Pingreq, Pingresp, Publish
from host_tools.fleet.conversation import Conversation
from host_tools.fleet.plan import Member, Plan
from keystead import hub
from keystead.failure import Failure
from keystead.sas import sas_token


class Stay(Conversation):
    """One device at its hub; `connected` when its subscriptions stand."""

    SERVICE = "hub"

    def __init__(self, plan: Plan, member: Member, at: tuple[str, str]) -> None:
        """at: hub and device ID as assigned."""
        super().__init__(plan.limit)
        # told the seconds that each message took to its PUBACK
        self.took: Callable[[float], object] = lambda seconds: None
        self._hub, self._device_id = at
        self.host = self._hub.partition(":")[0]
        self.connected = False
        self._plan = plan
        self._key = member.key
        self._packet = Publish(hub.telemetry_topic(self._device_id), plan.payload, 1)
        self._packet_id = 0  # of the message under way, or the last
        self._under_way = False
        self._left = 0  # messages still to be sent
        self._every = 0.0
        self._next = 0.0  # when the next message is to go
        self._sent = 0.0
        self._pinged = False

    def login(self, now: float) -> Connect:
        """Return the first packet."""
        expiry = int(now) + self._plan.token_life
        token = sas_token(hub.resource(self._hub, self._device_id), self._key, expiry)
        return Connect(
            self._device_id,
            hub.username(self._hub, self._device_id),
            token.encode(),
            self._plan.keep_alive,
            self._plan.clean,
        )

    def filters(self) -> tuple[tuple[str, int], ...]:
        """Return what to subscribe to: messages, methods, desired properties."""
        return (
            (f"devices/{self._device_id}/messages/devicebound/#", 1),
            ("$iothub/methods/POST/#", 0),
            ("$iothub/twin/PATCH/properties/desired/#", 0),
        )

    def subscribed(self, tick: float) -> None:
        """Be there."""
        self.connected = True
        self._go_on(tick)

    def is_connected(self) -> bool:
        """Tell whether the subscriptions stand."""
        return self.connected

    def talk(self, count: int, every: float, tick: float, delay: float = 0) -> bytes:
        """Send count messages, one each `every` seconds, the first after delay.

        Returns what to send at once. Zero seconds: each as soon as the last has arrived.
        """
        self._left, self._every, self._next = count, every, tick + delay
        self._go_on(tick)
        return self._taken()

    def is_silent(self) -> bool:
        """Tell whether all messages have arrived."""
        return not self._left and not self._under_way

    def published(self, message: Publish, tick: float) -> None:
        """Take whatever the hub sends: it counts as heard."""

    def acknowledged(self, packet_id: int, tick: float) -> None:
        """Go on with the next message."""
        if packet_id != self._packet_id or not self._under_way:
            raise Failure("mqtt-garbled", f"PUBACK {packet_id} for nothing")
        self._under_way = False
        self.took(tick - self._sent)
        self._go_on(tick)

    def rested(self, tick: float) -> None:
        """Send the next message, or show that we are still here."""
        if self._left and tick >= self._next:
            self._go_on(tick)
        else:
            self.say(Pingreq(), "PINGRESP", tick)
            self._pinged = True

    def other(self, packet: Packet, tick: float) -> None:
        """Take PINGRESP."""
        if not isinstance(packet, Pingresp) or not self._pinged:
            super().other(packet, tick)
        self._pinged = False
        self._go_on(tick)

    def _go_on(self, tick: float) -> None:
        if self._left and tick >= self._next:
            self._send(tick)
            return
        ping = tick + self._plan.keep_alive / 2
        self.rest(min(ping, self._next) if self._left else ping)

    def _send(self, tick: float) -> None:
        self._left -= 1
        self._next += self._every
        self._packet_id = self._packet_id % 65535 + 1
        self._under_way, self._sent = True, tick
        self.say(self._packet._replace(packet_id=self._packet_id), "PUBACK", tick)
