"""Provisioning: from a factory record to an assigned hub.

Owns the order: connect, subscribe, then ask and wait until DPS has assigned. What an answer means
is keystead.dps's business.
"""

import time

from keystead import dps
from keystead.failure import Failure
from rim.memory import forget

_ANSWER = 30_000  # milliseconds for DPS to answer a request
_KEEP_ALIVE = 60  # seconds


def provision(record, token: str, context, chance, feed, log):
    """Register at DPS and return the dps.Assignment. Raises Failure.

    record: a FactoryRecord; token: its SAS token for DPS; context: a tls.SSLContext; chance():
    a number in [0, 1); feed(): called while there is progress; log(text): told each step.
    """
    answers = []
    log("registering %s with %s" % (record.registration_id, record.endpoint))
    client = _open(record, token, context, lambda *message: answers.append(message), feed)
    forget("rim.opening", "rim.dial")
    try:
        log("provisioning status: connected")
        registration = dps.Registration(record.registration_id)
        while True:
            wait = _ask(client, registration, answers, chance)
            if registration.assignment:
                log("provisioning status: assigned")
                return registration.assignment
            log("provisioning status: %s, asking again in %d s" % (registration.status, wait))
            client.linger(wait)
    finally:
        client.close()


def _open(record, token: str, context, on_message, feed):
    """Return a client that is connected to DPS and hears its answers."""
    from rim.opening import enter, open_client, subscribe

    name = record.registration_id
    user = dps.username(record.id_scope, name)
    client = open_client(record.endpoint, context, name, user, token, _KEEP_ALIVE, on_message,
                         feed)  # fmt: skip
    enter(client, True, "dps-refused", "dps-unavailable")
    try:
        subscribe(client, dps.RESPONSES)
    except BaseException:
        client.close()
        raise
    return client


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
