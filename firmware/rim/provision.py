"""Provisioning: from a factory record to an assigned hub.

Owns the order: connect, subscribe, then ask and wait until DPS has assigned. What an answer means
is keystead.dps's business.
"""

import time

from keystead.failure import Failure
from rim.log import log
from rim.memory import chance, once

_ANSWER = 30_000  # milliseconds for DPS to answer a request
_KEEP_ALIVE = 60  # seconds
_PATIENCE = 60  # seconds of an overloaded DPS's wait for which the line is kept


def provision(who: tuple, door: tuple, token: str, context, payload, feed):
    """Register at DPS and return the dps.Assignment. Raises Failure.

    who: registration ID, ID scope, endpoint; door: keystead.dps.door() of these; token: a SAS
    token for DPS; context: a tls.SSLContext; payload: a dict for the allocation hook; feed():
    called while there is progress.
    """
    answers = []
    log("registering %s with %s" % (who[0], who[2]))
    client = once("rim.opening.opened", who[2], context, who[0], door[0], token, _KEEP_ALIVE,
                  lambda *message: answers.append(message), feed, "dps", door[2:])  # fmt: skip
    try:
        # not before: the heap has not the room for it and the opening at once
        from keystead.dps import Registration

        log("provisioning status: connected")
        registration = Registration(who[0], payload)
        while True:
            wait = _ask(client, registration, answers)
            if registration.assignment:
                log("provisioning status: assigned")
                return registration.assignment
            if wait > _PATIENCE and registration.status != "assigning":
                # the application is not to stand still for so long
                raise Failure(registration.status, retry_after=int(wait))
            log("provisioning status: %s, asking again in %d s" % (registration.status, wait))
            _linger(client, time.ticks_add(time.ticks_ms(), int(wait * 1000)))
    finally:
        client.close()


def _linger(client, ends) -> None:
    """Let time pass until ends, while the line is kept alive."""
    left = 1
    while left > 0:
        left = time.ticks_diff(ends, time.ticks_ms())
        client.idle(max(0, min(left, 1000)))


def _ask(client, registration, answers) -> float:
    topic, body = registration.request()
    client.publish(topic.encode(), body, qos=1)
    begun = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), begun) < _ANSWER:
        while answers:
            topic, body, packet_id = answers.pop(0)
            client.acknowledge(packet_id)
            if body is None:
                raise Failure("mqtt-oversized")
            try:
                wait = registration.receive(topic.decode(), body, chance())
            except UnicodeError:
                raise Failure("dps-garbled", "a topic that is not UTF-8")
            if wait is not None:
                return wait
        client.idle(1000)
    raise Failure("no-answer", "waiting for DPS to answer")
