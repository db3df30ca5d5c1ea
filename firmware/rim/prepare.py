"""Preparation: every step from a MAC to the credentials for a hub.

Owns the order of the steps; each is somebody else's. It is loaded for a connection and forgotten
after it, with all it loads: record, signatures and DPS have no place in the heap of a board that
is connected, nor has the device key.
"""

from keystead import hub
from keystead.failure import Failure
from keystead.record import unpack
from rim import clock, flash
from rim.log import log
from rim.memory import forget

_LIFE = 3600  # seconds a SAS token is valid


def prepare(mac: bytes, assignment, second: bool, doubt: bool, chance, feed) -> tuple:
    """Return (assignment, SAS token for its hub, tls.SSLContext). Raises Failure.

    assignment: (hub, device ID) of an earlier boot, or None to ask DPS. second: sign with the
    secondary device key, if there is one. doubt: ask NTP though the clock is set. chance(): a
    number in [0, 1); feed(): called while there is progress.
    """
    record = unpack(flash.load_record(), mac)
    log("factory record: %s, ID scope %s" % (record.registration_id, record.id_scope))
    context = _ground(doubt, feed)
    forget("rim.config", "rim.wifi", "rim.roots")
    if assignment is None:
        assignment = _provision(record, second, context, chance, feed)
        forget("rim.provision", "keystead.dps")
    log("assigned hub: %s, device ID: %s" % assignment)
    token = record.token(hub.resource(*assignment), clock.unix_time() + _LIFE, "", second)
    return assignment, token, context


def _ground(doubt: bool, feed):
    """Return the tls.SSLContext once network and clock are there."""
    from rim import config, roots, wifi

    networks, ntp_host = config.load()
    log("network: " + wifi.join(networks, feed))
    if not clock.is_set():
        clock.synchronise(ntp_host, feed)
    elif doubt:
        try:
            clock.synchronise(ntp_host, feed)
        except Failure as failure:  # better a doubtful time than none
            log("clock: kept, " + failure.detail)
    log("clock: " + clock.stamp())
    return roots.context()


def _provision(record, second: bool, context, chance, feed) -> tuple:
    from keystead.dps import resource
    from rim.provision import provision

    audience = resource(record.id_scope, record.registration_id)
    token = record.token(audience, clock.unix_time() + _LIFE, "registration", second)
    assignment = provision(record, token, context, chance, feed, log)
    return assignment.hub, assignment.device_id
