"""DpsPeer: one device at DPS over MQTT.

Owns the topics. Doesn't own what is answered (registrar.py), who may register nor the connection
(session.py).
Source: "Communicate with DPS using the MQTT protocol"; keystead.dps is the other end.
"""

import re
from collections.abc import Iterable

from host_tools.emulator.dps.enrollment import fold
from host_tools.emulator.dps.registrar import LARGEST, Answer, Caller, Registrar
from host_tools.emulator.mqtt.packets import Publish
from host_tools.emulator.mqtt.peer import Hangup, Message, Peer
from keystead.dps import RESPONSES

# $dps/registrations/PUT/iotdps-register/?$rid={request ID}
_REGISTER = re.compile(r"\$dps/registrations/PUT/iotdps-register/\?\$rid=([^&]*)")
# $dps/registrations/GET/iotdps-get-operationstatus/?$rid={request ID}&operationId={operation ID}
_POLL = re.compile(
    r"\$dps/registrations/GET/iotdps-get-operationstatus/\?\$rid=([^&]*)&operationId=([^&]*)"
)


class DpsPeer(Peer):
    """One device; what it may not do it hears when it registers."""

    service = "DPS"
    largest = LARGEST

    def __init__(self, registrar: Registrar, caller: Caller) -> None:
        self.device_id = caller.registration_id
        self.api_version = caller.api_version
        self.caller = caller
        self.expiry = float("inf")
        if caller.token and caller.enrollment:  # who is refused pushes nobody out
            self.expiry = caller.token.expiry
            self.key = (self.service, fold(self.device_id))
        self._registrar = registrar
        self._granted: int | None = None  # QoS of the subscription, None without one

    def subscribe(self, topic_filter: str, qos: int) -> int:
        """Grant the one filter there is."""
        if topic_filter != RESPONSES:
            raise Hangup("it subscribed to a topic that DPS does not have")
        self._granted = min(qos, 1)
        return self._granted

    def unsubscribe(self, topic_filter: str) -> None:
        """Stop answering."""
        if topic_filter == RESPONSES:
            self._granted = None

    def publish(self, message: Publish, now: float) -> Iterable[Message]:
        """Answer one request; without a subscription the answer is lost, as at the service."""
        if register := _REGISTER.fullmatch(message.topic):
            answer = self._registrar.register(self.caller, message.payload, now)
            return self._message(register[1], answer)
        if poll := _POLL.fullmatch(message.topic):
            return self._message(poll[1], self._registrar.poll(self.caller, poll[2], now))
        raise Hangup("it published to a topic that DPS does not have")

    # $dps/registrations/res/{status}/?$rid={request ID}[&retry-after={seconds}]
    def _message(self, rid: str, answer: Answer) -> tuple[Message, ...]:
        if self._granted is None:
            return ()
        topic = f"$dps/registrations/res/{answer.status}/?$rid={rid}"
        if answer.retry_after is not None:
            topic += f"&retry-after={answer.retry_after}"
        return (Message(topic, answer.body, self._granted),)
