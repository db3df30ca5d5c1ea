"""Visit: a device at DPS, from CONNECT over "register" and polls to its hub's name.

Owns the order; requests and answers are keystead.dps, the very file that boards run.
"""

from collections.abc import Callable

from host_tools.emulator.mqtt.connect import Connect
from host_tools.emulator.mqtt.packets import Publish
from host_tools.fleet.conversation import Conversation
from host_tools.fleet.plan import Member, Plan
from keystead import dps
from keystead.failure import Failure
from keystead.sas import sas_token


class Visit(Conversation):
    """One registration; `assignment` is set when it is over."""

    SERVICE = "dps"

    def __init__(self, plan: Plan, member: Member, chance: Callable[[], float]) -> None:
        """chance: uniform in [0, 1), for the waits after a refusal."""
        super().__init__(plan.limit)
        self.host = plan.dps_host
        self.assignment: dps.Assignment | None = None
        self._plan = plan
        self._member = member
        self._chance = chance
        self._registration = dps.Registration(member.name)
        self._packet_id = 0

    def login(self, now: float) -> Connect:
        """Return the first packet."""
        scope, name = self._plan.id_scope, self._member.name
        expiry = int(now) + self._plan.token_life
        token = sas_token(dps.resource(scope, name), self._member.key, expiry, "registration")
        return Connect(
            name, dps.username(scope, name), token.encode(), self._plan.keep_alive, clean=True
        )

    def filters(self) -> tuple[tuple[str, int], ...]:
        """Return what to subscribe to."""
        return ((dps.RESPONSES, 1),)

    def subscribed(self, tick: float) -> None:
        """Ask for a hub."""
        self._request(tick)

    def published(self, message: Publish, tick: float) -> None:
        """Take an answer: wait as long as it says, or go."""
        wait = self._registration.receive(message.topic, message.payload, self._chance())
        if self._registration.assignment:
            self.assignment = self._registration.assignment
            self.end()
        elif wait is not None:
            self.rest(tick + wait)

    def acknowledged(self, packet_id: int, tick: float) -> None:
        """Take note that a request arrived; it is the answer that counts."""
        if packet_id != self._packet_id:
            raise Failure("mqtt-garbled", f"PUBACK {packet_id} for nothing")

    def rested(self, tick: float) -> None:
        """Ask again."""
        self._request(tick)

    def _request(self, tick: float) -> None:
        self._packet_id = self._packet_id % 65535 + 1
        packet = Publish(*self._registration.request(), 1, self._packet_id)
        self.say(packet, "DPS to answer", tick)
