"""Preparation: every step from a MAC to the credentials for a hub.

Owns the order of the steps; each is somebody else's. It is loaded for a boot and forgotten
after it, with all it loads: record, signatures and DPS have no place in the heap of a board that
is connected, nor has the device key.
"""

import gc

from keystead import dps, hub
from keystead.record import unpack
from rim import clock, config, flash, roots, wifi

_LIFE = 3600  # seconds a SAS token is valid


def prepare(mac: bytes, assignment, chance, feed, log) -> tuple:
    """Return (assignment, SAS token for its hub, tls.SSLContext). Raises Failure.

    assignment: (hub, device ID) of an earlier boot, or None to ask DPS.
    """
    record = unpack(flash.load_record(), mac)
    log("factory record: %s, ID scope %s" % (record.registration_id, record.id_scope))
    networks, ntp_host = config.load()
    log("network: " + wifi.join(networks, feed))
    if not clock.is_set():
        clock.synchronise(ntp_host)
    log("clock: " + clock.stamp())
    context = roots.context()
    if assignment is None:
        assignment = _provision(record, context, chance, feed, log)
    log("assigned hub: %s, device ID: %s" % assignment)
    token = record.token(hub.resource(*assignment), clock.unix_time() + _LIFE)
    return assignment, token, context


def _provision(record, context, chance, feed, log) -> tuple:
    from rim.provision import provision

    resource = dps.resource(record.id_scope, record.registration_id)
    token = record.token(resource, clock.unix_time() + _LIFE, "registration")
    assignment = provision(record, token, context, chance, feed, log)
    gc.collect()
    return assignment.hub, assignment.device_id
