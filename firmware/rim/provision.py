"""Provisioning: from a factory record to an assigned hub.

Owns the order: connect, subscribe, then ask and wait until DPS has assigned. What an answer means
is keystead.dps's business.
"""

import time

from keystead import dps
from keystead.failure import Failure
from rim.mqtt import open_client

_ANSWER = 30_000  # milliseconds for DPS to answer a request
_KEEP_ALIVE = 60  # seconds


def provision(record, token: str, context, chance, feed, log):
    """Register at DPS and return the dps.Assignment. Raises Failure.

    record: a FactoryRecord; token: its SAS token for DPS; context: a tls.SSLContext; chance():
    a number in [0, 1); feed(): called while there is progress; log(text): told each step.
    """
    name = record.registration_id
    answers = []
    log("registering %s with %s" % (name, record.endpoint))
    client = open_client(record.endpoint, context, name, dps.username(record.id_scope, name),
                         token, _KEEP_ALIVE, lambda *message: answers.append(message),
                         feed)  # fmt: skip
    try:
        client.enter(True, "dps-refused", "dps-unavailable")
        log("provisioning status: connected")
        client.subscribe(dps.RESPONSES)
        registration = dps.Registration(name)
        while True:
            wait = _ask(client, registration, answers, chance)
            if registration.assignment:
                log("provisioning status: assigned")
                return registration.assignment
            log("provisioning status: %s, asking again in %d s" % (registration.status, wait))
            client.linger(wait)
    finally:
        client.close()


def _ask(client, registration, answers, chance) -> float:
    topic, body = registration.request()
    client.publish(topic.encode(), body, qos=1)
    begun = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), begun) < _ANSWER:
        while answers:
            topic, body = answers.pop(0)
            try:
                wait = registration.receive(topic.decode(), body, chance())
            except UnicodeError:
                raise Failure("dps-garbled", "a topic that is not UTF-8")
            if wait is not None:
                return wait
        client.idle(1000)
    raise Failure("no-answer", "waiting for DPS to answer")
