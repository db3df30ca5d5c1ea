"""HubDoor: the hubs of a cloud as AMQP's door.

Owns which hub a token is for, and what a policy must be allowed. Doesn't own the policies
(policies.py) nor the queues (hub.py).
Source: "Control access to IoT Hub with shared access signatures": ServiceConnect is the right to
send cloud-to-device messages and to receive feedback.
"""

from collections.abc import Callable, Sequence

from host_tools.emulator.access import AccessDenied, Reason, Token
from host_tools.emulator.amqp.door import Principal
from host_tools.emulator.events import Dropped, Event, Refused
from host_tools.emulator.host_names import HostNames, without_port
from host_tools.emulator.hub.hub import Hub
from host_tools.emulator.hub.hubs import Hubs
from host_tools.emulator.hub.messages import CloudMessage, Feedback
from host_tools.emulator.policies import SERVICE_CONNECT


class HubDoor:
    """What service clients do by AMQP, done at the hubs."""

    def __init__(self, hubs: Hubs, tell: Callable[[Event], None]) -> None:
        self._hubs = hubs
        self._tell = tell
        self._returned: dict[str, list[Feedback]] = {}  # by hub, oldest first

    def authenticate(self, token: bytes, host: str, now: float) -> Principal:
        """Return who has this token; raise AccessDenied."""
        hub, name, policy = None, without_port(host), ""
        try:
            parsed = Token.parse(token)
            policy = parsed.policy
            hub = self._hub(name, parsed)
            hub.policies.check(parsed, HostNames(hub.name, name), SERVICE_CONNECT, now)
        except AccessDenied as denied:
            who = f"policy {policy}" if policy else "a service client"
            service = hub.name if hub else "IoT Hub"
            self._tell(Refused(now, service, who, denied.reason, "AMQP 401"))
            raise
        return Principal(hub.name, policy, parsed.expiry)

    # SASL PLAIN names a hub without its domain; one alias stands for several hubs: the key tells
    # which one is meant
    def _hub(self, name: str, token: Token) -> Hub:
        hubs = self._hubs.all()
        named = [hub for hub in hubs if name in (hub.name.lower(), _label(hub.name.lower()))]
        signed = [hub for hub in hubs if hub.policies.knows(token)]
        for hub in (*named, *signed, *hubs):
            return hub
        raise AccessDenied(Reason.UNKNOWN_HUB)

    def send(
        self, principal: Principal, device_id: str, message: CloudMessage, now: float
    ) -> None:
        """Queue a message for a device; raise ServiceError."""
        self._hubs.hub(principal.hub).send(device_id, message, now)

    def feedback(self, principal: Principal) -> "HubFeedback":
        """Return where a hub's feedback comes from."""
        returned = self._returned.setdefault(principal.hub.lower(), [])
        return HubFeedback(self._hubs.hub(principal.hub), returned)

    def left(self, principal: Principal | None, address: str, why: str, now: float) -> None:
        """Tell of a connection that never got in."""
        if principal is None:
            self._tell(Dropped(now, address, why))


class HubFeedback:
    """One hub's feedback; what receivers gave back comes first."""

    def __init__(self, hub: Hub, returned: list[Feedback]) -> None:
        self._hub = hub
        self._returned = returned

    def take(self, most: int) -> Sequence[Feedback]:
        """Return the oldest records, at most so many."""
        taken, self._returned[:] = self._returned[:most], self._returned[most:]
        return taken or self._hub.drain_feedback(most)

    def back(self, records: Sequence[Feedback]) -> None:
        """Put records back."""
        self._returned[:0] = records


def _label(name: str) -> str:
    return name.partition(".")[0]
